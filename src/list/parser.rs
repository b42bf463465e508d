//! Finds out which format a list uses, and parses it.

use std::borrow::Cow;

use super::config::{Config, GateTaints, Group};
use super::data::{ListData, MAX_BYTES};
use super::keys::check_keys;
use super::limits::{self, Limits};
use super::names::ResourceName;
use super::policy::{self, Policy};
use super::problem::{self, Code, Problem, Severity, quoted};
use super::reader::{Place, Problems};
use super::{discover, flat, hints, yaml};

/// The result of parsing a list: a [`Config`] with at most warnings, or problems with at least one error.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The accepted version; `None` if the list is rejected.
    pub config: Option<Config>,
    /// Whether nothing is wrong except that it has no image, neither at the top nor in a group. A list that is new may start so.
    pub empty: bool,
    /// All problems: those without a line first, the others in the order of the text. Flat keys have a fixed order.
    pub problems: Vec<Problem>,
}

/// Parses a list, whatever it asks for. All problems are reported at once.
pub fn parse(list: &ListData) -> Parsed {
    parsed(list, &Limits::CEILING, None)
}

/// Parses a list, and rejects it if it asks for what the policy does not allow.
pub fn parse_with_policy(list: &ListData, policy: &Policy) -> Parsed {
    parsed(list, &Limits::CEILING, Some(policy))
}

/// Parses a version of a list that was accepted before, maybe when higher limits applied.
/// Its gate counts only if it is one of these.
pub fn parse_accepted(list: &ListData, gate_taints: &GateTaints) -> Option<Config> {
    let mut config = parsed(list, &Limits::OF_ACCEPTED, None).config?;
    config.restrict_node_gate(gate_taints);
    Some(config)
}

/// Parses a list within these limits, and rejects it if it asks for what a policy does not allow.
pub(super) fn parsed(list: &ListData, limits: &Limits, policy: Option<&Policy>) -> Parsed {
    let mut problems = Problems::up_to(limits.problems);
    check_identity(list, &mut problems);
    let mut config = match format_of(list, limits, &mut problems) {
        Some(ListFormat::Yaml(text)) => {
            check_keys(&without_unread(list, &mut problems), &[yaml::KEY], flat::KEYS, &mut problems);
            yaml::parse(text, list, limits, &mut problems)
        }
        Some(ListFormat::Flat) => {
            check_keys(&without_unread(list, &mut problems), flat::KEYS, &[yaml::KEY], &mut problems);
            flat::parse(list, limits, &mut problems)
        }
        None => None,
    };
    if let (Some(policy), Some(config)) = (policy, config.as_mut().filter(|config| !has_no_image(Some(config)))) {
        policy::check(policy, list, config, &mut problems);
        policy::restrict_node_gate(policy, list, config, &mut problems);
        policy::warn_of_namespaces(policy, list, config, &mut problems);
    }
    let mut problems = problems.into_vec();
    if list.data.contains_key(yaml::KEY) {
        // The checks do not run in the order of the text.
        problems.sort_by_key(|problem| problem.line);
    }
    let rejected = problem::any_error(&problems);
    if rejected {
        // What is worth a thought about a good list only hides the errors of a bad one.
        problems.retain(|problem| problem.code != Code::NoTag);
    }
    let empty = rejected && has_no_image(config.as_ref()) && problems.iter().all(is_no_mistake);
    let mut config = config.filter(|_| !rejected);
    if let Some(config) = &mut config {
        discover::merged(config, list.found.as_ref());
    }
    Parsed { config, empty, problems }
}

/// Whether there is no image and none is sought, as far as the user wrote.
fn has_no_image(config: Option<&Config>) -> bool {
    let has_none = |group: &Group| group.images.is_empty() && group.discover.is_none();
    config.is_none_or(|config| config.groups.iter().all(has_none))
}

fn is_no_mistake(problem: &Problem) -> bool {
    problem.severity == Severity::Warning || problem.code.says_that_it_is_empty()
}

enum ListFormat<'a> {
    Yaml(&'a str),
    Flat,
}

