//! Restores generations that another client changed.
//!
//! ```text
//! Alteration ─► a stored version of the list describes it ─► Restore: replace its whole spec
//!          └──► none does ─► ResetStrategy: prevent it from replacing pods, and report it
//! ```
//! A DaemonSet is restored immediately. If somebody keeps changing it, the pause before each restore doubles. The
//! number and time of restores are stored on the DaemonSet itself.

use std::collections::BTreeSet;
use std::iter;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::DaemonSet;
use kube::core::DynamicObject;

use super::context::{AcceptedList, Context};
use super::decision::{Action, Finding, Plan};
use super::generation::alteration::Alteration;
use super::generation::restores::Restores;
use super::generation::{Generation, KNOWN_FORMATS};
use super::{daemon_set, sharding};
use crate::list::config::Group;
use crate::list::reference::ImageReference;
use crate::naming::labels;

/// How long a restored generation is kept for its pods to come back, even if no node seems to need it. The DaemonSet
/// controller creates a thousand pods in half a minute.
pub const POD_RETURN_GRACE: SignedDuration = SignedDuration::from_mins(2);

/// Plans to undo changes that another client made, except to generations that are deleted anyway.
pub fn restore(context: &Context, plan: &mut Plan) {
    let mut undone = Vec::new();
    for generation in context.generations.iter().filter(|generation| !generation.deleting) {
        let deleted = |action: &Action| matches!(action, Action::Delete { name, .. } if *name == generation.name);
        let Some(alteration) = pending(generation).filter(|_| !plan.actions.iter().any(deleted)) else { continue };
        match generation.restores.as_ref().and_then(|restores| restores.next_at(context.now)) {
            Some(at) => plan.wake_up_at(at),
            None => undone.extend(undo(context, generation, alteration)),
        }
    }
    // Nodes first get back what they lost.
    plan.actions.splice(0..0, undone);
}

/// Whether pods may be missing only because of a change that will be undone shortly. Until then, what pods hold says
/// nothing about where generations are needed.
pub fn is_unsettled(context: &Context) -> bool {
    let unsettled =
        |it: &Generation| pending(it).is_some() && !is_contested(it, context.now) && rebuilt(context, it).is_some();
    context.generations.iter().filter(|generation| !generation.deleting).any(unsettled)
}

fn is_contested(generation: &Generation, now: Timestamp) -> bool {
    generation.restores.as_ref().is_some_and(|restores| restores.is_contested() && restores.is_recent(now))
}

/// The change that has yet to be undone.
fn pending(generation: &Generation) -> Option<&Alteration> {
    let left = generation.restores.as_ref().and_then(|restores| restores.left);
    generation.altered.as_ref().filter(|alteration| left != Some(alteration.generation))
}

fn undo(context: &Context, generation: &Generation, alteration: &Alteration) -> Vec<Action> {
    let restores = Restores::and_now(generation.restores.as_ref(), context.now);
    let (name, uid) = (generation.name.clone(), generation.uid.clone());
    match rebuilt(context, generation) {
        Some(mut daemon_set) => {
            let annotations = daemon_set.metadata.annotations.get_or_insert_default();
            annotations.insert(labels::RESTORES.to_owned(), restores.to_text());
            vec![Action::Restore { daemon_set: Box::new(daemon_set), uid, restores }]
        }
        None => {
            let finding = Finding::CannotRestore { daemon_set: name.clone(), changed_by: alteration.by.clone() };
            vec![Action::ResetStrategy { name, uid, restores }, Action::Report(finding)]
        }
    }
}

/// The original DaemonSet. It can only be rebuilt if a stored version of the list describes it, and this version of the
/// controller knows the template that it was built with.
fn rebuilt(context: &Context, generation: &Generation) -> Option<DaemonSet> {
    let record = generation.record.as_ref().filter(|record| KNOWN_FORMATS.contains(&record.format))?;
    let mut forms = iter::once(context.list.config).chain(context.kept.iter().copied());
    let mut daemon_set = forms.find_map(|config| {
        let list = AcceptedList { config, ..context.list };
        let groups = config.groups.iter().filter(|group| group.name.as_str() == generation.group);
        // Older versions are as written, and this one has what the shards have by now.
        let built_from = |group: &&Group| daemon_set::was_built_from(list, group, generation, record);
        let group = groups.clone().find(built_from).cloned().or_else(|| {
            let mut shards = groups.filter_map(|group| sharding::as_built(group, generation, context.generations));
            shards.find(|shard| built_from(&shard))
        })?;
        Some(daemon_set::build(list, &group, record, context.settings))
    })?;
    generation.node_scope.scope_down(&mut daemon_set);
    Some(daemon_set)
}

/// Until when a generation that no node needs is kept, because its pods are coming back after a restore. It is not kept
/// if somebody keeps changing it, or if none of its images is on the list.
pub fn kept_until(context: &Context, generation: &Generation) -> Option<Timestamp> {
    let restores =
        generation.restores.as_ref().filter(|restores| restores.left.is_none() && restores.at <= context.now)?;
    let until = restores.at.checked_add(POD_RETURN_GRACE).ok().filter(|until| context.now < *until)?;
    let listed = context.list.config.groups.iter().flat_map(|group| &group.images);
    let listed: BTreeSet<String> = listed.map(|image| image.reference.normal_form()).collect();
    let is_wanted = generation.images.values().any(|image| listed.contains(&ImageReference::normal_form_of(image)));
    (is_wanted && !is_contested(generation, context.now)).then_some(until)
}

/// The DaemonSet `live` with the spec, labels, annotations and owners of `wanted`. All other metadata stays.
pub fn restored(live: &DynamicObject, wanted: &DaemonSet) -> DynamicObject {
    let mut restored = live.clone();
    // What was built always serializes to JSON.
    restored.data["spec"] = serde_json::to_value(&wanted.spec).unwrap_or_else(|error| unreachable!("{error}"));
    let metadata = &mut restored.metadata;
    metadata.labels.get_or_insert_default().extend(wanted.metadata.labels.clone().unwrap_or_default());
    metadata.annotations.get_or_insert_default().extend(wanted.metadata.annotations.clone().unwrap_or_default());
    let owners = metadata.owner_references.get_or_insert_default();
    for owner in wanted.metadata.owner_references.iter().flatten() {
        owners.retain(|other| other.uid != owner.uid);
        owners.push(owner.clone());
    }
    restored
}
