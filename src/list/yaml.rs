//! The format of `images.yaml`.

use std::collections::{BTreeMap, BTreeSet};

use super::config::{Config, Group, GroupName, ImageCache, NodeGate, Placement, PullRate, Refresh, Resources};
use super::data::ListData;
use super::group::{self, ImageEntry, PlacedQuantity, RequestAndLimit, ResourceFields};
use super::image_cache::PlatformFields;
use super::limits::{self, Limits};
use super::names::ResourceName;
use super::problem::{Code, quoted};
use super::reader::{At, Fields, Place, Problems};
use super::refresh::interval_text;
use super::satisfiable::{self, PlacementPart};
use super::tree::{TreeNode, Value};
use super::{affinity, discover, foreign, hints, image_cache, labels, node_gate, placement, refresh};

/// The key of this format in a ConfigMap's data.
pub const KEY: &str = "images.yaml";

/// The keys of the document, without those for the images at its top.
const DOCUMENT_KEYS: [&str; 9] = [
    "apiVersion",
    "images",
    "discover",
    "groups",
    "refresh",
    "pullRate",
    "daemonSetAnnotations",
    "imageCache",
    "nodeGate",
];
/// The keys about the nodes and the pods of some images: in a group for its images, at the top of the document for the images
/// there.
pub const POD_KEYS: [&str; 14] = [
    "nodeSelector",
    "affinity",
    "tolerations",
    "architectures",
    "imagePullSecrets",
    "serviceAccountName",
    "resources",
    "priorityClassName",
    "runtimeClassName",
    "hostUsers",
    "podLabels",
    "podAnnotations",
    "imagesPerPod",
    "parallelPulls",
];
/// The keys of the document.
pub const TOP_KEYS: [&str; DOCUMENT_KEYS.len() + POD_KEYS.len()] = joined(&DOCUMENT_KEYS, &POD_KEYS);
/// The keys of a group.
pub const GROUP_KEYS: [&str; 3 + POD_KEYS.len()] = joined(&["name", "images", "discover"], &POD_KEYS);
/// The keys of an image that is a mapping.
pub const IMAGE_KEYS: [&str; 3] = ["name", "image", "imagePullPolicy"];
/// The keys of a Secret that is a mapping.
pub const SECRET_KEYS: [&str; 1] = ["name"];
/// The keys of `refresh`.
pub const REFRESH_KEYS: [&str; 4] = ["every", "schedule", "timeZone", "mode"];
/// The keys of `imageCache`.
pub const IMAGE_CACHE_KEYS: [&str; 8] =
    ["enabled", "groups", "platforms", "size", "retentionDays", "annotations", "imagePullSecrets", "keepPreviousFor"];
/// The keys of `nodeGate`.
pub const NODE_GATE_KEYS: [&str; 4] = ["taint", "condition", "waitFor", "timeout"];
/// The keys of a platform that is a mapping.
pub const PLATFORM_KEYS: [&str; 3] = ["name", "groups", "annotations"];
/// The keys of `resources`.
pub const RESOURCES_KEYS: [&str; 2] = ["requests", "limits"];
/// The keys of `requests` and `limits`.
pub const QUANTITY_KEYS: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// The only value of `apiVersion`.
pub const API_VERSION: &str = "kube-prepull.io/v1";

