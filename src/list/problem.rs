//! What is wrong with a list, where, and how to put it right.

use std::fmt;

use serde::Serialize;

/// Whether a problem keeps the list from being accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The list is rejected.
    Error,
    /// The list is accepted, and the user should know.
    Warning,
}

/// The kind of a problem. The names are stable: scripts may match on them (`docs/problems.md` explains each).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Code {
    /// Neither `IMAGES` nor `images.yaml` is there.
    NoList,
    /// Both notations stand in one ConfigMap.
    BothNotations,
    /// There is a list, but no image in it.
    EmptyList,
    /// The text is no YAML, or uses more nesting or aliases than any list needs.
    InvalidYaml,
    /// The text of a flat key is no JSON.
    InvalidJson,
    /// The data is larger than a ConfigMap may be.
    TooLarge,
    /// A key that is not part of the notation.
    UnknownKey,
    /// A key that stands twice in one mapping.
    DuplicateKey,
    /// A key that must be there is missing.
    MissingKey,
    /// A value of another type than the key takes.
    WrongType,
    /// A value of the right type that the key does not take.
    InvalidValue,
    /// A number outside its range.
    OutOfRange,
    /// A name that Kubernetes would refuse.
    InvalidName,
    /// A name that stands twice.
    DuplicateName,
    /// An image reference that no registry could resolve.
    InvalidReference,
    /// An image that stands twice in one group.
    DuplicateImage,
    /// A quantity that Kubernetes would refuse.
    InvalidQuantity,
    /// A limit that is lower than its request.
    LimitBelowRequest,
    /// Keys that exclude each other.
    Conflict,
    /// `NAMESPACE` names another namespace than the list's own.
    WrongNamespace,
    /// A key of kubernetes-image-puller that has no meaning here.
    Ignored,
}

/// One thing that is wrong with a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether the list is rejected for it.
    pub severity: Severity,
    /// The kind of the problem.
    pub code: Code,
    /// Where it is: the key of the ConfigMap's data, then the path inside its value (`images.yaml: groups[0].name`,
    /// `TOLERATIONS[1].operator`).
    pub path: String,
    /// The line inside the value (from 1), where the notation has lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What is wrong.
    pub message: String,
    /// How to put it right.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if let Some(line) = self.line {
            write!(f, " (line {line})")?;
        }
        write!(f, ": {}; {}", self.message, self.remedy)
    }
}

/// Whether any of the problems keeps the list from being accepted.
pub fn any_error(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.severity == Severity::Error)
}
