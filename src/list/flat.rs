//! The flat keys, the format of kubernetes-image-puller.

use std::collections::BTreeSet;

use serde::Deserialize;

use jiff::SignedDuration;

use super::config::{
    Architecture, Config, Group, GroupName, Image, ImageCache, NodeGate, Placement, PullRate, Refresh,
};
use super::data::ListData;
use super::group::{self, ImageEntry, RequestAndLimit, ResourceFields};
use super::image_cache::PlatformFields;
use super::limits::{self, Limits};
use super::names::{MAX_OBJECT_NAME, ObjectName, ResourceName};
use super::problem::{Code, quoted};
use super::reader::{At, Place, Problems};
use super::satisfiable::{self, PlacementPart};
use super::schedule::{MAX_INTERVAL_HOURS, Schedule, parse_interval};
use super::tree::TreeNode;
use super::{affinity, hints, image_cache, labels, node_gate, placement, refresh, yaml};

/// The key by which this format is recognized.
pub const KEY: &str = "IMAGES";

/// Declares the keys once: as names, and as the struct that `envy` reads them into, whose field names are the keys in lower
/// case.
macro_rules! keys {
    ($($field:ident $key:literal)*) => {
        /// Every flat key as text. Each is parsed on its own, so that all problems are reported.
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        struct FlatKeys {
            $($field: Option<String>,)*
        }

        /// All keys of this format.
        pub const KEYS: &[&str] = &[$($key,)*];
    };
}

keys! {
    images "IMAGES"
    caching_interval_hours "CACHING_INTERVAL_HOURS"
    caching_memory_request "CACHING_MEMORY_REQUEST"
    caching_memory_limit "CACHING_MEMORY_LIMIT"
    caching_cpu_request "CACHING_CPU_REQUEST"
    caching_cpu_limit "CACHING_CPU_LIMIT"
    caching_ephemeral_storage_request "CACHING_EPHEMERAL_STORAGE_REQUEST"
    caching_ephemeral_storage_limit "CACHING_EPHEMERAL_STORAGE_LIMIT"
    daemonset_name "DAEMONSET_NAME"
    daemonset_annotations "DAEMONSET_ANNOTATIONS"
    namespace "NAMESPACE"
    node_selector "NODE_SELECTOR"
    image_pull_secrets "IMAGE_PULL_SECRETS"
    affinity "AFFINITY"
    tolerations "TOLERATIONS"
    kip_image "KIP_IMAGE"
    architectures "ARCHITECTURES"
    refresh_schedule "REFRESH_SCHEDULE"
    refresh_time_zone "REFRESH_TIME_ZONE"
    refresh_mode "REFRESH_MODE"
    pull_rate "PULL_RATE"
    priority_class_name "PRIORITY_CLASS_NAME"
    runtime_class_name "RUNTIME_CLASS_NAME"
    host_users "HOST_USERS"
    service_account_name "SERVICE_ACCOUNT_NAME"
    pod_labels "POD_LABELS"
    pod_annotations "POD_ANNOTATIONS"
    images_per_pod "IMAGES_PER_POD"
    parallel_pulls "PARALLEL_PULLS"
    image_cache "IMAGE_CACHE"
    image_cache_platforms "IMAGE_CACHE_PLATFORMS"
    image_cache_size "IMAGE_CACHE_SIZE"
    image_cache_retention_days "IMAGE_CACHE_RETENTION_DAYS"
    image_cache_annotations "IMAGE_CACHE_ANNOTATIONS"
    image_cache_pull_secrets "IMAGE_CACHE_PULL_SECRETS"
    image_cache_keep_previous_for "IMAGE_CACHE_KEEP_PREVIOUS_FOR"
    node_gate_taint "NODE_GATE_TAINT"
    node_gate_condition "NODE_GATE_CONDITION"
    node_gate_wait_for "NODE_GATE_WAIT_FOR"
    node_gate_timeout "NODE_GATE_TIMEOUT"
}