/// Parses the document into a [`Config`] and collects every problem. The result is valid only if there is no error.
pub fn parse(text: &str, list: &ListData, limits: &Limits, problems: &mut Problems) -> Option<Config> {
    let node = match TreeNode::from_yaml(text) {
        Ok(node) => node,
        Err(error) => {
            let place = Place { path: KEY.to_owned(), line: error.line };
            problems.error(place, Code::InvalidYaml, error.message, yaml_remedy(text, error.line));
            return None;
        }
    };
    let document = At::document(KEY, &node);
    if document.is_empty() {
        // The parser's place of nothing is the end of the text, behind all comments.
        let line = if document.is_blank() { Some(1) } else { document.place().line };
        empty(Place { line, ..document.place() }, problems);
        return None;
    }
    if let Value::Text(text) = &node.value
        && let Some(remedy) = hints::pairs_as_list(text)
    {
        problems.error(document.place(), Code::WrongType, NOT_PAIRS, remedy);
        return None;
    }
    if document.is_sequence() {
        if !limits::check_document(&document, &POD_KEYS, limits, problems) {
            return None;
        }
        let config = config(list, vec![plain_group(GroupName::default_group(), images(&document, problems))]);
        limits::check_objects(&config, &config.groups[0], document.place(), limits, problems);
        return Some(config);
    }
    if let Some((message, remedy)) = foreign::recognize(&node) {
        problems.error(document.place(), Code::NotAList, message, remedy);
        return None;
    }
    if !limits::check_document(&document, &POD_KEYS, limits, problems) {
        return None;
    }
    let fields = document.fields(&TOP_KEYS, problems)?;
    check_api_version(&fields, problems);
    let (places, groups): (Vec<At>, Vec<Group>) = groups(&document, &fields, problems).into_iter().unzip();
    let mut config = config(list, groups);
    if let Some(at) = fields.get("refresh") {
        config.refresh = refresh_of(at, problems);
    }
    if let Some(at) = fields.get("pullRate") {
        config.pull_rate = pull_rate(at, problems);
    }
    if let Some(at) = fields.get("daemonSetAnnotations") {
        config.daemon_set_annotations = labels::annotations(at, problems);
    }
    if let Some(at) = fields.get("imageCache") {
        config.image_cache = image_cache_of(at, &config.groups, problems);
    }
    if let Some(at) = fields.get("nodeGate") {
        let node_gate = node_gate_of(at, &config.groups, problems);
        config.set_node_gate(node_gate);
    }
    for (at, group) in places.iter().zip(&config.groups) {
        let os_is_right = image_cache::is_for_other_os(config.image_cache.as_ref(), &group.name);
        satisfiable::check(&group.placement, os_is_right, |part| place_of(part, at), problems);
        limits::check_objects(&config, group, at.place(), limits, problems);
    }
    limits::check_pods(&config, |index| places[index].place(), limits, problems);
    Some(config)
}

const NOT_PAIRS: &str = "expected a list, got pairs name=image";

/// Whether a text says nothing: there are only comments, or keys without values.
pub fn is_empty(text: &str) -> bool {
    let says_nothing = |node: TreeNode| match &node.value {
        Value::Mapping(entries) => entries.iter().all(|(key, value)| {
            key.name == "apiVersion" || (TOP_KEYS.contains(&key.name.as_str()) && value.is_empty())
        }),
        _ => node.is_empty(),
    };
    text.trim().is_empty() || TreeNode::from_yaml(text).is_ok_and(says_nothing)
}

/// To YAML, a brace begins a mapping and a bracket a list, so `{{ tag }}` and `[fd00::3]:5000/app:1` are no YAML.
fn yaml_remedy(text: &str, line: Option<u64>) -> String {
    let index = line.and_then(|line| usize::try_from(line).ok()?.checked_sub(1));
    let line = index.and_then(|index| text.lines().nth(index)).unwrap_or_default();
    let in_text = || hints::unfilled(text).filter(|variable| variable.starts_with("{{"));
    if let Some(variable) = hints::unfilled(line).or_else(in_text) {
        return hints::fill_in(variable);
    }
    match line.contains("]:") || line.contains("]/") {
        true => "put the reference that begins with a bracket in quotes".to_owned(),
        false => "correct the YAML at this line".to_owned(),
    }
}

/// Both arrays, one after the other.
const fn joined<const N: usize>(first: &[&'static str], second: &[&'static str]) -> [&'static str; N] {
    let mut keys = [""; N];
    let mut index = 0;
    while index < N {
        keys[index] = if index < first.len() { first[index] } else { second[index - first.len()] };
        index += 1;
    }
    keys
}

