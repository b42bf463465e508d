//! Adoption of DaemonSets of kubernetes-image-puller: each becomes the oldest generation of a list, and retires.
//!
//! Such a DaemonSet is identified by the labels of its pods, which are in its selector too. It has no labels of its own
//! (`utils/clusterutils.go` of che-incubator/kubernetes-image-puller). Once adopted, it carries kube-prepull's labels,
//! so it is watched, kept and deleted like any other generation.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;

use super::decision::{Action, Waiting};
use crate::coverage::{Coverage, NO_LIST};
use crate::list::Config;
use crate::list::reference::ImageReference;
use crate::naming::labels;

/// A DaemonSet of kubernetes-image-puller that no list has adopted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoptable {
    /// Name of the DaemonSet.
    pub name: String,
    /// UID of the DaemonSet.
    pub uid: String,
    /// The images that its pods hold or pull, in normal form.
    pub images: BTreeSet<String>,
}

/// Finds the DaemonSets of kubernetes-image-puller among those that belong to no list. `pods` are the pods with its
/// labels.
pub fn find<'a>(daemon_sets: impl Iterator<Item = &'a ObjectMeta>, pods: &Coverage) -> Vec<Adoptable> {
    let mut images: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for pod in pods.pods_of(NO_LIST) {
        let held = pod.images.iter().map(|image| ImageReference::normal_form_of(&image.reference));
        images.entry(&pod.generation).or_default().extend(held);
    }
    let live = daemon_sets.filter(|metadata| metadata.deletion_timestamp.is_none());
    let adoption = |metadata: &ObjectMeta| {
        let (name, uid) = (metadata.name.clone()?, metadata.uid.clone()?);
        let images = images.get(name.as_str())?.clone();
        Some(Adoptable { name, uid, images })
    };
    live.filter_map(adoption).collect()
}

/// What the list `own` does about adoptable DaemonSets, and what it reports about those that no list adopts. `lists`
/// are all lists in effect, by name.
///
/// A DaemonSet is adopted by the list whose `DAEMONSET_NAME` is its name, otherwise by the first list by name that
/// contains any of its images. The first list by name reports those that remain.
pub fn adopt(
    own: &str,
    lists: &[(&str, &Config)],
    adoptable: &[Adoptable],
    owner: Option<&OwnerReference>,
) -> (Vec<Action>, Vec<Waiting>) {
    let reports = lists.iter().map(|(name, _)| *name).min() == Some(own);
    let (mut actions, mut waiting) = (Vec::new(), Vec::new());
    for candidate in adoptable {
        match adopting_list(candidate, lists) {
            Some(adopting_list) if adopting_list == own => actions.push(Action::Adopt {
                name: candidate.name.clone(),
                uid: candidate.uid.clone(),
                list: labels::list_value(own),
                owner: owner.cloned(),
            }),
            None if reports => waiting.push(Waiting::Unadopted { daemon_set: candidate.name.clone() }),
            _ => {}
        }
    }
    (actions, waiting)
}

fn adopting_list<'a>(adoption: &Adoptable, lists: &[(&'a str, &Config)]) -> Option<&'a str> {
    let first =
        |fits: &dyn Fn(&Config) -> bool| lists.iter().filter(|(_, config)| fits(config)).map(|(name, _)| *name).min();
    first(&|config| is_named_by(config, adoption)).or_else(|| first(&|config| wants(config, adoption)))
}

/// Whether a list adopts a DaemonSet if no other one does first.
pub fn may_adopt(config: &Config, adoptable: &Adoptable) -> bool {
    is_named_by(config, adoptable) || wants(config, adoptable)
}

fn is_named_by(config: &Config, adoptable: &Adoptable) -> bool {
    config.name.as_str() == adoptable.name
}

fn wants(config: &Config, adoptable: &Adoptable) -> bool {
    let mut images = config.groups.iter().flat_map(|group| &group.images);
    images.any(|image| adoptable.images.contains(&image.reference.normal_form()))
}
