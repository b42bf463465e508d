//! The labels and annotations by which objects of a list are known, and in which a generation says what it is.

/// What the keys of all labels and annotations of ours begin with.
pub const PREFIX: &str = "kube-prepull.io/";

/// On everything that belongs to a list: the list's name, shortened to what a label can hold.
pub const LIST: &str = "kube-prepull.io/list";
/// On everything that belongs to a group: its name.
pub const GROUP: &str = "kube-prepull.io/group";
/// On a generation and its pods: which part of a group's images they hold (0 until groups are split).
pub const SHARD: &str = "kube-prepull.io/shard";
/// On a generation and its pods: the hash that also ends its name.
pub const GENERATION: &str = "kube-prepull.io/generation";
/// The recommended label that names the program.
pub const NAME: &str = "app.kubernetes.io/name";
/// The recommended label that names what takes care of an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`NAME`] and [`MANAGED_BY`].
pub const PROGRAM: &str = "kube-prepull";

/// On a generation: the hash of the images and nodes that it was made from.
pub const CONTENT: &str = "kube-prepull.io/content";
/// On a generation: its number in the order in which the list's generations were made. Clocks may jump; this does not.
pub const REVISION: &str = "kube-prepull.io/revision";
/// On a generation: what its containers hold as the list spells it, `name=image;name=image`. Admission may rewrite images
/// on their way into pods (to a mirror, say), and then pods alone do not tell what they hold.
pub const IMAGES: &str = "kube-prepull.io/images";
/// On a generation: the epoch, as RFC 3339.
pub const EPOCH: &str = "kube-prepull.io/epoch";
/// On a generation: the spread in seconds.
pub const SPREAD: &str = "kube-prepull.io/spread-seconds";
/// On a generation: the image of the init container.
pub const HOLDER_IMAGE: &str = "kube-prepull.io/holder-image";
/// On a generation: the version of the builder that made its pod template.
pub const FORMAT: &str = "kube-prepull.io/format";
/// On a generation: the `metadata.generation` that our last write left; 1 where it is missing.
pub const SPEC_GENERATION: &str = "kube-prepull.io/spec-generation";
/// On a list: any new value asks for a refresh. On a generation: the value that it answers.
pub const REFRESH_REQUESTED: &str = "kube-prepull.io/refresh-requested";

/// The value of [`LIST`] for a list of that name: label values are shorter than names of objects.
pub fn list_value(name: &str) -> String {
    crate::list::names::shortened(name, crate::list::names::MAX_LABEL)
}

/// On a list: `accepted` or `rejected`.
pub const STATE: &str = "kube-prepull.io/state";
/// On a list: the hash of the data that the state is about.
pub const DATA_HASH: &str = "kube-prepull.io/data-hash";
/// On a list: what is wrong with it, a line each.
pub const PROBLEMS: &str = "kube-prepull.io/problems";
/// On a list's newest ControllerRevision: since when the list is known to be missing, as RFC 3339.
pub const MISSING_SINCE: &str = "kube-prepull.io/missing-since";