fn config(list: &ListData, groups: Vec<Group>) -> Config {
    Config {
        name: super::names::ObjectName::shortened(&list.name),
        daemon_set_annotations: BTreeMap::new(),
        groups,
        refresh: Refresh::default(),
        pull_rate: PullRate::default(),
        image_cache: None,
        node_gate: None,
        discoveries: Vec::new(),
        found: None,
    }
}

fn plain_group(name: GroupName, images: Vec<super::config::Image>) -> Group {
    Group {
        name,
        images,
        placement: Placement::default(),
        image_pull_secrets: Vec::new(),
        service_account_name: None,
        resources: Resources::default(),
        priority_class_name: None,
        runtime_class_name: None,
        host_users: true,
        pod_labels: BTreeMap::new(),
        pod_annotations: BTreeMap::new(),
        images_per_pod: None,
        parallel_pulls: Group::DEFAULT_PARALLEL_PULLS,
        discover: None,
        shard: 0,
    }
}

fn empty(place: Place, problems: &mut Problems) {
    problems.error(
        place,
        Code::EmptyList,
        "this list has no image",
        "list at least one image; to release all images, delete the ConfigMap",
    );
}

fn empty_group(place: Place, problems: &mut Problems) {
    let remedy = "list at least one image in it, or remove the group";
    problems.error(place, Code::EmptyList, "this group has no image", remedy);
}

fn check_api_version(fields: &Fields, problems: &mut Problems) {
    let Some(at) = fields.get("apiVersion") else { return };
    if let Some(text) = at.text(problems)
        && text != API_VERSION
    {
        problems.error(
            at.place(),
            Code::InvalidValue,
            format!("this version of kube-prepull does not know {}", quoted(text)),
            format!("write {API_VERSION}, or leave the key out"),
        );
    }
}

/// The groups, each with its place. Blank images or groups count as unset beside the others.
fn groups<'a>(document: &At<'a>, fields: &Fields<'a>, problems: &mut Problems) -> Vec<(At<'a>, Group)> {
    let mut groups = Vec::new();
    let mut top = plain_group(GroupName::default_group(), Vec::new());
    set_pod_keys(&mut top, fields, problems);
    match set_images(&mut top, fields, problems) {
        true => groups.push((document.clone(), top)),
        false => check_without_images(fields, problems),
    }
    match fields.get_unless_empty("groups") {
        Some(at) => named_groups(at, &mut groups, problems),
        None if groups.is_empty() => {
            let written = fields.get_or_blank("images").or(fields.get_or_blank("groups"));
            empty(written.unwrap_or(document).place(), problems);
        }
        None => {}
    }
    groups
}

fn named_groups<'a>(at: &At<'a>, groups: &mut Vec<(At<'a>, Group)>, problems: &mut Problems) {
    let top_level_images = !groups.is_empty();
    let mut seen: BTreeSet<String> = groups.iter().map(|(_, group)| group.name.to_string()).collect();
    let items = at.items(problems);
    let no_image = if top_level_images || items.len() > 1 { empty_group } else { empty };
    for item in items {
        let Some((has_name, group)) = named_group(&item, no_image, problems) else { continue };
        if has_name && !seen.insert(group.name.to_string()) {
            let (message, remedy) = if top_level_images && group.name.is_default() {
                ("the name \"default\" belongs to the top-level images".to_owned(), "choose another name")
            } else {
                (format!("the group \"{}\" is defined twice", group.name), "give every group its own name")
            };
            problems.error(item.place(), Code::DuplicateName, message, remedy);
        }
        groups.push((item, group));
    }
}

/// Parses a group, and returns whether its name is valid. `no_image` reports that it has no image.
fn named_group(at: &At, no_image: fn(Place, &mut Problems), problems: &mut Problems) -> Option<(bool, Group)> {
    let fields = at.fields(&GROUP_KEYS, problems)?;
    let name = group_name(&fields, problems);
    let has_name = name.is_some();
    // The rest is checked even without a valid name.
    let mut group = plain_group(name.unwrap_or_else(GroupName::default_group), Vec::new());
    if !set_images(&mut group, &fields, problems) {
        no_image(fields.get_or_blank("images").unwrap_or(at).place(), problems);
    }
    set_pod_keys(&mut group, &fields, problems);
    Some((has_name, group))
}

