//! Why nodes are behind, for people.

/// Why nodes are behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// In a few words; empty if the state says it all.
    pub what: String,
    /// What to do about it, if that is right in every case.
    pub remedy: Option<&'static str>,
}

impl Diagnosis {
    /// With a remedy. It is optional because rules return it so: the next one is asked if one does not fit.
    #[allow(clippy::unnecessary_wraps)]
    pub fn new(what: impl Into<String>, remedy: &'static str) -> Option<Self> {
        Some(Self { what: what.into(), remedy: Some(remedy) })
    }
}
