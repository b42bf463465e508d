//! The notation of kubernetes-image-puller: flat keys.

use std::collections::BTreeSet;

use serde::Deserialize;

use jiff::SignedDuration;

use super::config::{Architecture, Config, Group, GroupName, Image, Placement, PullRate, Refresh};
use super::group::{self, ImageEntry, PlacedQuantity};
use super::names::{ObjectName, ResourceName};
use super::problem::Code;
use super::reader::{At, Place, Problems};
use super::schedule::Schedule;
use super::tree::Node;
use super::{ListData, placement, refresh, suggest};

/// The key that makes a ConfigMap's data this notation.
pub const KEY: &str = "IMAGES";

/// Every flat key as text; each is parsed by itself, so that all problems show. (Read by `envy`, whose field names are the
/// keys in lower case.)
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FlatKeys {
    images: Option<String>,
    caching_interval_hours: Option<String>,
    caching_memory_request: Option<String>,
    caching_memory_limit: Option<String>,
    caching_cpu_request: Option<String>,
    caching_cpu_limit: Option<String>,
    daemonset_name: Option<String>,
    daemonset_annotations: Option<String>,
    namespace: Option<String>,
    node_selector: Option<String>,
    image_pull_secrets: Option<String>,
    affinity: Option<String>,
    tolerations: Option<String>,
    kip_image: Option<String>,
    architectures: Option<String>,
    refresh_schedule: Option<String>,
    refresh_time_zone: Option<String>,
    refresh_mode: Option<String>,
    pull_rate: Option<String>,
    priority_class_name: Option<String>,
    service_account_name: Option<String>,
    pod_labels: Option<String>,
    pod_annotations: Option<String>,
}

/// All keys of this notation.
pub const KEYS: [&str; 23] = [
    "IMAGES",
    "CACHING_INTERVAL_HOURS",
    "CACHING_MEMORY_REQUEST",
    "CACHING_MEMORY_LIMIT",
    "CACHING_CPU_REQUEST",
    "CACHING_CPU_LIMIT",
    "DAEMONSET_NAME",
    "DAEMONSET_ANNOTATIONS",
    "NAMESPACE",
    "NODE_SELECTOR",
    "IMAGE_PULL_SECRETS",
    "AFFINITY",
    "TOLERATIONS",
    "KIP_IMAGE",
    "ARCHITECTURES",
    "REFRESH_SCHEDULE",
    "REFRESH_TIME_ZONE",
    "REFRESH_MODE",
    "PULL_RATE",
    "PRIORITY_CLASS_NAME",
    "SERVICE_ACCOUNT_NAME",
    "POD_LABELS",
    "POD_ANNOTATIONS",
];

/// The name of the DaemonSet where `DAEMONSET_NAME` is not set, as in kubernetes-image-puller.
const DEFAULT_NAME: &str = "kubernetes-image-puller";

/// Parses the keys into a [`Config`], noting every problem; the result counts only where there is no error.
pub fn parse(list: &ListData, problems: &mut Problems) -> Option<Config> {
    check_keys(list, problems);
    let known = list.data.iter().filter(|(key, _)| KEYS.contains(&key.as_str()));
    let keys: FlatKeys = match envy::from_iter(known.map(|(key, value)| (key.clone(), value.clone()))) {
        Ok(keys) => keys,
        Err(error) => {
            // Every field is an optional text, which no value can fail to be.
            problems.error(Place::key(KEY), Code::InvalidValue, error.to_string(), "check the keys of the data");
            return None;
        }
    };
    check_kubernetes_image_puller_keys(&keys, list, problems);
    let images = images(keys.images.as_deref().unwrap_or_default(), problems);
    let refresh = refresh_of(&keys, problems);
    let group = group_of(&keys, images, problems);
    Some(Config {
        name: base_name(&keys, problems),
        daemon_set_annotations: json(
            "DAEMONSET_ANNOTATIONS",
            &keys.daemonset_annotations,
            problems,
            placement::annotations,
        )
        .unwrap_or_default(),
        groups: vec![group],
        refresh,
        pull_rate: pull_rate(&keys, problems),
    })
}

