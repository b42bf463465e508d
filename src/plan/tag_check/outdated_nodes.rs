//! Renewal of nodes that hold an older image of a tag than others, because they were unavailable or joined with it on
//! their disks.
//!
//! They are updated one by one, without a rollout on the other nodes. A tag check on such a node pulls the current
//! image and meanwhile holds every image of the group, so that the holder's pod can be replaced:
//!
//! ```text
//! outdated ─► a tag check holds all images ─► the holder's pod is replaced ─► it holds the same ─► the tag check is deleted
//! ```

use std::collections::{BTreeSet, HashMap};

use super::daemon_set;
use super::held_digests::GenerationDigests;
use super::targets::{Candidates, CheckTarget};
use crate::coverage::{CoveringPod, Hold};
use crate::list::config::Group;
use crate::naming::hash::short_hash;
use crate::plan::context::Context;
use crate::plan::decision::{Action, Plan};
use crate::plan::generation::Generation;
use crate::plan::generation::digests::Digest;
use crate::plan::generation::pulled_always::PulledAlways;
use crate::plan::generation::tag_check::{ImageAnswer, TagCheck, TagCheckProgress};
use crate::plan::generation::tag_check_record::TagCheckRecord;

/// One in this many nodes is updated at a time, but at least one.
const ONE_IN: usize = 20;

/// After this many renewals that ended with another digest than the tag check reported, there are no more: nodes that
/// report a different digest each time are not outdated.
pub const MAX_FAILED_RENEWALS: u32 = 3;

/// Plans the renewal of nodes for a group that does not start a rollout.
pub fn plan(context: &Context, group: &Group, newest: &Generation, plan: &mut Plan) {
    let known = !newest.tag_check_record.outdated.is_empty();
    // A renewal may still be running although the record is gone.
    if !known && context.tag_checks.is_empty() {
        return;
    }
    let renewal = Renewal::new(context, group, newest);
    let mut budget = (renewal.nodes.len() / ONE_IN).max(1);
    let (mut is_over, mut gives_up, mut failed) = (true, false, newest.tag_check_record.failed_renewals);
    for node in &renewal.nodes {
        let step = renewal.step(node);
        is_over &= matches!(step, RenewalStep::Nothing | RenewalStep::End { .. });
        gives_up |= step == RenewalStep::GiveUp;
        failed += u32::from(step == RenewalStep::End { failed: true });
        if matches!(step, RenewalStep::Nothing | RenewalStep::End { .. }) || (step == RenewalStep::Start && budget == 0)
        {
            continue;
        }
        budget = budget.saturating_sub(1);
        renewal.carry_out(node, step, plan);
    }
    let noted = |action: &Action| matches!(action, Action::Note { daemon_set, .. } if *daemon_set == newest.name);
    if known && (is_over || gives_up) && !plan.actions.iter().any(noted) {
        // The next refresh finds the remaining outdated nodes again.
        let tag_check_record =
            TagCheckRecord { outdated: Default::default(), failed_renewals: failed, ..newest.tag_check_record.clone() };
        plan.actions.push(Action::note(newest, tag_check_record));
    }
}

struct Renewal<'f, 'a> {
    context: &'f Context<'a>,
    group: &'f Group,
    newest: &'f Generation,
    nodes: Vec<RenewalNode<'f, 'a>>,
}

/// A node and its pods.
struct RenewalNode<'f, 'a> {
    target: CheckTarget<'a>,
    /// The newest generation's pod, if it is not being deleted.
    pod: Option<&'f CoveringPod>,
    check: Option<&'f TagCheck>,
    /// The outdated images on the node, by container name.
    outdated: BTreeSet<&'a str>,
}

/// The next step for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RenewalStep {
    Nothing,
    /// Start a tag check that pulls the current images.
    Start,
    /// Keep the tag check: it is pulling, or holds something that the pod does not hold yet.
    Wait,
    /// Replace the pod while the tag check holds its images.
    Replace,
    /// The node does not get a newer image.
    GiveUp,
    /// Delete the tag check: the pod holds everything that it holds.
    End {
        failed: bool,
    },
}

