//! Problems of a list: what is wrong, where, and how to correct it.

use std::fmt;

use serde::Serialize;

use crate::text::CleanText;

/// Whether a problem rejects the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The list is rejected.
    Error,
    /// The list is accepted, but the user should know.
    Warning,
}

/// The kind of a problem. The names are stable: scripts may match on them (`docs/problems.md` explains each).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Code {
    /// There is neither `IMAGES` nor `images.yaml`.
    NoList,
    /// One ConfigMap has both formats.
    BothFormats,
    /// The text is something else: the manifest of another object, or values of the Helm chart.
    NotAList,
    /// The list has no image.
    EmptyList,
    /// The text is not YAML, is too deeply nested, or has too many aliases.
    InvalidYaml,
    /// The text of a flat key is not JSON.
    InvalidJson,
    /// The data is larger than a ConfigMap may be, or a number is higher than the controller's policy allows.
    TooLarge,
    /// A key that is not part of the format.
    UnknownKey,
    /// A key that is twice in one mapping.
    DuplicateKey,
    /// A required key is missing.
    MissingKey,
    /// A value of the wrong type.
    WrongType,
    /// A value of the right type that is not valid for the key.
    InvalidValue,
    /// A number outside its range.
    OutOfRange,
    /// A name that Kubernetes rejects.
    InvalidName,
    /// A name that is used twice.
    DuplicateName,
    /// An image reference that no registry could resolve.
    InvalidReference,
    /// An image that is twice in one group.
    DuplicateImage,
    /// An image without a tag or a digest.
    NoTag,
    /// A quantity that Kubernetes rejects.
    InvalidQuantity,
    /// A limit that is lower than its request.
    LimitBelowRequest,
    /// Keys that exclude each other.
    Conflict,
    /// `NAMESPACE` names another namespace than the list's own.
    WrongNamespace,
    /// A key without effect: one that only kubernetes-image-puller uses, or one that needs another key.
    Ignored,
    /// A name that is shortened, because names derived from it would be too long.
    Shortened,
    /// A memory limit so tight that containers are killed at their start.
    TightLimit,
    /// A PriorityClass whose pods can preempt other pods on full nodes.
    Preempts,
    /// A node selector or a term of required node affinity that no node can match.
    SelectsNothing,
    /// Something that the controller's policy does not allow.
    NotAllowed,
    /// Too many problems; the rest is only counted.
    TooManyProblems,
}

impl Code {
    /// All codes, in the order of the documentation.
    pub const ALL: [Self; 29] = [
        Self::NoList,
        Self::BothFormats,
        Self::NotAList,
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
        Self::NoTag,
        Self::InvalidQuantity,
        Self::LimitBelowRequest,
        Self::Conflict,
        Self::WrongNamespace,
        Self::Ignored,
        Self::Shortened,
        Self::TightLimit,
        Self::Preempts,
        Self::SelectsNothing,
        Self::NotAllowed,
        Self::TooManyProblems,
    ];
}

impl Code {
    /// Whether it says no more than that there is no image.
    pub fn says_that_it_is_empty(self) -> bool {
        matches!(self, Self::NoList | Self::EmptyList)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The derived name of the variant is the code.
        fmt::Debug::fmt(self, f)
    }
}

/// A problem of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether it rejects the list.
    pub severity: Severity,
    /// The kind of the problem.
    pub code: Code,
    /// Where it is: the key of the ConfigMap's data, then the path inside its value (`images.yaml: groups[0].name`,
    /// `TOLERATIONS[1].operator`).
    pub path: CleanText,
    /// The line inside the value (from 1), if the format has lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What is wrong.
    pub message: CleanText,
    /// How to correct it.
    pub remedy: CleanText,
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

/// Quotes a text of the user's, and cuts it if it is long.
pub(super) fn quoted(text: &str) -> String {
    const MAX: usize = 100;
    match text.char_indices().nth(MAX) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}… ({} characters)", &text[..end], text.chars().count()),
    }
}

/// Whether any of the problems is an error.
pub fn any_error(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.severity == Severity::Error)
}
