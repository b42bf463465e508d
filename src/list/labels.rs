//! Labels and annotations, by the rules of apimachinery (`k8s.io/apimachinery/pkg/util/validation`: `IsQualifiedName`,
//! `IsValidLabelValue`).

use std::collections::BTreeMap;

use super::names::ResourceName;
use super::problem::{Code, quoted};
use super::reader::{At, Place, Problems};
use crate::naming::MAX_LABEL;
use crate::naming::labels::{MANAGED_BY, NAME, OUR_PREFIX};

/// The remedy for a malformed key.
pub const KEY_FORM: &str =
    "write [prefix/]name with letters, digits, '-', '_' and '.', at most 63 characters in the name";
/// The remedy for a malformed value.
pub const VALUE_FORM: &str =
    "use at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit";

/// The most bytes of all annotations of one object (apimachinery's `TotalAnnotationSizeLimitB`), minus what kube-prepull's own need.
const MAX_ANNOTATIONS: usize = 256 * 1024 - 4096;

/// Parses a mapping of labels.
pub fn labels(at: &At, problems: &mut Problems) -> BTreeMap<String, String> {
    let entries = at.texts(problems);
    entries.iter().for_each(|(key, value, place)| check_label(key, value, place, problems));
    entries.into_iter().map(|(key, value, _)| (key.to_owned(), value.to_owned())).collect()
}

/// Parses labels for pods. A list cannot set kube-prepull's labels, which tie a pod to its generation, nor the DaemonSet
/// controller's, which tie it to its DaemonSet.
pub fn pod_labels(at: &At, problems: &mut Problems) -> BTreeMap<String, String> {
    let entries = at.texts(problems);
    for (key, value, place) in &entries {
        check_label(key, value, place, problems);
        match *key {
            NAME | MANAGED_BY => taken(place, "label", key, "kube-prepull", problems),
            "controller-revision-hash" | "pod-template-generation" => {
                taken(place, "label", key, "the DaemonSet controller", problems);
            }
            _ if key.starts_with(OUR_PREFIX) => taken(place, "label", key, "kube-prepull", problems),
            _ => {}
        }
    }
    entries.into_iter().map(|(key, value, _)| (key.to_owned(), value.to_owned())).collect()
}

/// Checks a label.
pub fn check_label(key: &str, value: &str, place: &Place, problems: &mut Problems) {
    if let Err(why) = qualified_name(key) {
        problems.error(
            place.clone(),
            Code::InvalidName,
            format!("{} is not a label's key: it {why}", quoted(key)),
            KEY_FORM,
        );
    }
    if let Err(why) = label_value(value) {
        problems.error(
            place.clone(),
            Code::InvalidValue,
            format!("{} is not a label's value: it {why}", quoted(value)),
            VALUE_FORM,
        );
    }
}

/// Parses a mapping of annotations.
pub fn annotations(at: &At, problems: &mut Problems) -> BTreeMap<String, String> {
    let entries = at.texts(problems);
    for (key, _, place) in &entries {
        // The API compares keys of annotations in lower case.
        if let Err(why) = qualified_name(&key.to_lowercase()) {
            problems.error(
                place.clone(),
                Code::InvalidName,
                format!("{} is not an annotation's key: it {why}", quoted(key)),
                KEY_FORM,
            );
        }
        if key.starts_with(OUR_PREFIX) {
            taken(place, "annotation", key, "kube-prepull", problems);
        }
    }
    let bytes: usize = entries.iter().map(|(key, value, _)| key.len() + value.len()).sum();
    if bytes > MAX_ANNOTATIONS {
        problems.error(
            at.place(),
            Code::TooLarge,
            format!("{bytes} bytes of annotations exceed the limit of {MAX_ANNOTATIONS}"),
            "shorten them",
        );
    }
    entries.into_iter().map(|(key, value, _)| (key.to_owned(), value.to_owned())).collect()
}

fn taken(place: &Place, what: &str, key: &str, owner: &str, problems: &mut Problems) {
    problems.error(
        place.clone(),
        Code::Conflict,
        format!("the {what} {} is reserved for {owner}", quoted(key)),
        "choose another key",
    );
}

/// Checks a key of a label or an annotation: an optional DNS subdomain and `/`, then a name.
///
/// # Errors
/// The reason, which completes "it …".
pub fn qualified_name(key: &str) -> Result<(), String> {
    let name = match key.split_once('/') {
        None => key,
        Some((prefix, name)) => {
            ResourceName::parse_subdomain(prefix).map_err(|why| format!("has a prefix that {why}"))?;
            name
        }
    };
    if name.is_empty() {
        return Err("has no name".to_owned());
    }
    label_value(name)
}

/// Checks a label's value, which may be empty.
///
/// # Errors
/// The reason, which completes "it …".
pub fn label_value(value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Ok(());
    }
    if value.len() > MAX_LABEL {
        return Err(format!("has more than {MAX_LABEL} characters"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(bad) = value.chars().find(|c| !allowed(*c)) {
        return Err(format!("contains {bad:?}"));
    }
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if !edge(value.chars().next()) || !edge(value.chars().last()) {
        return Err("must begin and end with a letter or a digit".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_follow_the_api() {
        for good in ["a", "A.b_c-1", "example.com/a", "node-role.kubernetes.io/gpu", &"x".repeat(63)] {
            assert_eq!(qualified_name(good), Ok(()), "{good}");
        }
        for bad in ["", "/a", "a/", "a/b/c", "Example.com/a", "-a", "a-", "a b", "ä", &"x".repeat(64)] {
            assert!(qualified_name(bad).is_err(), "{bad}");
        }
        for good in ["", "a", "1.2_3-x", &"x".repeat(63)] {
            assert_eq!(label_value(good), Ok(()), "{good}");
        }
        for bad in ["-a", "a.", "a/b", "a b", &"x".repeat(64)] {
            assert!(label_value(bad).is_err(), "{bad}");
        }
    }
}