/// A key that is close to a known one is most likely a misspelling, so it is an error. Others may be there for another
/// reader of the same ConfigMap.
fn check_keys(list: &ListData, problems: &mut Problems) {
    for key in list.data.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        match suggest::closest(key, &KEYS) {
            Some(known) => problems.error(
                Place::key(key),
                Code::UnknownKey,
                format!("there is no key {key:?}"),
                format!("did you mean {known:?}?"),
            ),
            None => problems.warning(
                Place::key(key),
                Code::UnknownKey,
                format!("there is no key {key:?}; it has no effect"),
                "remove it if nothing else reads it",
            ),
        }
    }
}

fn check_kubernetes_image_puller_keys(keys: &FlatKeys, list: &ListData, problems: &mut Problems) {
    if let Some(namespace) = set(&keys.namespace)
        && namespace != list.namespace
    {
        problems.error(
            Place::key("NAMESPACE"),
            Code::WrongNamespace,
            format!(
                "it says {namespace:?}, but this list is in {:?}, and its images are held from there",
                list.namespace
            ),
            "move the ConfigMap to that namespace, or remove the key",
        );
    }
    if set(&keys.kip_image).is_some() {
        problems.warning(
            Place::key("KIP_IMAGE"),
            Code::Ignored,
            "it has no effect: the program in the containers comes from kube-prepull's own image",
            "remove it",
        );
    }
}

/// An empty value counts as unset, as in kubernetes-image-puller.
fn set(value: &Option<String>) -> Option<&str> {
    value.as_deref().map(str::trim).filter(|value| !value.is_empty())
}

fn placed(key: &str, value: &Option<String>) -> Option<(Place, String)> {
    set(value).map(|text| (Place::key(key), text.to_owned()))
}

fn base_name(keys: &FlatKeys, problems: &mut Problems) -> ObjectName {
    let name = set(&keys.daemonset_name).unwrap_or(DEFAULT_NAME);
    ObjectName::parse(name).unwrap_or_else(|why| {
        problems.error(
            Place::key("DAEMONSET_NAME"),
            Code::InvalidName,
            format!("{name:?} cannot begin the name of a DaemonSet: it {why}"),
            "use lower case letters, digits, '-' and '.'",
        );
        ObjectName::shortened(DEFAULT_NAME)
    })
}

/// `name=image;name=image;`, with white space around every part and an optional final `;`.
fn images(text: &str, problems: &mut Problems) -> Vec<Image> {
    let mut entries = Vec::new();
    let pairs = text.split(';').map(str::trim).enumerate();
    for (index, pair) in pairs.filter(|(_, pair)| !pair.is_empty()) {
        let place = Place::key(&format!("{KEY}[{index}]"));
        let Some((name, image)) = pair.split_once('=') else {
            problems.error(
                place,
                Code::InvalidValue,
                format!("{pair:?} is not name=image"),
                "write every image as name=image, and separate them by ;",
            );
            continue;
        };
        let name = group::label_name(&place, "a container", name.trim(), problems);
        let reference = group::reference(&place, image.trim(), problems);
        if let (Some(name), Some(reference)) = (name, reference) {
            entries.push(ImageEntry { place, name: Some(name), reference });
        }
    }
    if text.split(';').all(|pair| pair.trim().is_empty()) {
        problems.error(
            Place::key(KEY),
            Code::EmptyList,
            "there is no image in this list",
            "name at least one image; to let go of all images, delete the ConfigMap",
        );
    }
    group::name_images(entries, problems)
}

fn group_of(keys: &FlatKeys, images: Vec<Image>, problems: &mut Problems) -> Group {
    let cpu = quantity_pair(
        ("CACHING_CPU_REQUEST", &keys.caching_cpu_request),
        ("CACHING_CPU_LIMIT", &keys.caching_cpu_limit),
    );
    let memory = quantity_pair(
        ("CACHING_MEMORY_REQUEST", &keys.caching_memory_request),
        ("CACHING_MEMORY_LIMIT", &keys.caching_memory_limit),
    );
    let placement = Placement {
        node_selector: json("NODE_SELECTOR", &keys.node_selector, problems, placement::node_selector)
            .unwrap_or_default(),
        affinity: json("AFFINITY", &keys.affinity, problems, placement::affinity).flatten(),
        tolerations: json("TOLERATIONS", &keys.tolerations, problems, placement::tolerations).unwrap_or_default(),
        architectures: architectures(&keys.architectures, problems),
    };
    Group {
        name: GroupName::default_group(),
        images,
        placement,
        image_pull_secrets: secrets(&keys.image_pull_secrets, problems),
        service_account_name: named("SERVICE_ACCOUNT_NAME", "a ServiceAccount", &keys.service_account_name, problems),
        resources: group::resources(cpu, memory, problems),
        priority_class_name: named("PRIORITY_CLASS_NAME", "a PriorityClass", &keys.priority_class_name, problems),
        pod_labels: json("POD_LABELS", &keys.pod_labels, problems, super::pod_labels).unwrap_or_default(),
        pod_annotations: json("POD_ANNOTATIONS", &keys.pod_annotations, problems, placement::annotations)
            .unwrap_or_default(),
    }
}

