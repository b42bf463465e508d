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
    /// A key of kubernetes-image-puller that has no meaning here, or one that means nothing without another.
    Ignored,
    /// A name that is used shortened, since the names made from it would be too long.
    Shortened,
    /// A memory limit that is so tight that containers are killed at their start.
    TightLimit,
    /// A PriorityClass whose pods evict other pods from full nodes.
    Preempts,
    /// Required node affinity with a term that no node meets.
    SelectsNothing,
    /// More problems than anybody reads at once; the rest is only counted.
    TooManyProblems,
}

impl Code {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 26] = [
        Self::NoList,
        Self::BothNotations,
        Self::EmptyList,
        Self::InvalidYaml,
        Self::InvalidJson,
        Self::TooLarge,
        Self::UnknownKey,
        Self::DuplicateKey,
        Self::MissingKey,
        Self::WrongType,
        Self::InvalidValue,
        Self::OutOfRange,
        Self::InvalidName,
        Self::DuplicateName,
        Self::InvalidReference,
        Self::DuplicateImage,
        Self::InvalidQuantity,
        Self::LimitBelowRequest,
        Self::Conflict,
        Self::WrongNamespace,
        Self::Ignored,
        Self::Shortened,
        Self::TightLimit,
        Self::Preempts,
        Self::SelectsNothing,
        Self::TooManyProblems,
    ];
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The derived name of the variant is the code.
        fmt::Debug::fmt(self, f)
    }
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

/// A text of the user's in quotes, cut where it is longer than anybody reads in a message.
pub(super) fn quoted(text: &str) -> String {
    const MAX: usize = 100;
    match text.char_indices().nth(MAX) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}… ({} characters)", &text[..end], text.chars().count()),
    }
}

/// Whether any of the problems keeps the list from being accepted.
pub fn any_error(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.severity == Severity::Error)
}
