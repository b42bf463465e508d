//! What the user wrote → [`Config`]. Pure.
//!
//! ```text
//! data ─► which notation? ─┬─► yaml: images.yaml ─► tree ─┐
//!                          └─► flat: IMAGES, … ───────────┴─► reader + checks ─► Config, or every problem at once
//! ```
//! - [`tree`]: a document in which every value knows its line
//! - [`reader`]: reading a tree while collecting problems
//! - [`yaml`], [`flat`]: the two notations
//! - [`group`], [`placement`], [`refresh`]: the checks that both share
//! - [`config`], [`names`], [`reference`], [`quantity`], [`schedule`]: the types that come out

pub mod config;
pub mod flat;
mod group;
pub mod names;
mod placement;
pub mod problem;
pub mod quantity;
mod reader;
pub mod reference;
mod refresh;
pub mod schedule;
mod suggest;
mod tree;
pub mod yaml;

use std::collections::BTreeMap;

pub use config::Config;
pub use problem::{Code, Problem, Severity};
use reader::{At, Place, Problems};

/// The label whose value `"true"` makes a ConfigMap an image list.
pub const IMAGE_LIST_LABEL: &str = "kube-prepull.io/image-list";

/// The most bytes of data that a ConfigMap can hold (the API server's limit is 1 MiB for all of its values).
pub const MAX_BYTES: usize = 1 << 20;

/// A list as it stands in the cluster or in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListData {
    /// The ConfigMap's namespace.
    pub namespace: String,
    /// The ConfigMap's name.
    pub name: String,
    /// The ConfigMap's data.
    pub data: BTreeMap<String, String>,
}

/// What parsing a list comes to: a [`Config`] with warnings at most, or problems with at least one error.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The accepted form; `None` where the list is rejected.
    pub config: Option<Config>,
    /// Everything that was found, in the order of the text.
    pub problems: Vec<Problem>,
}

/// Parses a list. All problems are reported at once.
pub fn parse(list: &ListData) -> Parsed {
    let mut problems = Problems::default();
    let config = match notation(list, &mut problems) {
        Some(Notation::Yaml(text)) => yaml::parse(text, list, &mut problems),
        Some(Notation::Flat) => flat::parse(list, &mut problems),
        None => None,
    };
    let rejected = problem::any_error(&problems.0);
    Parsed { config: config.filter(|_| !rejected), problems: problems.0 }
}

enum Notation<'a> {
    Yaml(&'a str),
    Flat,
}

fn notation<'a>(list: &'a ListData, problems: &mut Problems) -> Option<Notation<'a>> {
    let bytes: usize = list.data.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > MAX_BYTES {
        problems.error(
            Place::key("data"),
            Code::TooLarge,
            format!("it has {bytes} bytes, and {MAX_BYTES} is the limit"),
            "split it into several lists",
        );
        return None;
    }
    let flat = list.data.keys().find(|key| flat::KEYS.contains(&key.as_str()));
    match (list.data.get(yaml::KEY), flat) {
        (Some(_), Some(flat)) => {
            problems.error(
                Place::key(yaml::KEY),
                Code::BothNotations,
                format!("{} and {flat} stand in the same ConfigMap", yaml::KEY),
                "keep one notation: move everything into images.yaml, or remove that key",
            );
            None
        }
        (Some(text), None) => Some(Notation::Yaml(text)),
        (None, Some(_)) => Some(Notation::Flat),
        (None, None) => {
            problems.error(
                Place::key("data"),
                Code::NoList,
                format!("there is neither {} nor {}", yaml::KEY, flat::KEY),
                "add one of them; to let go of all images, delete the ConfigMap",
            );
            None
        }
    }
}

/// Labels for pods. Ours tie a pod to its generation, so a list cannot set them.
fn pod_labels(at: &At, problems: &mut Problems) -> BTreeMap<String, String> {
    let labels = placement::labels(at, problems);
    for key in labels.keys() {
        if key.starts_with("kube-prepull.io/") || key.starts_with("app.kubernetes.io/") {
            problems.error(
                at.inside(key),
                Code::Conflict,
                format!("{key:?} is one of the labels that kube-prepull sets itself"),
                "choose another key",
            );
        }
    }
    labels
}
