//! The labels and annotations of a list's objects.

use std::collections::BTreeMap;

use super::MAX_LABEL;
use super::hash::short_hash;

/// How the keys of all labels and annotations of kube-prepull begin.
pub const OUR_PREFIX: &str = "kube-prepull.io/";

/// On everything that belongs to a list: the list's name, shortened to what a label can hold.
pub const LIST: &str = "kube-prepull.io/list";
/// On everything that belongs to a group: its name.
pub const GROUP: &str = "kube-prepull.io/group";
/// On a generation and its pods: which shard of a group's images they hold; 0 for the first, and if there is only one.
pub const SHARD: &str = "kube-prepull.io/shard";
/// On a generation and its pods: the hash that also ends its name.
pub const GENERATION: &str = "kube-prepull.io/generation";
/// Selects the accepted versions of lists. The DaemonSet controller keeps ControllerRevisions of its own, with the labels of
/// the pods: those of generations and of tag checks.
pub const REVISIONS_OF_LISTS: &str = "kube-prepull.io/list,!kube-prepull.io/generation,!kube-prepull.io/tag-check";
/// On an ImageCache, which belongs to no namespace: the namespace of its list.
pub const NAMESPACE: &str = "kube-prepull.io/namespace";
/// On an ImageCache: how it was created, as JSON ([`crate::image_cache::cache::CreationRecord`]).
pub const MADE_FROM: &str = "kube-prepull.io/made-from";
/// On a list's newest ControllerRevision: the history of its ImageCaches, as JSON ([`crate::image_cache::ledger::Ledger`]).
pub const IMAGE_CACHES: &str = "kube-prepull.io/image-caches";
/// The recommended label that names the program.
pub const NAME: &str = "app.kubernetes.io/name";
/// The recommended label that names the manager of an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`NAME`] and [`MANAGED_BY`].
pub const PROGRAM: &str = "kube-prepull";

/// Whether kube-prepull manages an object with these labels.
pub fn are_ours(labels: &BTreeMap<String, String>) -> bool {
    labels.get(MANAGED_BY).is_some_and(|it| it == PROGRAM)
}

/// Selects the pods that kubernetes-image-puller left behind; its selector has the same labels.
pub const ADOPTABLE_PODS: [(&str, &str); 2] = [("test", "daemonset-test"), (NAME, "image-puller")];
/// Selects what belongs to no list.
pub const OF_NO_LIST: &str = "!kube-prepull.io/list";

/// On a generation: the hash of the images and nodes that it was created from.
pub const CONTENT: &str = "kube-prepull.io/content";
/// On a generation: the hash of the placement that it was created for, by which a generation for other nodes is recognized
/// ([`crate::plan::generation::placement_hash`]). It is part of [`CONTENT`], but not of the name.
pub const PLACEMENT: &str = "kube-prepull.io/placement";
/// On a retiring generation: the selections of groups after which its own nodes were counted again, as hashes, separated by spaces
/// ([`crate::plan::deselection`]).
pub const COUNTED_FOR: &str = "kube-prepull.io/counted-for";
/// On a generation: its number in the order in which the list's generations were created. Unlike times, it never goes back.
pub const REVISION: &str = "kube-prepull.io/revision";
/// On a generation: the images of its containers as the list spells them, `name=image;name=image`. Admission may rewrite the
/// images in pods, for example to a mirror, and then the pods alone do not show what they hold. On any other workload: images that
/// groups discover in addition to those of its template.
pub const IMAGES: &str = "kube-prepull.io/images";
/// On a generation: the names of the containers whose images its template pulls with `Always`, separated by `;`. All others are
/// pulled with `IfNotPresent`.
pub const PULLED_ALWAYS: &str = "kube-prepull.io/pulled-always";
/// On a generation: the taints of gates that its template tolerates, if any, separated by `,`.
pub const GATE_TAINTS: &str = "kube-prepull.io/gate-taints";
/// On a generation's pod template, and so on its pods: the hash of [`PULLED_ALWAYS`] as it was when the pod was created.
pub const PULL_POLICIES: &str = "kube-prepull.io/pull-policies";
/// On a generation: the epoch, as RFC 3339.
pub const EPOCH: &str = "kube-prepull.io/epoch";
/// On a generation: the spread in seconds.
pub const SPREAD: &str = "kube-prepull.io/spread-seconds";
/// On a generation: the number of parallel pulls that its group is split for; 1 if absent. It follows the key of the list once all shards
/// do.
pub const PARALLEL_PULLS: &str = "kube-prepull.io/parallel-pulls";
/// On a generation: the image of the init container.
pub const HOLDER_IMAGE: &str = "kube-prepull.io/holder-image";
/// On a generation that installs the holder from the controller's image: the image with nothing but the holder, which could not be
/// pulled because no registry had it.
pub const ABSENT_HOLDER_IMAGE: &str = "kube-prepull.io/absent-holder-image";
/// On a generation: the folder that the holder is mounted at in its containers.
pub const HOLDER_FOLDER: &str = "kube-prepull.io/holder-folder";
/// On a generation: the version of the builder that built its pod template.
pub const FORMAT: &str = "kube-prepull.io/format";
/// On a generation: the kind of cluster that it was created for, if that needs other pods: [`OPENSHIFT`].
pub const PLATFORM: &str = "kube-prepull.io/platform";
/// The value of [`PLATFORM`] on OpenShift.
pub const OPENSHIFT: &str = "openshift";
/// On a generation: its `metadata.generation` after kube-prepull's last write; 1 if absent.
pub const SPEC_GENERATION: &str = "kube-prepull.io/spec-generation";
/// On a generation that another client changed: how often it was restored lately, as JSON ([`crate::plan::generation::restores::Restores`]).
pub const RESTORES: &str = "kube-prepull.io/restores";
/// On a retiring generation: to which nodes it was scoped down, `only NODE NODE` or `without NODE NODE`.
pub const NODE_SCOPE: &str = "kube-prepull.io/node-scope";
/// On a list: any new value requests a refresh. On a generation: the value that it answers.
pub const REFRESH_REQUESTED: &str = "kube-prepull.io/refresh-requested";

