//! The result of a list's validation, as stored on its ConfigMap.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::ObjectMeta;
use sha2::{Digest, Sha256};

use crate::list::{ListData, Parsed, Problem};
use crate::naming::labels;

/// The maximum size of the problems stored on a list, in bytes. `kube-prepull validate` prints all of them.
const MAX_PROBLEMS: usize = 16 * 1024;

/// What became of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultState {
    /// It is in effect.
    Accepted,
    /// It has errors. What was accepted before, if anything, stays in effect.
    Rejected,
    /// It has no image, and never had one: there is nothing to do, and nothing is wrong.
    Empty,
}

impl ResultState {
    /// All values.
    pub const ALL: [Self; 3] = [Self::Accepted, Self::Rejected, Self::Empty];

    /// The value of the label [`labels::STATE`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Empty => "empty",
        }
    }
}

/// The result of a list's validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationResult {
    /// Whether the list was accepted.
    pub state: ResultState,
    /// The hash of the data that was validated.
    pub data_hash: String,
    /// The problems, one per line; empty if there are none.
    pub problems: String,
}

impl ValidationResult {
    /// The result for a parsed list.
    pub fn new(list: &ListData, parsed: &Parsed) -> Self {
        let state = if parsed.config.is_some() { ResultState::Accepted } else { ResultState::Rejected };
        Self { state, data_hash: data_hash(&list.data), problems: problem_lines(&parsed.problems) }
    }

    /// The result for a list that has no image and never had one. That it has none is its state, and no problem of it.
    pub fn of_empty(list: &ListData, problems: &[Problem]) -> Self {
        let others = problems.iter().filter(|problem| !problem.code.says_that_it_is_empty());
        let others: Vec<Problem> = others.cloned().collect();
        Self { state: ResultState::Empty, data_hash: data_hash(&list.data), problems: problem_lines(&others) }
    }

    /// Whether the ConfigMap already has this result.
    pub fn is_stored_on(&self, metadata: &ObjectMeta) -> bool {
        let label = metadata.labels.as_ref().and_then(|labels| labels.get(labels::STATE));
        let annotation = |key: &str| metadata.annotations.as_ref().and_then(|annotations| annotations.get(key));
        label.map(String::as_str) == Some(self.state.name())
            && annotation(labels::DATA_HASH) == Some(&self.data_hash)
            && annotation(labels::PROBLEMS).map_or("", String::as_str) == self.problems
    }