/// The name of the DaemonSet if `DAEMONSET_NAME` is not set, as in kubernetes-image-puller.
const DEFAULT_NAME: &str = "kubernetes-image-puller";

/// Parses the keys into a [`Config`] and collects every problem. The result is valid only if there is no error.
pub fn parse(list: &ListData, limits: &Limits, problems: &mut Problems) -> Option<Config> {
    let known = list.data.iter().filter(|(key, _)| KEYS.contains(&key.as_str()));
    let keys: FlatKeys = match envy::from_iter(known.map(|(key, value)| (key.clone(), value.clone()))) {
        Ok(keys) => keys,
        Err(error) => {
            // Every field is an optional text, so this cannot fail.
            problems.error(Place::key(KEY), Code::InvalidValue, error.to_string(), "check the keys of the data");
            return None;
        }
    };
    check_kubernetes_image_puller_keys(&keys, list, problems);
    let others = list.data.iter().filter(|(key, _)| *key != KEY && KEYS.contains(&key.as_str()));
    if !limits::check_flat((KEY, keys.images.as_deref().unwrap_or_default()), others, limits, problems) {
        return None;
    }
    let images = images(keys.images.as_deref().unwrap_or_default(), problems);
    let refresh = refresh_of(&keys, problems);
    let groups = vec![group_of(&keys, images, problems)];
    let image_cache = image_cache_of(&keys, &groups, problems);
    for group in &groups {
        let os_is_right = image_cache::is_for_other_os(image_cache.as_ref(), &group.name);
        satisfiable::check(&group.placement, os_is_right, place_of, problems);
    }
    let node_gate = node_gate_of(&keys, &groups, problems);
    let mut config = Config {
        name: base_name(&keys, problems),
        daemon_set_annotations: json(
            "DAEMONSET_ANNOTATIONS",
            &keys.daemonset_annotations,
            problems,
            labels::annotations,
        )
        .unwrap_or_default(),
        groups,
        refresh,
        pull_rate: pull_rate(&keys, problems),
        image_cache,
        node_gate: None,
        discoveries: Vec::new(),
        found: None,
    };
    config.set_node_gate(node_gate);
    for group in &config.groups {
        limits::check_objects(&config, group, Place::key(KEY), limits, problems);
    }
    limits::check_pods(&config, |_| Place::key("IMAGES_PER_POD"), limits, problems);
    Some(config)
}

