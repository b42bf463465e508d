//! Finds out which format a list uses, and parses it.

use super::config::Config;
use super::data::{ListData, MAX_BYTES};
use super::keys::check_keys;
use super::names::ResourceName;
use super::problem::{self, Code, Problem, quoted};
use super::reader::{Place, Problems};
use super::{flat, yaml};

/// The result of parsing a list: a [`Config`] with at most warnings, or problems with at least one error.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The accepted version; `None` if the list is rejected.
    pub config: Option<Config>,
    /// All problems: those without a line first, the others in the order of the text. Flat keys have a fixed order.
    pub problems: Vec<Problem>,
}

/// Parses a list. All problems are reported at once.
pub fn parse(list: &ListData) -> Parsed {
    let mut problems = Problems::default();
    check_identity(list, &mut problems);
    let config = match format_of(list, &mut problems) {
        Some(ListFormat::Yaml(text)) => yaml::parse(text, list, &mut problems),
        Some(ListFormat::Flat) => flat::parse(list, &mut problems),
        None => None,
    };
    let mut problems = problems.into_vec();
    if list.data.contains_key(yaml::KEY) {
        // The checks do not run in the order of the text.
        problems.sort_by_key(|problem| problem.line);
    }
    let rejected = problem::any_error(&problems);
    Parsed { config: config.filter(|_| !rejected), problems }
}

enum ListFormat<'a> {
    Yaml(&'a str),
    Flat,
}

fn format_of<'a>(list: &'a ListData, problems: &mut Problems) -> Option<ListFormat<'a>> {
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
    let flat = list.data.keys().find(|key| flat::KEYS.contains(&key.as_str()));
    match (list.data.get(yaml::KEY), flat) {
        (Some(_), Some(flat)) => {
            problems.error(
                Place::key(yaml::KEY),
                Code::BothFormats,
                format!("the ConfigMap has both {} and {flat}", yaml::KEY),
                format!("keep one format: move everything into {0}, or remove {0}", yaml::KEY),
            );
            None
        }
        (Some(text), None) => Some(ListFormat::Yaml(text)),
        (None, Some(_)) => Some(ListFormat::Flat),
        (None, None) => {
            check_keys(list, &[&[yaml::KEY], flat::KEYS].concat(), problems);
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