/// Parses the images of a group, or those at the top of the document, and what else is discovered. Returns whether either is
/// written.
fn set_images(group: &mut Group, fields: &Fields, problems: &mut Problems) -> bool {
    let (written, discovered) = (fields.get_unless_empty("images"), fields.get("discover"));
    if let Some(at) = written {
        group.images = images(at, problems);
    }
    if let Some(at) = discovered {
        group.discover = discover::parse(at, problems);
    }
    written.is_some() || discovered.is_some()
}

/// Parses the keys about nodes and pods, those of a group or those at the top of the document.
fn set_pod_keys(group: &mut Group, fields: &Fields, problems: &mut Problems) {
    group.placement = placement_of(fields, problems);
    if let Some(at) = fields.get("imagePullSecrets") {
        group.image_pull_secrets = secrets(at, problems);
    }
    group.service_account_name = named(fields, "serviceAccountName", "a ServiceAccount", problems);
    if let Some(at) = fields.get("priorityClassName") {
        group.priority_class_name =
            at.text(problems).and_then(|text| group::priority_class(&at.place(), text, problems));
    }
    group.runtime_class_name = named(fields, "runtimeClassName", "a RuntimeClass", problems);
    group.host_users = fields.get("hostUsers").and_then(|at| at.boolean(problems)).unwrap_or(true);
    if let Some(at) = fields.get("resources") {
        group.resources = resources(at, problems);
    }
    if let Some(at) = fields.get("podLabels") {
        group.pod_labels = labels::pod_labels(at, problems);
    }
    if let Some(at) = fields.get("podAnnotations") {
        group.pod_annotations = labels::annotations(at, problems);
    }
    let mut number = |key: &str| {
        let at = fields.get(key)?;
        Some((at.place(), at.integer(problems)?))
    };
    let (images_per_pod, parallel_pulls) = (number("imagesPerPod"), number("parallelPulls"));
    group.images_per_pod = group::images_per_pod(images_per_pod, problems);
    group.parallel_pulls = group::parallel_pulls(parallel_pulls, problems);
}

/// Keys at the top apply to the images there only. Whoever writes them for all groups would otherwise get pods on the wrong nodes.
fn check_without_images(fields: &Fields, problems: &mut Problems) {
    if fields.get_unless_empty("groups").is_none() {
        return;
    }
    for (key, at) in POD_KEYS.iter().filter_map(|key| Some((key, fields.get_unless_empty(key)?))) {
        problems.error(
            at.place(),
            Code::MissingKey,
            format!("`{key}` at the top applies to the `images` at the top, and this list has none"),
            format!("write `{key}` into each group that it is for"),
        );
    }
}

fn group_name(fields: &Fields, problems: &mut Problems) -> Option<GroupName> {
    let Some(at) = fields.get("name") else {
        problems.error(fields.place(), Code::MissingKey, "this group has no name", "add the key `name`");
        return None;
    };
    let text = at.text(problems)?;
    group::label_name(&at.place(), "a group", text, problems).map(GroupName::new)
}

fn named(fields: &Fields, key: &str, what: &str, problems: &mut Problems) -> Option<ResourceName> {
    let at = fields.get(key)?;
    let text = at.text(problems)?;
    group::object_name(&at.place(), what, text, problems)
}

fn placement_of(fields: &Fields, problems: &mut Problems) -> Placement {
    let mut placement = Placement::default();
    if let Some(at) = fields.get("nodeSelector") {
        placement.node_selector = labels::labels(at, problems);
    }
    if let Some(at) = fields.get("affinity") {
        placement.affinity = affinity::affinity(at, problems);
    }
    if let Some(at) = fields.get("tolerations") {
        placement.tolerations = placement::tolerations(at, problems);
    }
    if let Some(at) = fields.get("architectures") {
        placement.architectures = placement::architectures(at, problems);
    }
    placement
}

