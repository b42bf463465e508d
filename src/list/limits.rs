//! How large a list may be. Sizes are checked before anything is done with what a list says, so that a list which is too large costs no
//! more than its own size.
//!
//! A shard of a group becomes one pod per node and one DaemonSet. What they may weigh follows from the API server: etcd takes requests
//! of 1.5 MiB (`DefaultMaxRequestBytes` in `go.etcd.io/etcd/server/v3/embed`), and all annotations of an object together 256 KiB
//! (`TotalAnnotationSizeLimitB` in `k8s.io/apimachinery/pkg/api/validation`). A pod's status grows with its images too, and grows most
//! while all of them fail.

use std::cmp::Reverse;

use super::config::{Config, Group, Image, Placement};
use super::data::ListData;
use super::hints;
use super::problem::Code;
use super::reader::{At, MAX_PROBLEMS, Place, Problems};
use super::tree::{TreeNode, Value};

/// How large a list may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Groups of a list, including that of the images at the top.
    pub groups: usize,
    /// Images of a group.
    pub images_per_group: usize,
    /// Images of all groups of a list.
    pub images: usize,
    /// Pods that a node may get.
    pub pods_per_node: usize,
    /// Bytes of the names and references of a group's images, as they are written.
    pub image_bytes: usize,
    /// Bytes of everything else that a group says, and of each other part of a list.
    pub setting_bytes: usize,
    /// Whether the objects that are made of a list must fit an API server.
    pub objects_fit: bool,
    /// Problems that are reported one by one.
    pub problems: usize,
}

impl Limits {
    /// The limits for every list.
    pub const CEILING: Self = Self {
        groups: 100,
        images_per_group: 1_000,
        images: 2_000,
        pods_per_node: 100,
        image_bytes: 256 << 10,
        setting_bytes: 64 << 10,
        objects_fit: true,
        problems: MAX_PROBLEMS,
    };

    /// The limits for a version that was accepted before, by a release with higher ones. It stays in effect, so that nothing is released. What even exceeds these is left on the nodes as it is.
    pub const OF_ACCEPTED: Self = Self {
        groups: 500,
        images_per_group: 2_000,
        images: 5_000,
        pods_per_node: usize::MAX,
        image_bytes: 1 << 20,
        setting_bytes: 512 << 10,
        objects_fit: false,
        problems: MAX_PROBLEMS,
    };

    /// These limits, with at most so many problems that are reported one by one.
    #[must_use]
    pub fn with_problems(self, most: usize) -> Self {
        Self { problems: self.problems.min(most), ..self }
    }
}

/// The most bytes of a list's data as JSON, in which its accepted version is stored: what etcd takes, without what else the object holds.
const MAX_STORED: usize = 1280 << 10;

/// What the annotations of one object may take together.
const ALL_ANNOTATIONS: usize = 256 << 10;
/// What kube-prepull's own records take at most: of tag checks 100,000 bytes, of conditions 48,000, and some short ones.
const OWN_ANNOTATIONS: usize = 152_000;
/// What a pod may take: what etcd takes, without some space for what admission adds.
const MAX_POD: usize = 1300 << 10;
/// What an image takes in a pod beside its reference: its container in the spec, in the status and in the managed fields.
const BYTES_PER_IMAGE: usize = 1_100;
/// How often the reference of an image is in a pod: in the spec, twice in the status, and four times in the message of a failed pull.
const REFERENCES_PER_IMAGE: usize = 7;

const SPLIT_LIST: &str = "split it into several lists";
const SPLIT_GROUP: &str = "split them into several groups or lists";
const IN_GROUP: &str = "images of one group";
const IN_ALL: &str = "images in all groups";