fn check_kubernetes_image_puller_keys(keys: &FlatKeys, list: &ListData, problems: &mut Problems) {
    if let Some(namespace) = set(&keys.namespace)
        && namespace != list.namespace
    {
        problems.error(
            Place::key("NAMESPACE"),
            Code::WrongNamespace,
            format!("it is {}, but this list and its DaemonSets are in {:?}", quoted(namespace), list.namespace),
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

/// Whether a value says nothing: it is blank, or JSON of nothing.
pub fn is_empty(value: &str) -> bool {
    let packed: String = value.chars().filter(|letter| !letter.is_whitespace()).take("null.".len()).collect();
    ["", "{}", "[]", "null", "\"\""].contains(&packed.as_str())
}

/// An empty value counts as unset, as in kubernetes-image-puller.
fn set(value: &Option<String>) -> Option<&str> {
    value.as_deref().map(str::trim).filter(|value| !value.is_empty())
}

/// The texts between `;`.
fn separated(value: &Option<String>) -> impl Iterator<Item = &str> {
    set(value).unwrap_or_default().split(';').map(str::trim).filter(|text| !text.is_empty())
}

fn placed(key: &str, value: &Option<String>) -> Option<(Place, String)> {
    set(value).map(|text| (Place::key(key), text.to_owned()))
}

/// `DAEMONSET_NAME`: any valid name, shortened if names that are derived from it would be too long.
fn base_name(keys: &FlatKeys, problems: &mut Problems) -> ObjectName {
    const KEY: &str = "DAEMONSET_NAME";
    let name = set(&keys.daemonset_name).unwrap_or(DEFAULT_NAME);
    if let Err(why) = ResourceName::parse_subdomain(name) {
        problems.error(
            Place::key(KEY),
            Code::InvalidName,
            format!("{} cannot begin the name of a DaemonSet: it {why}", quoted(name)),
            "use lower case letters, digits, '-' and '.'",
        );
        return ObjectName::shortened(DEFAULT_NAME);
    }
    let shortened = ObjectName::shortened(name);
    if shortened.as_str() != name {
        problems.warning(
            Place::key(KEY),
            Code::Shortened,
            format!(
                "the names of the DaemonSets begin with \"{shortened}\", because pod names would be too long otherwise"
            ),
            format!("use at most {MAX_OBJECT_NAME} characters"),
        );
    }
    shortened
}

/// Parses `name=image;name=image;`, with optional white space around every part and an optional final `;`.
fn images(text: &str, problems: &mut Problems) -> Vec<Image> {
    if hints::is_yaml_list(text) {
        problems.error(
            Place::key(KEY),
            Code::InvalidValue,
            "this is a list in YAML or JSON, but the value is name=image;name=image",
            format!("rename the key to {}, or write the images as pairs", yaml::KEY),
        );
        return Vec::new();
    }
    let mut entries = Vec::new();
    for (index, (line, pair)) in pairs(text).enumerate() {
        let place = Place { path: format!("{KEY}[{index}]"), line: line.filter(|_| text.contains('\n')) };
        if let Some((message, remedy)) = hints::missing_separator(pair) {
            problems.error(place, Code::InvalidValue, message, remedy);
            continue;
        }
        let Some((name, image)) = pair.split_once('=') else {
            problems.error(
                place,
                Code::InvalidValue,
                format!("{} is not name=image", quoted(pair)),
                "write every image as name=image, and separate them by ;",
            );
            continue;
        };
        let name = group::label_name(&place, "a container", name.trim(), problems);
        let reference = group::reference(&place, image.trim(), problems);
        entries.push(ImageEntry { name: name.map(|name| (place.clone(), name)), place, reference, pull_policy: None });
    }
    if pairs(text).next().is_none() {
        problems.error(
            Place::key(KEY),
            Code::EmptyList,
            "this list has no image",
            "list at least one image; to release all images, delete the ConfigMap",
        );
    }
    group::name_images(entries, problems)
}

/// Where an image is written first.
pub(super) fn place_of_image(text: &str, reference: &str) -> Option<Place> {
    let is_it = |pair: &str| pair.split_once('=').is_some_and(|(_, image)| image.trim() == reference);
    let (index, (line, _)) = pairs(text).enumerate().find(|(_, (_, pair))| is_it(pair))?;
    Some(Place { path: format!("{KEY}[{index}]"), line: line.filter(|_| text.contains('\n')) })
}

/// The trimmed texts between the `;`, each with its line.
fn pairs(text: &str) -> impl Iterator<Item = (Option<u64>, &str)> {
    let mut line = 1;
    text.split(';').filter_map(move |raw| {
        let pair = raw.trim();
        let begins = line + count_lines(&raw[..raw.len() - raw.trim_start().len()]);
        line += count_lines(raw);
        (!pair.is_empty()).then_some((Some(begins), pair))
    })
}

fn count_lines(text: &str) -> u64 {
    text.bytes().filter(|byte| *byte == b'\n').count() as u64
}

fn group_of(keys: &FlatKeys, images: Vec<Image>, problems: &mut Problems) -> Group {
    let placement = Placement {
        node_selector: json("NODE_SELECTOR", &keys.node_selector, problems, labels::labels).unwrap_or_default(),
        affinity: json("AFFINITY", &keys.affinity, problems, affinity::affinity).flatten(),
        tolerations: json("TOLERATIONS", &keys.tolerations, problems, placement::tolerations).unwrap_or_default(),
        architectures: architectures(&keys.architectures, problems),
        gate_taints: BTreeSet::new(),
    };
    Group {
        name: GroupName::default_group(),
        images,
        placement,
        image_pull_secrets: secrets("IMAGE_PULL_SECRETS", &keys.image_pull_secrets, problems),
        service_account_name: set(&keys.service_account_name).and_then(|text| {
            group::object_name(&Place::key("SERVICE_ACCOUNT_NAME"), "a ServiceAccount", text, problems)
        }),
        resources: group::resources(resources_of(keys), problems),
        priority_class_name: set(&keys.priority_class_name)
            .and_then(|text| group::priority_class(&Place::key("PRIORITY_CLASS_NAME"), text, problems)),
        runtime_class_name: set(&keys.runtime_class_name)
            .and_then(|text| group::object_name(&Place::key("RUNTIME_CLASS_NAME"), "a RuntimeClass", text, problems)),
        host_users: boolean("HOST_USERS", &keys.host_users, problems).unwrap_or(true),
        pod_labels: json("POD_LABELS", &keys.pod_labels, problems, labels::pod_labels).unwrap_or_default(),
        pod_annotations: json("POD_ANNOTATIONS", &keys.pod_annotations, problems, labels::annotations)
            .unwrap_or_default(),
        images_per_pod: group::images_per_pod(
            number("IMAGES_PER_POD", &keys.images_per_pod, "write how many images a pod has at most", problems),
            problems,
        ),
        parallel_pulls: group::parallel_pulls(
            number("PARALLEL_PULLS", &keys.parallel_pulls, "write how many images a node pulls at a time", problems),
            problems,
        ),
        discover: None,
        shard: 0,
    }
}

fn place_of(part: &PlacementPart) -> Place {
    match part {
        PlacementPart::NodeSelector(key) => Place::key(&format!("NODE_SELECTOR.{key}")),
        PlacementPart::Term(index) => Place::key(&format!("AFFINITY.{}", affinity::path_of_term(*index))),
    }
}

fn resources_of(keys: &FlatKeys) -> ResourceFields {
    ResourceFields {
        cpu: RequestAndLimit {
            request: placed("CACHING_CPU_REQUEST", &keys.caching_cpu_request),
            limit: placed("CACHING_CPU_LIMIT", &keys.caching_cpu_limit),
        },
        memory: RequestAndLimit {
            request: placed("CACHING_MEMORY_REQUEST", &keys.caching_memory_request),
            limit: placed("CACHING_MEMORY_LIMIT", &keys.caching_memory_limit),
        },
        ephemeral_storage: RequestAndLimit {
            request: placed("CACHING_EPHEMERAL_STORAGE_REQUEST", &keys.caching_ephemeral_storage_request),
            limit: placed("CACHING_EPHEMERAL_STORAGE_LIMIT", &keys.caching_ephemeral_storage_limit),
        },
    }
}

fn architectures(value: &Option<String>, problems: &mut Problems) -> BTreeSet<Architecture> {
    separated(value).filter_map(|name| placement::architecture(Place::key("ARCHITECTURES"), name, problems)).collect()
}

fn secrets(key: &str, value: &Option<String>, problems: &mut Problems) -> Vec<ResourceName> {
    let place = Place::key(key);
    let names = separated(value);
    let secrets = names
        .filter_map(|name| Some((place.clone(), group::object_name(&place, "a Secret", name, problems)?)))
        .collect();
    group::distinct_secrets(secrets, problems)
}

/// Parses the JSON of a key with the same reader as the other format.
fn json<T>(key: &str, value: &Option<String>, problems: &mut Problems, read: fn(&At, &mut Problems) -> T) -> Option<T> {
    set(value)?;
    // Untrimmed, because leading empty lines count.
    let text = value.as_deref()?;
    let lines = text.trim_end().contains('\n');
    match TreeNode::from_json(text) {
        Ok(node) => {
            let at = At::json(key, &node, lines);
            (!at.is_blank()).then(|| read(&at, problems))
        }
        Err(error) => {
            problems.error(
                Place { path: key.to_owned(), line: error.line.filter(|_| lines) },
                Code::InvalidJson,
                format!("this is not JSON: {}", error.message),
                hints::unfilled(text).map_or_else(|| "check quotes, commas and brackets".to_owned(), hints::fill_in),
            );
            None
        }
    }
}

fn refresh_of(keys: &FlatKeys, problems: &mut Problems) -> Refresh {
    let written = refresh::RefreshFields {
        every: None,
        schedule: placed("REFRESH_SCHEDULE", &keys.refresh_schedule),
        time_zone: placed("REFRESH_TIME_ZONE", &keys.refresh_time_zone),
        mode: placed("REFRESH_MODE", &keys.refresh_mode),
    };
    let scheduled = written.schedule.is_some();
    let mut refresh = refresh::parse(written, problems);
    let interval = caching_interval(keys, problems);
    // A schedule takes precedence, because kubernetes-image-puller's installations always set the interval.
    if let (false, Some(interval)) = (scheduled, interval) {
        refresh.schedule = Schedule::Every(interval);
    }
    refresh
}

fn caching_interval(keys: &FlatKeys, problems: &mut Problems) -> Option<SignedDuration> {
    const KEY: &str = "CACHING_INTERVAL_HOURS";
    let text = set(&keys.caching_interval_hours)?;
    match text.parse::<i64>() {
        Ok(hours @ 1..=MAX_INTERVAL_HOURS) => Some(SignedDuration::from_hours(hours)),
        Ok(_) => {
            problems.error(
                Place::key(KEY),
                Code::OutOfRange,
                format!("{} is not a valid number of hours between refreshes", quoted(text)),
                format!("write a whole number from 1 to {MAX_INTERVAL_HOURS}"),
            );
            None
        }
        Err(_) => {
            let remedy = match parse_interval(text).ok().or_else(|| parse_interval(&hints::in_hours(text)?).ok()) {
                Some(interval) if !(Schedule::MIN_INTERVAL..=Schedule::MAX_INTERVAL).contains(&interval) => {
                    format!("write a whole number from 1 to {MAX_INTERVAL_HOURS}")
                }
                Some(interval) if interval.as_secs() % 3600 == 0 => {
                    format!("write {:?}", interval.as_hours().to_string())
                }
                Some(interval) => format!(
                    "for an interval that is no number of hours, set REFRESH_SCHEDULE to \"@every {interval:#}\""
                ),
                None => "write a whole number of hours, such as \"1\"".to_owned(),
            };
            problems.error(Place::key(KEY), Code::WrongType, format!("{} is not a whole number", quoted(text)), remedy);
            None
        }
    }
}

fn pull_rate(keys: &FlatKeys, problems: &mut Problems) -> PullRate {
    let unit = "write a number of nodes per minute, or 0 for all at once";
    match number("PULL_RATE", &keys.pull_rate, unit, problems) {
        Some((place, number)) => refresh::pull_rate(&place, number, problems),
        None => PullRate::default(),
    }
}

fn number(key: &str, value: &Option<String>, remedy: &str, problems: &mut Problems) -> Option<(Place, i128)> {
    let (place, text) = placed(key, value)?;
    let Ok(number) = text.parse() else {
        problems.error(place, Code::WrongType, format!("{} is not a whole number", quoted(&text)), remedy);
        return None;
    };
    Some((place, number))
}

fn boolean(key: &str, value: &Option<String>, problems: &mut Problems) -> Option<bool> {
    match set(value)? {
        "true" => Some(true),
        "false" => Some(false),
        other => {
            let message = format!("{} is neither true nor false", quoted(other));
            problems.error(Place::key(key), Code::WrongType, message, "write \"true\" or \"false\"");
            None
        }
    }
}

fn image_cache_of(keys: &FlatKeys, groups: &[Group], problems: &mut Problems) -> Option<ImageCache> {
    let enabled = image_cache_wanted(keys, problems);
    let written = image_cache::ImageCacheFields {
        enabled,
        groups: None,
        platforms: image_cache_platforms(keys),
        size: number("IMAGE_CACHE_SIZE", &keys.image_cache_size, "write a number of GiB", problems),
        retention_days: number(
            "IMAGE_CACHE_RETENTION_DAYS",
            &keys.image_cache_retention_days,
            "write a number of days",
            problems,
        ),
        annotations: json("IMAGE_CACHE_ANNOTATIONS", &keys.image_cache_annotations, problems, labels::annotations)
            .unwrap_or_default(),
        image_pull_secrets: secrets("IMAGE_CACHE_PULL_SECRETS", &keys.image_cache_pull_secrets, problems),
        keep_previous_for: placed("IMAGE_CACHE_KEEP_PREVIOUS_FOR", &keys.image_cache_keep_previous_for),
    };
    image_cache::parse(written, groups, problems)
}

fn node_gate_of(keys: &FlatKeys, groups: &[Group], problems: &mut Problems) -> Option<NodeGate> {
    let written = node_gate::NodeGateFields {
        taint: placed("NODE_GATE_TAINT", &keys.node_gate_taint),
        condition: boolean("NODE_GATE_CONDITION", &keys.node_gate_condition, problems),
        wait_for: names_in("NODE_GATE_WAIT_FOR", &keys.node_gate_wait_for),
        timeout: placed("NODE_GATE_TIMEOUT", &keys.node_gate_timeout),
    };
    if written.taint.is_some() || written.condition == Some(true) {
        return node_gate::parse(&Place::key("NODE_GATE_TAINT"), written, groups, problems);
    }
    let others = [&keys.node_gate_wait_for, &keys.node_gate_timeout];
    for (key, _) in
        ["NODE_GATE_WAIT_FOR", "NODE_GATE_TIMEOUT"].into_iter().zip(others).filter(|(_, it)| set(it).is_some())
    {
        problems.warning(
            Place::key(key),
            Code::Ignored,
            "it has no effect, because neither NODE_GATE_TAINT nor NODE_GATE_CONDITION is set",
            "set one of them, or remove the key",
        );
    }
    None
}

fn names_in(key: &str, value: &Option<String>) -> Vec<(Place, String)> {
    let names = separated(value);
    names.map(|name| (Place::key(key), name.to_owned())).collect()
}

fn image_cache_platforms(keys: &FlatKeys) -> Vec<PlatformFields> {
    let place = Place::key("IMAGE_CACHE_PLATFORMS");
    separated(&keys.image_cache_platforms).map(|name| PlatformFields::named(place.clone(), name)).collect()
}

fn image_cache_wanted(keys: &FlatKeys, problems: &mut Problems) -> bool {
    match set(&keys.image_cache) {
        Some(_) => boolean("IMAGE_CACHE", &keys.image_cache, problems).unwrap_or_default(),
        None => {
            let others = [
                ("IMAGE_CACHE_PLATFORMS", &keys.image_cache_platforms),
                ("IMAGE_CACHE_SIZE", &keys.image_cache_size),
                ("IMAGE_CACHE_RETENTION_DAYS", &keys.image_cache_retention_days),
                ("IMAGE_CACHE_ANNOTATIONS", &keys.image_cache_annotations),
                ("IMAGE_CACHE_PULL_SECRETS", &keys.image_cache_pull_secrets),
                ("IMAGE_CACHE_KEEP_PREVIOUS_FOR", &keys.image_cache_keep_previous_for),
            ];
            for (key, _) in others.into_iter().filter(|(_, value)| set(value).is_some_and(|text| text != "{}")) {
                problems.warning(
                    Place::key(key),
                    Code::Ignored,
                    "it has no effect, because IMAGE_CACHE is not set",
                    "set IMAGE_CACHE to \"true\" or \"false\"",
                );
            }
            false
        }
    }
}