impl<'f, 'a> Renewal<'f, 'a> {
    fn new(context: &'f Context<'a>, group: &'f Group, newest: &'f Generation) -> Self {
        let held = GenerationDigests::of(context, newest);
        let own = context.pods_of(newest).filter(|pod| !pod.deleting);
        let pods: HashMap<&str, &CoveringPod> = own.filter_map(|pod| Some((pod.node.as_deref()?, pod))).collect();
        let checks: HashMap<&str, &TagCheck> = context.tag_checks.iter().map(|it| (it.name.as_str(), it)).collect();
        let (id, outdated) = (tag_check_id(newest), &newest.tag_check_record.outdated);
        let node = |target: CheckTarget<'a>| {
            let held = |image| held.on(target.node)?.get_key_value(image);
            let is_old = |image: &str, digest| outdated.of(image, target.architecture).contains(digest);
            // Few images are outdated, and nodes hold many.
            let held = outdated.images().filter_map(held);
            RenewalNode {
                target,
                pod: pods.get(target.node).copied(),
                check: checks.get(&*daemon_set::name(newest, &id, target)).copied(),
                outdated: held.filter(|(image, digest)| is_old(image, digest)).map(|(image, _)| *image).collect(),
            }
        };
        let nodes = Candidates::of(context, group, newest).able().map(node).collect();
        Self { context, group, newest, nodes }
    }

    fn step(&self, node: &RenewalNode) -> RenewalStep {
        let Some(check) = node.check else {
            return if node.outdated.is_empty() { RenewalStep::Nothing } else { RenewalStep::Start };
        };
        let holds = |pod: &CoveringPod, hold: Hold| {
            let mut held = self.group.images.iter().filter(|image| check.holds(image));
            held.all(|image| pod.images.iter().any(|it| *it.name == *image.name.as_str() && it.state.hold() >= hold))
        };
        match node.pod {
            _ if check.deleting => RenewalStep::Wait,
            Some(pod) if node.outdated.is_empty() && holds(pod, Hold::Running) => {
                RenewalStep::End { failed: !self.agrees(pod, check) }
            }
            Some(pod) if !node.outdated.is_empty() => self.step_of_outdated(node, pod, check),
            _ => RenewalStep::Wait,
        }
    }

    /// Whether the pod reports the same digest as the tag check for all tags.
    fn agrees(&self, pod: &CoveringPod, check: &TagCheck) -> bool {
        let TagCheckProgress::Done(answers) = check.progress(&self.group.images, self.context.now) else { return true };
        pod.images.iter().all(|image| {
            let own = Digest::of_image_id(&image.image_id);
            answers.iter().all(|(name, answers)| match answers {
                ImageAnswer::Resolved(digest) if **name == *image.name => own.as_ref().is_none_or(|own| own == digest),
                _ => true,
            })
        })
    }

    fn step_of_outdated(&self, node: &RenewalNode, pod: &CoveringPod, check: &TagCheck) -> RenewalStep {
        let TagCheckProgress::Done(answers) = check.progress(&self.group.images, self.context.now) else {
            return RenewalStep::Wait;
        };
        let outdated = &self.newest.tag_check_record.outdated;
        let is_newer = |image: &str| {
            answers.iter().any(|(name, answers)| {
                matches!(answers, ImageAnswer::Resolved(digest) if name == image && !outdated.of(image, node.target.architecture).contains(digest))
            })
        };
        let held = pod.images.iter().filter(|image| image.state.hold() != Hold::None);
        let is_backed = held
            .into_iter()
            .all(|held| self.group.images.iter().any(|image| *held.name == *image.name.as_str() && check.holds(image)));
        match is_backed && node.outdated.iter().all(|image| is_newer(image)) {
            true => RenewalStep::Replace,
            false => RenewalStep::GiveUp,
        }
    }

    fn carry_out(&self, node: &RenewalNode, step: RenewalStep, plan: &mut Plan) {
        plan.tag_checks.extend(node.check.map(|check| check.uid.clone()));
        match (step, node.pod) {
            (RenewalStep::Start, _) => plan.actions.extend(self.start(node)),
            (RenewalStep::Replace, Some(pod)) => plan.actions.push(Action::ReplacePod {
                name: pod.name.to_string(),
                uid: pod.uid.to_string(),
                daemon_set: self.newest.name.clone(),
            }),
            _ => {}
        }
        if let Some(TagCheckProgress::Underway(until)) =
            node.check.map(|check| check.progress(&self.group.images, self.context.now))
        {
            plan.wake_up_at(until);
        }
    }

    fn start(&self, node: &RenewalNode) -> Option<Action> {
        let pulled_always = PulledAlways::of(node.outdated.iter().copied());
        let (list, settings) = (self.context.list, self.context.settings);
        let daemon_set = daemon_set::build(
            list,
            self.group,
            self.newest,
            &tag_check_id(self.newest),
            node.target,
            pulled_always,
            settings,
        )?;
        Some(Action::CheckTags { daemon_set: Box::new(daemon_set) })
    }
}

/// The ID of a renewal, which is the same in any controller process.
fn tag_check_id(newest: &Generation) -> String {
    short_hash(format!("{}\nrenewal", newest.name).as_bytes())
}