/// Whether a list's data can be stored. Otherwise that is reported.
pub fn check_stored(list: &ListData, limits: &Limits, problems: &mut Problems) -> bool {
    let bytes = stored_bytes(list);
    let fits = !limits.objects_fit || bytes <= MAX_STORED;
    if !fits {
        problems.error(
            Place::key("data"),
            Code::TooLarge,
            format!("as JSON, in which accepted versions are stored, its {bytes} bytes exceed the limit of {MAX_STORED}"),
            "split it into several lists, or leave out line breaks, quotes, angle brackets and control characters, which take more there",
        );
    }
    fits
}

fn stored_bytes(list: &ListData) -> usize {
    list.data.iter().map(|(key, value)| in_json(key) + in_json(value) + 6).sum()
}

/// The length of a text in JSON as Go writes it (`appendString` in `encoding/json`).
fn in_json(text: &str) -> usize {
    let of = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        b'<' | b'>' | b'&' | 0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(of).sum()
}

/// Whether the parts of an `images.yaml` are within the limits. Otherwise that is reported. `pod_keys` are those for the images at its
/// top.
pub fn check_document(document: &At, pod_keys: &[&str], limits: &Limits, problems: &mut Problems) -> bool {
    if document.is_sequence() {
        return check_images(document, limits, problems);
    }
    let parts = document.children();
    let part = |key: &str| parts.iter().find(|(name, _)| *name == key).map(|(_, at)| at);
    let (images, groups) = (part("images"), part("groups"));
    let at_top = images.map_or(0, count);
    let has_top = at_top > 0 || part("discover").is_some_and(|at| !at.is_blank());
    let within = images.is_none_or(|at| check_images(at, limits, problems))
        && groups.is_none_or(|at| check_groups(at, has_top, at_top, limits, problems));
    let pods = parts.iter().filter(|(key, _)| pod_keys.contains(key));
    let others = ["daemonSetAnnotations", "discover", "imageCache", "nodeGate"];
    let others = parts.iter().filter(|(key, _)| others.contains(key));
    within
        && check_settings(document, pods.map(|(_, at)| weight(at.node())).sum(), limits, problems)
        && others.fold(true, |within, (_, at)| check_settings(at, weight(at.node()), limits, problems) && within)
}

/// `has_top`: whether there is a group at the top of the document too, with `at_top` images.
fn check_groups(at: &At, has_top: bool, at_top: usize, limits: &Limits, problems: &mut Problems) -> bool {
    let number = count(at) + usize::from(has_top);
    if !at.is_sequence() || number > limits.groups {
        return !at.is_sequence() || too_many(at, number, "groups", limits.groups, SPLIT_LIST, problems);
    }
    let groups = at.items(problems);
    let images = || groups.iter().filter_map(|group| group.node().child("images"));
    let all = at_top + images().map(items).sum::<usize>();
    if all > limits.images {
        return too_many(at, all, IN_ALL, limits.images, SPLIT_LIST, problems);
    }
    groups.iter().filter(|group| group.is_mapping()).fold(true, |within, group| {
        let images = group.node().child("images").map(|_| group.child("images"));
        let settings = weight(group.node()) - images.as_ref().map_or(0, |at| weight(at.node()));
        let images_fit = images.is_none_or(|at| check_images(&at, limits, problems));
        check_settings(group, settings, limits, problems) && images_fit && within
    })
}

fn check_images(at: &At, limits: &Limits, problems: &mut Problems) -> bool {
    let (number, bytes) = (count(at), weight(at.node()));
    if number > limits.images_per_group {
        return too_many(at, number, IN_GROUP, limits.images_per_group, SPLIT_GROUP, problems);
    }
    bytes <= limits.image_bytes || images_too_long(at.place(), bytes, limits, problems)
}

fn check_settings(at: &At, bytes: usize, limits: &Limits, problems: &mut Problems) -> bool {
    bytes <= limits.setting_bytes || settings_too_long(at.place(), bytes, limits, problems)
}