fn quantity_pair(request: (&str, &Option<String>), limit: (&str, &Option<String>)) -> (PlacedQuantity, PlacedQuantity) {
    (placed(request.0, request.1), placed(limit.0, limit.1))
}

fn named(key: &str, what: &str, value: &Option<String>, problems: &mut Problems) -> Option<ResourceName> {
    group::object_name(&Place::key(key), what, set(value)?, problems)
}

fn architectures(value: &Option<String>, problems: &mut Problems) -> BTreeSet<Architecture> {
    let Some(text) = set(value) else {
        return BTreeSet::new();
    };
    let names = text.split(';').map(str::trim).filter(|name| !name.is_empty());
    names.filter_map(|name| placement::architecture(Place::key("ARCHITECTURES"), name, problems)).collect()
}

fn secrets(value: &Option<String>, problems: &mut Problems) -> Vec<ResourceName> {
    let place = Place::key("IMAGE_PULL_SECRETS");
    let names = set(value).unwrap_or_default().split(';').map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .filter_map(|name| group::object_name(&place, "a Secret", name, problems))
        .collect()
}

/// Reads the JSON of a key with the reader that the other notation uses for the same thing.
fn json<T>(key: &str, value: &Option<String>, problems: &mut Problems, read: fn(&At, &mut Problems) -> T) -> Option<T> {
    let text = set(value)?;
    match Node::from_json(text) {
        Ok(node) => {
            let at = At::json(key, &node);
            (!at.is_null()).then(|| read(&at, problems))
        }
        Err(error) => {
            problems.error(
                Place::key(key),
                Code::InvalidJson,
                format!("this is not JSON: {error}"),
                "check quotes, commas and brackets",
            );
            None
        }
    }
}

fn refresh_of(keys: &FlatKeys, problems: &mut Problems) -> Refresh {
    let written = refresh::Written {
        every: None,
        schedule: placed("REFRESH_SCHEDULE", &keys.refresh_schedule),
        time_zone: placed("REFRESH_TIME_ZONE", &keys.refresh_time_zone),
        mode: placed("REFRESH_MODE", &keys.refresh_mode),
    };
    let scheduled = written.schedule.is_some();
    let mut refresh = refresh::parse(written, problems);
    let interval = caching_interval(keys, problems);
    // A schedule wins: kubernetes-image-puller's installations always set the interval.
    if let (false, Some(interval)) = (scheduled, interval) {
        refresh.schedule = Schedule::Every(interval);
    }
    refresh
}

fn caching_interval(keys: &FlatKeys, problems: &mut Problems) -> Option<SignedDuration> {
    const KEY: &str = "CACHING_INTERVAL_HOURS";
    let text = set(&keys.caching_interval_hours)?;
    match text.parse::<i64>() {
        Ok(hours @ 1..=8784) => Some(SignedDuration::from_hours(hours)),
        Ok(_) => {
            problems.error(
                Place::key(KEY),
                Code::OutOfRange,
                format!("{text} is no number of hours between refreshes"),
                "write a whole number from 1 to 8784",
            );
            None
        }
        Err(_) => {
            problems.error(
                Place::key(KEY),
                Code::WrongType,
                format!("{text:?} is not a whole number"),
                "write a whole number of hours, such as \"1\"",
            );
            None
        }
    }
}

fn pull_rate(keys: &FlatKeys, problems: &mut Problems) -> PullRate {
    let Some((place, text)) = placed("PULL_RATE", &keys.pull_rate) else {
        return PullRate::default();
    };
    match text.parse::<i128>() {
        Ok(number) => refresh::pull_rate(&place, number, problems),
        Err(_) => {
            problems.error(
                place,
                Code::WrongType,
                format!("{text:?} is not a whole number"),
                "write a number of nodes per minute, or 0 for all at once",
            );
            PullRate::default()
        }
    }
}