    /// The fields of the ConfigMap to set with server-side apply. They include the UID, so that a ConfigMap that was
    /// deleted in the meantime is not recreated.
    pub fn patch(&self, metadata: &ObjectMeta) -> ConfigMap {
        let mut annotations = BTreeMap::from([(labels::DATA_HASH.to_owned(), self.data_hash.clone())]);
        if !self.problems.is_empty() {
            annotations.insert(labels::PROBLEMS.to_owned(), self.problems.clone());
        }
        ConfigMap {
            metadata: ObjectMeta {
                name: metadata.name.clone(),
                namespace: metadata.namespace.clone(),
                uid: metadata.uid.clone(),
                labels: Some(BTreeMap::from([(labels::STATE.to_owned(), self.state.name().to_owned())])),
                annotations: Some(annotations),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
    }
}

/// The hash of a list's data: the hexadecimal SHA-256 of its JSON object with sorted keys.
pub fn data_hash(data: &BTreeMap<String, String>) -> String {
    // A map of strings always serializes to JSON.
    let json = serde_json::to_vec(data).unwrap_or_else(|error| unreachable!("{error}"));
    Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn problem_lines(problems: &[Problem]) -> String {
    let mut text = String::new();
    for (index, problem) in problems.iter().enumerate() {
        let line = problem.to_string();
        if index > 0 {
            text.push('\n');
        }
        if text.len() + line.len() > MAX_PROBLEMS {
            text.push_str(&format!("… and {} more", problems.len() - index));
            break;
        }
        text.push_str(&line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::{Code, Severity, parse};

    fn list(images_yaml: &str) -> ListData {
        ListData {
            namespace: "prepull".to_owned(),
            name: "tools".to_owned(),
            data: BTreeMap::from([("images.yaml".to_owned(), images_yaml.to_owned())]),
            found: None,
        }
    }

    fn validation_result(images_yaml: &str) -> ValidationResult {
        let list = list(images_yaml);
        ValidationResult::new(&list, &parse(&list))
    }

    /// The list's metadata with the validation result and another client's label and annotation.
    fn written(validation_result: &ValidationResult) -> ObjectMeta {
        let ours = validation_result.patch(&ObjectMeta::default()).metadata;
        let other = ("example.com/other".to_owned(), "kept".to_owned());
        ObjectMeta {
            labels: ours.labels.map(|labels| labels.into_iter().chain([other.clone()]).collect()),
            annotations: ours.annotations.map(|annotations| annotations.into_iter().chain([other]).collect()),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn a_stored_validation_result_is_valid_until_the_data_changes() {
        for images_yaml in ["[nginx]", "[Bad]", ""] {
            let validation_result = validation_result(images_yaml);
            assert!(!validation_result.is_stored_on(&ObjectMeta::default()), "{images_yaml}: nothing is written yet");
            assert!(validation_result.is_stored_on(&written(&validation_result)), "{images_yaml}");
        }
        assert!(!validation_result("[nginx]").is_stored_on(&written(&validation_result("[redis]"))));
        assert!(!validation_result("[nginx]").is_stored_on(&written(&validation_result("[Bad]"))));
    }

    #[test]
    fn that_a_list_is_empty_is_its_state_and_no_problem() {
        let mut list = list("images:");
        list.data.insert("README".to_owned(), "to be filled".to_owned());
        let result = ValidationResult::of_empty(&list, &parse(&list).problems);
        let metadata = written(&result);
        assert_eq!(metadata.labels.as_ref().map(|labels| labels[labels::STATE].as_str()), Some("empty"));
        assert!(result.is_stored_on(&metadata));
        assert!(result.problems.starts_with("README: unknown key") && !result.problems.contains('\n'), "{result:?}");
        assert!(!ValidationResult::new(&list, &parse(&list)).is_stored_on(&metadata), "once accepted, it is rejected");
    }

    #[test]
    fn a_removed_label_or_annotation_is_noticed() {
        let validation_result = validation_result("[Bad]");
        let without = |key: &str| {
            let mut metadata = written(&validation_result);
            metadata.labels.iter_mut().chain(&mut metadata.annotations).for_each(|map| drop(map.remove(key)));
            metadata
        };
        assert!(validation_result.is_stored_on(&without("example.com/other")));
        for key in [labels::STATE, labels::DATA_HASH, labels::PROBLEMS] {
            assert!(!validation_result.is_stored_on(&without(key)), "{key}");
        }
    }

    #[test]
    fn the_patch_contains_only_the_validation_result_and_the_lists_identity() {
        let metadata = ObjectMeta {
            name: Some("tools".to_owned()),
            namespace: Some("prepull".to_owned()),
            uid: Some("1".to_owned()),
            resource_version: Some("7".to_owned()),
            annotations: Some(BTreeMap::from([("a".to_owned(), "b".to_owned())])),
            ..ObjectMeta::default()
        };
        let patch = validation_result("['nginx:1']").patch(&metadata);
        insta::assert_yaml_snapshot!(patch, @r#"
        apiVersion: v1
        kind: ConfigMap
        metadata:
          annotations:
            kube-prepull.io/data-hash: 83f414fc37b3da7c78eb03ca6878f220fc318698dee650709b126a20c0133e31
          labels:
            kube-prepull.io/state: accepted
          name: tools
          namespace: prepull
          uid: "1"
        "#);
        let annotations = validation_result("[Bad]").patch(&metadata).metadata.annotations.expect("annotations");
        assert!(annotations[labels::PROBLEMS].contains("\"Bad\" is not an image reference"), "{annotations:?}");
    }

    fn problems(count: usize, bytes: usize) -> Vec<Problem> {
        let problem = Problem {
            severity: Severity::Error,
            code: Code::InvalidValue,
            path: "x".into(),
            line: None,
            message: "m".repeat(bytes).into(),
            remedy: "r".into(),
        };
        vec![problem; count]
    }

    #[test]
    fn each_problem_is_on_its_own_line() {
        assert_eq!(problem_lines(&problems(2, 1)), "x: m; r\nx: m; r");
        assert_eq!(problem_lines(&[]), "");
    }

    #[test]
    fn more_problems_than_an_annotation_can_hold_are_counted() {
        let text = problem_lines(&problems(100, 1000));
        assert!(text.len() <= MAX_PROBLEMS + 100);
        let (kept, last) = text.rsplit_once('\n').expect("several lines");
        let kept = kept.lines().count();
        assert!(kept > 10);
        assert_eq!(last, format!("… and {} more", 100 - kept));
        assert!(problem_lines(&problems(3, MAX_PROBLEMS)).len() < MAX_PROBLEMS, "one problem is never too long");
    }
}