/// Whether flat keys are within the limits: the pairs of images below `key`, and all others. Otherwise that is reported.
pub fn check_flat<'a>(
    (key, images): (&str, &str),
    others: impl Iterator<Item = (&'a String, &'a String)> + Clone,
    limits: &Limits,
    problems: &mut Problems,
) -> bool {
    let pairs = || images.split(';').map(str::trim).filter(|pair| !pair.is_empty());
    let (number, place) = (pairs().count(), Place::key(key));
    let bytes: usize = pairs().map(|pair| pair.len() + 2).sum();
    let limit = limits.images_per_group.min(limits.images);
    if number > limit {
        return number_exceeds(place, number, "images", limit, SPLIT_LIST, problems);
    }
    // What is no pairs at all gets a better answer.
    if bytes > limits.image_bytes && !hints::is_yaml_list(images) {
        return images_too_long(place, bytes, limits, problems);
    }
    let largest = others.clone().max_by_key(|(_, value)| value.trim().len());
    let all: usize = others.map(|(_, value)| value.trim().len()).sum();
    match largest {
        Some((key, _)) if all > limits.setting_bytes => settings_too_long(Place::key(key), all, limits, problems),
        _ => true,
    }
}

fn too_many(at: &At, number: usize, what: &str, limit: usize, remedy: &str, problems: &mut Problems) -> bool {
    number_exceeds(at.place(), number, what, limit, remedy, problems)
}

fn number_exceeds(
    place: Place,
    number: usize,
    what: &str,
    limit: usize,
    remedy: &str,
    problems: &mut Problems,
) -> bool {
    problems.error(place, Code::TooLarge, format!("{number} {what} exceed the limit of {limit}"), remedy);
    false
}

fn images_too_long(place: Place, bytes: usize, limits: &Limits, problems: &mut Problems) -> bool {
    let message = format!("{bytes} bytes of images in one group exceed the limit of {}", limits.image_bytes);
    problems.error(place, Code::TooLarge, message, SPLIT_GROUP);
    false
}

fn settings_too_long(place: Place, bytes: usize, limits: &Limits, problems: &mut Problems) -> bool {
    let message = format!("{bytes} bytes of settings exceed the limit of {}", limits.setting_bytes);
    problems.error(place, Code::TooLarge, message, "shorten them");
    false
}

/// Checks that a node gets no more pods than it can take beside others: kubelets run 110 by default (`MaxPods` in
/// `k8s.io/kubernetes/pkg/kubelet/apis/config/v1beta1`). `place` is that of a group, by its index.
pub fn check_pods(config: &Config, place: impl Fn(usize) -> Place, limits: &Limits, problems: &mut Problems) {
    let together = |group: &Group| {
        let others = config.groups.iter().filter(|other| may_share_a_node(&group.placement, &other.placement));
        others.map(Group::new_shards).sum::<usize>()
    };
    let Some((pods, index)) = config.groups.iter().enumerate().map(|(index, it)| (together(it), index)).max() else {
        return;
    };
    if pods > limits.pods_per_node {
        let message =
            format!("a node may get {pods} pods of this list, which exceeds the limit of {}", limits.pods_per_node);
        let remedy = "use a higher `imagesPerPod`, a lower `parallelPulls` or fewer groups for the same nodes";
        problems.error(place(index), Code::TooLarge, message, remedy);
    }
}

/// Whether the same node may be selected twice, as far as node selectors and architectures say.
fn may_share_a_node(one: &Placement, other: &Placement) -> bool {
    let differs = |(key, value): (&String, &String)| other.node_selector.get(key).is_some_and(|it| it != value);
    let apart = !one.architectures.is_empty()
        && !other.architectures.is_empty()
        && one.architectures.is_disjoint(&other.architectures);
    !apart && !one.node_selector.iter().any(differs)
}

