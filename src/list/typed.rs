//! Decodes types of the Kubernetes API from a tree. Serde stops at the first value of a wrong type, and the API's decoders ignore
//! unknown keys; here all of these are reported.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use serde_path_to_error::Segment;

use super::problem::Code;
use super::reader::{At, Problems};
use super::tree::Value;

/// The most wrong types that are reported for one value, because each needs another decoding of the whole.
const MAX_WRONG_PARTS: usize = 20;

/// A step of a path into a JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PathStep {
    Key(String),
    Item(usize),
}

impl At<'_> {
    /// Decodes a type of the Kubernetes API; `None` if a required part is missing. Unknown keys are errors, although the API's own
    /// decoders ignore them.
    pub fn typed<T: DeserializeOwned + Serialize>(&self, problems: &mut Problems) -> Option<T> {
        problems.forget_wrong_types();
        check_duplicate_keys(self, problems);
        let value: T = decode(self, problems)?;
        let understood = serde_json::to_value(&value).unwrap_or_default();
        unknown_keys(self, &understood, problems);
        Some(value)
    }

    fn after(&self, steps: &[PathStep]) -> Self {
        steps.iter().fold(self.clone(), |at, step| match step {
            PathStep::Key(key) => at.child(key),
            PathStep::Item(index) => at.item(*index),
        })
    }
}

/// Repeated keys are reported for every list and mapping on the way.
fn check_duplicate_keys(at: &At, problems: &mut Problems) {
    match &at.node().value {
        Value::Mapping(_) => {
            at.entries(problems).iter().for_each(|(_, entry)| check_duplicate_keys(entry, problems));
        }
        Value::Sequence(_) => at.items(problems).iter().for_each(|item| check_duplicate_keys(item, problems)),
        _ => {}
    }
}

/// Decodes the value. Each part of a wrong type is reported and replaced by null or, if that fails, by an empty text, so that
/// the next one is found.
fn decode<T: DeserializeOwned>(at: &At, problems: &mut Problems) -> Option<T> {
    let mut json = at.node().to_json();
    let mut wrong: Vec<Vec<PathStep>> = Vec::new();
    loop {
        let error = match serde_path_to_error::deserialize(&json) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let steps = steps(error.path());
        let nulled = wrong.contains(&steps);
        if !nulled {
            // A replaced part may now be missing further up. It was reported already.
            if wrong.len() == MAX_WRONG_PARTS || wrong.iter().any(|known| known.starts_with(&steps)) {
                return None;
            }
            let message = error.inner().to_string();
            let place = at.after(&steps);
            problems.wrong_type(place.place(), &message, remedy(&place, &message));
            wrong.push(steps.clone());
        }
        let part = find(&mut json, &steps)?;
        let replacement = if nulled { Json::String(String::new()) } else { Json::Null };
        if *part == replacement || (nulled && part.is_string()) {
            return None;
        }
        *part = replacement;
    }
}

fn remedy(at: &At, message: &str) -> &'static str {
    match at.node().value {
        Value::Bool(_) | Value::Integer(_) | Value::Float(_) if message.ends_with("expected a string") => {
            "put it in quotes"
        }
        Value::Text(_) if message.ends_with("expected i32") || message.ends_with("expected i64") => {
            "write a number without quotes"
        }
        _ => "see the Kubernetes API reference for this field",
    }
}

fn steps(path: &serde_path_to_error::Path) -> Vec<PathStep> {
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(PathStep::Item(*index)),
        Segment::Map { key } => Some(PathStep::Key(key.clone())),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().filter_map(step).collect()
}

fn find<'j>(json: &'j mut Json, steps: &[PathStep]) -> Option<&'j mut Json> {
    steps.iter().try_fold(json, |json, step| match step {
        PathStep::Key(key) => json.get_mut(key),
        PathStep::Item(index) => json.get_mut(*index),
    })
}

/// Reports keys that are in the tree but not in `understood`. Null does not count, because the API omits it.
fn unknown_keys(at: &At, understood: &Json, problems: &mut Problems) {
    for (key, child) in at.children().iter().filter(|(_, child)| !child.is_null()) {
        match understood.get(key) {
            Some(known) => unknown_keys(child, known, problems),
            None if understood.is_object() => problems.error(
                child.place(),
                Code::UnknownKey,
                "the Kubernetes API has no such field here",
                "check its spelling and indentation",
            ),
            None => {}
        }
    }
    if let (true, Some(known)) = (at.is_sequence(), understood.as_array()) {
        at.items(problems).iter().zip(known).for_each(|(item, known)| unknown_keys(item, known, problems));
    }
}