fn place_of(part: &PlacementPart, group: &At) -> Place {
    match part {
        PlacementPart::NodeSelector(key) => group.child("nodeSelector").child(key).place(),
        PlacementPart::Term(index) => affinity::place_of_term(&group.child("affinity"), *index),
    }
}

/// Parses a sequence of references, or of mappings with a name and an image.
fn images(at: &At, problems: &mut Problems) -> Vec<super::config::Image> {
    if let Value::Text(text) = &at.node().value
        && let Some(remedy) = hints::pairs_as_list(text)
    {
        problems.error(at.place(), Code::WrongType, NOT_PAIRS, remedy);
        return Vec::new();
    }
    let items = at.items(problems);
    let entries = items.iter().filter_map(|item| image(item, problems)).collect();
    group::name_images(entries, problems)
}

fn image(at: &At, problems: &mut Problems) -> Option<ImageEntry> {
    if !at.is_mapping() {
        let reference = group::reference(&at.place(), at.text(problems)?, problems);
        return Some(ImageEntry { place: at.place(), name: None, reference, pull_policy: None });
    }
    let fields = at.fields(&IMAGE_KEYS, problems)?;
    let name = fields.get("name").and_then(|name| {
        let text = name.text(problems)?;
        Some((name.place(), group::label_name(&name.place(), "a container", text, problems)?))
    });
    let pull_policy = fields
        .get("imagePullPolicy")
        .and_then(|policy| group::pull_policy(&policy.place(), policy.text(problems)?, problems));
    let Some(image) = fields.get("image") else {
        problems.error(at.place(), Code::MissingKey, "this entry has no image", "add the key `image`");
        return Some(ImageEntry { place: at.place(), name, reference: None, pull_policy });
    };
    let reference = image.text(problems).and_then(|text| group::reference(&image.place(), text, problems));
    Some(ImageEntry { place: image.place(), name, reference, pull_policy })
}

/// Parses names of Secrets or, as in pods, mappings with a name.
fn secrets(at: &At, problems: &mut Problems) -> Vec<ResourceName> {
    let secrets = at.items(problems);
    let secrets = secrets.iter().filter_map(|item| secret(item, problems)).collect();
    group::distinct_secrets(secrets, problems)
}

fn secret(at: &At, problems: &mut Problems) -> Option<(Place, ResourceName)> {
    let at = match at.is_mapping() {
        false => at.clone(),
        true => match at.fields(&SECRET_KEYS, problems)?.get("name") {
            Some(name) => name.clone(),
            None => {
                problems.error(at.place(), Code::MissingKey, "this entry has no name", "add the key `name`");
                return None;
            }
        },
    };
    let text = at.text(problems)?;
    Some((at.place(), group::object_name(&at.place(), "a Secret", text, problems)?))
}

fn resources(at: &At, problems: &mut Problems) -> Resources {
    let Some(fields) = at.fields(&RESOURCES_KEYS, problems) else {
        return Resources::default();
    };
    let requests = fields.get("requests").and_then(|at| at.fields(&QUANTITY_KEYS, problems));
    let limits = fields.get("limits").and_then(|at| at.fields(&QUANTITY_KEYS, problems));
    let mut of = |resource: &str| RequestAndLimit {
        request: quantity(requests.as_ref(), resource, problems),
        limit: quantity(limits.as_ref(), resource, problems),
    };
    let written = ResourceFields { cpu: of("cpu"), memory: of("memory"), ephemeral_storage: of("ephemeral-storage") };
    group::resources(written, problems)
}

fn quantity(fields: Option<&Fields>, resource: &str, problems: &mut Problems) -> PlacedQuantity {
    let at = fields?.get(resource)?;
    Some((at.place(), at.quantity(problems)?))
}