/// Checks that the objects of a group are not too large for an API server, whichever of its images come into one shard.
pub fn check_objects(config: &Config, group: &Group, place: Place, limits: &Limits, problems: &mut Problems) {
    if !limits.objects_fit {
        return;
    }
    let images_per_pod = group.images_per_pod().min(group.images.len());
    let of_longest = |bytes: fn(&Image) -> usize| {
        let mut bytes: Vec<usize> = group.images.iter().map(bytes).collect();
        bytes.sort_unstable_by_key(|bytes| Reverse(*bytes));
        bytes.iter().take(images_per_pod).sum::<usize>()
    };
    // The names are in two of them: with their references, and as those that are pulled always.
    let images = of_longest(|image| image.reference.as_str().len() + 2 * (image.name.as_str().len() + 2));
    let written: usize = config.daemon_set_annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    let (annotations, limit) = (images + written, ALL_ANNOTATIONS - OWN_ANNOTATIONS);
    if annotations > limit {
        problems.error(
            place,
            Code::TooLarge,
            format!(
                "a DaemonSet notes its images in annotations; those of {images_per_pod} images of this group and the list's own take \
                 {annotations} bytes, which exceeds the limit of {limit}"
            ),
            "use a lower `imagesPerPod`, or shorten the references and `daemonSetAnnotations`",
        );
        return;
    }
    let pod =
        images_per_pod * BYTES_PER_IMAGE + of_longest(|image| image.reference.as_str().len()) * REFERENCES_PER_IMAGE;
    if pod > MAX_POD {
        let message = format!(
            "a pod with {images_per_pod} images of this group may take {pod} bytes, which exceeds the limit of {MAX_POD}"
        );
        problems.error(place, Code::TooLarge, message, "use a lower `imagesPerPod`, or shorten the references");
    }
}

/// Whether a list is within the limits with the images that were found for it. What the user wrote is checked before these are added.
///
/// # Errors
/// The first limit that it exceeds, and where, in words.
pub fn fits(config: &Config, limits: &Limits) -> Result<(), String> {
    let mut problems = Problems::up_to(1);
    let place = |index: usize| Place::key(&format!("group {}", config.groups[index].name));
    for (index, group) in config.groups.iter().enumerate() {
        let (number, most) = (group.images.len(), limits.images_per_group);
        if number > most {
            number_exceeds(place(index), number, IN_GROUP, most, SPLIT_GROUP, &mut problems);
        }
        check_objects(config, group, place(index), limits, &mut problems);
    }
    let all: usize = config.groups.iter().map(|group| group.images.len()).sum();
    if all > limits.images {
        number_exceeds(Place::key("list"), all, IN_ALL, limits.images, SPLIT_LIST, &mut problems);
    }
    check_pods(config, place, limits, &mut problems);
    match problems.into_vec().first() {
        Some(first) => Err(format!("{}: {}", first.path, first.message)),
        None => Ok(()),
    }
}

/// Whether a list's data can be stored together with what was found for it.
pub fn can_be_stored(list: &ListData) -> bool {
    // Maps of texts always become JSON.
    let found = list.found.as_deref().and_then(|found| serde_json::to_vec(found).ok());
    stored_bytes(list) + found.map_or(0, |json| json.len()) <= MAX_STORED
}

fn count(at: &At) -> usize {
    items(at.node())
}

fn items(node: &TreeNode) -> usize {
    if let Value::Sequence(nodes) = &node.value { nodes.len() } else { 0 }
}

/// About how many bytes a value takes when it is written.
fn weight(node: &TreeNode) -> usize {
    const PUNCTUATION: usize = 2;
    PUNCTUATION
        + match &node.value {
            Value::Text(text) => text.len(),
            Value::Sequence(nodes) => nodes.iter().map(weight).sum(),
            Value::Mapping(entries) => {
                entries.iter().map(|(key, node)| key.name.len() + PUNCTUATION + weight(node)).sum()
            }
            Value::Null => 0,
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) => 4,
        }
}

#[cfg(test)]
mod tests;