fn format_of<'a>(list: &'a ListData, limits: &Limits, problems: &mut Problems) -> Option<ListFormat<'a>> {
    let bytes: usize = list.data.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > MAX_BYTES {
        problems.error(
            Place::key("data"),
            Code::TooLarge,
            format!("{bytes} bytes exceed the limit of {MAX_BYTES}"),
            "split it into several lists",
        );
        return None;
    }
    if !limits::check_stored(list, limits, problems) {
        return None;
    }
    let set_flat = set_flat_keys(list);
    match (list.data.get(yaml::KEY), set_flat.as_slice()) {
        (Some(text), [_, ..]) if !yaml::is_empty(text) => {
            problems.error(
                Place::key(yaml::KEY),
                Code::BothFormats,
                format!("the ConfigMap has both {} and {}", yaml::KEY, set_flat.join(", ")),
                format!("keep one format: move everything into {0}, or remove {0}", yaml::KEY),
            );
            None
        }
        (Some(text), []) => Some(ListFormat::Yaml(text)),
        (_, [_, ..]) => Some(ListFormat::Flat),
        (None, []) if list.data.keys().any(|key| flat::KEYS.contains(&key.as_str())) => Some(ListFormat::Flat),
        (None, []) => {
            let others = without_documents(list, problems);
            check_keys(&others, &[&[yaml::KEY], flat::KEYS].concat(), &[], problems);
            problems.error(
                Place::key("data"),
                Code::NoList,
                format!("the ConfigMap has neither {} nor {}", yaml::KEY, flat::KEY),
                "add one of them; to release all images, delete the ConfigMap",
            );
            None
        }
    }
}

/// The flat keys that say something. An empty value counts as unset, so a template may have the keys of both formats.
fn set_flat_keys(list: &ListData) -> Vec<&'static str> {
    let is_set = |key: &&str| list.data.get(*key).is_some_and(|value| !flat::is_empty(value));
    flat::KEYS.iter().copied().filter(is_set).collect()
}

/// The data without documents that nothing reads, if there are no images elsewhere: then they are what the user wrote.
fn without_unread<'a>(list: &'a ListData, problems: &mut Problems) -> Cow<'a, ListData> {
    // Most lists have no other keys. Whether they have images is then not worth reading them twice.
    if list.data.keys().all(|key| is_known(key)) {
        return Cow::Borrowed(list);
    }
    let flat_images = list.data.get(flat::KEY).is_some_and(|value| !flat::is_empty(value));
    let has_images = flat_images || list.data.get(yaml::KEY).is_some_and(|text| !yaml::is_empty(text));
    if has_images { Cow::Borrowed(list) } else { Cow::Owned(without_documents(list, problems)) }
}

fn is_known(key: &str) -> bool {
    key.is_empty() || key == yaml::KEY || flat::KEYS.contains(&key)
}

/// The data without keys that are probably meant to be `images.yaml`, which are reported.
fn without_documents(list: &ListData, problems: &mut Problems) -> ListData {
    let remedy = match (list.data.contains_key(yaml::KEY), set_flat_keys(list).as_slice()) {
        (_, keys @ [_, ..]) => format!("rename it to {}, and move what {} says into it", yaml::KEY, keys.join(", ")),
        (true, []) => format!("rename it to {}, in place of the empty one", yaml::KEY),
        (false, []) => format!("rename it to {}", yaml::KEY),
    };
    let mut others = list.clone();
    others.data.retain(|key, value| {
        let is_document = !is_known(key) && hints::is_meant_as_document(key, value);
        if is_document {
            let message = format!("unknown key {}", quoted(key));
            problems.error(Place::key(key), Code::UnknownKey, message, remedy.clone());
        }
        !is_document
    });
    others
}

/// Checks what the API server checks in a cluster, and nobody checks in a file.
fn check_identity(list: &ListData, problems: &mut Problems) {
    let name = ResourceName::parse_subdomain(&list.name).map(drop);
    let namespace = ResourceName::parse(&list.namespace).map(drop);
    for (path, text, why) in
        [("metadata.name", &list.name, name.err()), ("metadata.namespace", &list.namespace, namespace.err())]
    {
        if let Some(why) = why {
            problems.error(
                Place::key(path),
                Code::InvalidName,
                format!("{} is not a valid name: it {why}", quoted(text)),
                "use lower case letters, digits and '-'",
            );
        }
    }
    // apimachinery's `IsConfigMapKey`.
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    for key in list.data.keys().filter(|key| !(1..=253).contains(&key.len()) || !key.chars().all(allowed)) {
        problems.error(
            Place::key("data"),
            Code::InvalidName,
            format!("{} cannot be a key of a ConfigMap", quoted(key)),
            "use at most 253 letters, digits, '-', '_' and '.'",
        );
    }
}
