//! Why nodes are behind, for people.

/// Why nodes are behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// In a few words; empty if the state says it all.
    pub what: String,
    /// What to do about it, if that is right in every case.
    pub remedy: Option<&'static str>,
    /// What the remedy changes, if it is part of the list.
    pub part: Option<ListPart>,
}

/// A part of a list that remedies change. kube-prepull's own image is set elsewhere, so its remedies differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListPart {
    /// The pull secrets.
    Credentials,
    /// The pull secrets, or the mirror's credentials in the node's runtime.
    CredentialsOrMirror,
    /// The reference, or the pull secrets.
    ReferenceOrCredentials,
    /// The pull secrets, to be allowed more pulls.
    PullLimit,
    /// The reference.
    Reference,
    /// The architectures of the group.
    Architectures,
}

impl Diagnosis {
    /// With a remedy. It is optional because rules return it so: the next one is asked if one does not fit.
    #[allow(clippy::unnecessary_wraps)]
    pub fn new(what: impl Into<String>, remedy: &'static str) -> Option<Self> {
        Some(Self { what: what.into(), remedy: Some(remedy), part: None })
    }

    /// With a remedy that changes a part of the list.
    #[allow(clippy::unnecessary_wraps)]
    pub fn of_list(what: impl Into<String>, remedy: &'static str, part: ListPart) -> Option<Self> {
        Some(Self { what: what.into(), remedy: Some(remedy), part: Some(part) })
    }
}