fn refresh_of(at: &At, problems: &mut Problems) -> Refresh {
    let Some(fields) = at.fields(&REFRESH_KEYS, problems) else {
        return Refresh::default();
    };
    let every = fields.get("every").and_then(|at| interval_text(at, problems));
    let mut text = |key: &str| {
        let at = fields.get(key)?;
        Some((at.place(), at.text(problems)?.to_owned()))
    };
    let written =
        refresh::RefreshFields { every, schedule: text("schedule"), time_zone: text("timeZone"), mode: text("mode") };
    refresh::parse(written, problems)
}

fn pull_rate(at: &At, problems: &mut Problems) -> PullRate {
    match at.integer(problems) {
        Some(number) => refresh::pull_rate(&at.place(), number, problems),
        None => PullRate::default(),
    }
}

fn image_cache_of(at: &At, groups: &[Group], problems: &mut Problems) -> Option<ImageCache> {
    let fields = at.fields(&IMAGE_CACHE_KEYS, problems)?;
    let enabled = match fields.get("enabled") {
        Some(at) => at.boolean(problems),
        None => {
            // An ImageCache costs money, so it is never enabled by default.
            problems.error(at.place(), Code::MissingKey, "`enabled` is missing", "set it to true or false");
            None
        }
    };
    let mut number = |key: &str| {
        let at = fields.get(key)?;
        Some((at.place(), at.integer(problems)?))
    };
    let (size, retention_days) = (number("size"), number("retentionDays"));
    let written = image_cache::ImageCacheFields {
        enabled: enabled.unwrap_or_default(),
        groups: fields.get("groups").map(|at| image_cache::groups(at, problems)),
        platforms: fields.get("platforms").map(|at| platforms(at, problems)).unwrap_or_default(),
        size,
        retention_days,
        annotations: fields.get("annotations").map(|at| labels::annotations(at, problems)).unwrap_or_default(),
        image_pull_secrets: fields.get("imagePullSecrets").map(|at| secrets(at, problems)).unwrap_or_default(),
        keep_previous_for: fields.get("keepPreviousFor").and_then(|at| interval_text(at, problems)),
    };
    image_cache::parse(written, groups, problems)
}

fn node_gate_of(at: &At, groups: &[Group], problems: &mut Problems) -> Option<NodeGate> {
    let fields = at.fields(&NODE_GATE_KEYS, problems)?;
    let written = node_gate::NodeGateFields {
        taint: fields.get("taint").and_then(|at| Some((at.place(), at.text(problems)?.to_owned()))),
        condition: fields.get("condition").and_then(|at| at.boolean(problems)),
        wait_for: fields.get("waitFor").map(|at| node_gate::names(at, problems)).unwrap_or_default(),
        timeout: fields.get("timeout").and_then(|at| interval_text(at, problems)),
    };
    node_gate::parse(&at.place(), written, groups, problems)
}

/// Parses the names of platforms, or mappings with a name.
fn platforms(at: &At, problems: &mut Problems) -> Vec<PlatformFields> {
    let items =
        at.some_items("platforms", "name at least one platform, or remove the key for a single ImageCache", problems);
    items.iter().filter_map(|item| platform(item, problems)).collect()
}

fn platform(at: &At, problems: &mut Problems) -> Option<PlatformFields> {
    if !at.is_mapping() {
        return Some(PlatformFields::named(at.place(), at.text(problems)?));
    }
    let fields = at.fields(&PLATFORM_KEYS, problems)?;
    let groups = fields.get("groups").map(|at| image_cache::groups(at, problems));
    let annotations = fields.get("annotations").map(|at| labels::annotations(at, problems)).unwrap_or_default();
    let Some(name) = fields.get("name") else {
        problems.error(at.place(), Code::MissingKey, "this platform has no name", "add the key `name`");
        return None;
    };
    Some(PlatformFields { groups, annotations, ..PlatformFields::named(name.place(), name.text(problems)?) })
}