/// On a generation: the results of the tag checks, as JSON ([`crate::plan::generation::tag_check_record::TagCheckRecord`]).
pub const TAG_CHECKS: &str = "kube-prepull.io/tag-checks";
/// On a generation: which conditions of its group were reported, as JSON.
pub const CONDITIONS: &str = "kube-prepull.io/conditions";
/// On a tag check and its pod: the hash that also ends its name, of the tag check and of the node.
pub const TAG_CHECK: &str = "kube-prepull.io/tag-check";
/// On a tag check and its pod: the architecture of its node; empty if unknown.
pub const TAG_CHECK_ARCHITECTURE: &str = "kube-prepull.io/tag-check-architecture";

/// The refresh that was requested last, in these annotations of a list. Of a very long text the beginning counts: it is noted on
/// DaemonSets, whose annotations are limited.
pub fn refresh_request(annotations: &BTreeMap<String, String>) -> Option<&str> {
    const MAX: usize = 1_000;
    let request = annotations.get(REFRESH_REQUESTED)?;
    Some(&request[..request.floor_char_boundary(MAX)])
}

/// Which shard of its group the labels name; 0 for a whole group.
pub fn shard(labels: &BTreeMap<String, String>) -> u32 {
    labels.get(SHARD).and_then(|shard| shard.parse().ok()).unwrap_or_default()
}

/// The value of [`LIST`] for a list of that name. Label values are shorter than names of objects; one that was shortened
/// holds a `_`, which no name may hold, so it is never another list's name.
pub fn list_value(name: &str) -> String {
    if name.len() <= MAX_LABEL {
        return name.to_owned();
    }
    let hash = short_hash(name.as_bytes());
    // Names of objects are ASCII, so this cuts none of their characters.
    let beginning: String = name.chars().take(MAX_LABEL - hash.len() - 1).collect();
    format!("{beginning}_{hash}")
}

/// On a list: `accepted`, `rejected` or `empty`.
pub const STATE: &str = "kube-prepull.io/state";
/// On a list: the hash of the data that was validated.
pub const DATA_HASH: &str = "kube-prepull.io/data-hash";
/// On a list: its problems, one line each.
pub const PROBLEMS: &str = "kube-prepull.io/problems";
/// On a list, as a label: whether it is warm, `true` or `false`; as an annotation: on how many nodes.
pub const WARM: &str = "kube-prepull.io/warm";
/// On a list: the hash of the data that [`WARM`] is about.
pub const WARM_DATA_HASH: &str = "kube-prepull.io/warm-data-hash";
/// On a list: what its author calls its present version.
pub const VERSION: &str = "kube-prepull.io/version";
/// On a list: the [`VERSION`] that is warm.
pub const WARM_VERSION: &str = "kube-prepull.io/warm-version";
/// On the Lease: the port of its holder's status, for commands that ask it.
pub const STATUS_PORT: &str = "kube-prepull.io/status-port";
/// On a list's newest ControllerRevision: since when the list is known to be missing, as RFC 3339.
pub const MISSING_SINCE: &str = "kube-prepull.io/missing-since";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_that_fits_is_its_own_value() {
        assert_eq!(list_value("tools"), "tools");
        assert_eq!(list_value(&"x".repeat(63)), "x".repeat(63));
    }

    #[test]
    fn lists_whose_long_names_differ_anywhere_have_different_values() {
        let values = ["x".repeat(64), "x".repeat(65), format!("{}y", "x".repeat(64)), format!("{}.y", "x".repeat(62))]
            .map(|name| list_value(&name));
        let distinct: std::collections::BTreeSet<_> = values.iter().collect();
        assert_eq!(distinct.len(), values.len(), "{values:?}");
        // Even a list whose name equals another list's shortened value.
        assert_ne!(list_value(&values[0].replace('_', "-")), values[0]);
    }

    proptest! {
        #[test]
        fn every_name_has_a_value_that_a_label_can_hold(name in "[a-z0-9]([-.a-z0-9]{0,250}[a-z0-9])?") {
            let value = list_value(&name);
            let alphanumeric = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            prop_assert!(value.len() <= MAX_LABEL);
            prop_assert!(alphanumeric(value.chars().next()) && alphanumeric(value.chars().last()));
            prop_assert!(value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)));
        }
    }
}
