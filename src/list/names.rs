//! Names that Kubernetes accepts, checked once when they are parsed. The rules are those of
//! `k8s.io/apimachinery/pkg/util/validation`: `IsDNS1123Label` and `IsDNS1123Subdomain`.

use std::fmt;

use serde::Serialize;

use crate::naming::MAX_LABEL;
use crate::naming::hash::{HASH_LENGTH, short_hash};

/// The longest DNS subdomain (`DNS1123SubdomainMaxLength`), and so the longest name of most objects.
pub const MAX_SUBDOMAIN: usize = 253;

/// The longest prefix of a DaemonSet's name: its pods are called `<beginning>-<hash>-<suffix>`, with a hash of
/// [`HASH_LENGTH`] and a suffix of 5 characters, and the whole must fit the pod's hostname (63).
pub const MAX_OBJECT_NAME: usize = MAX_LABEL - 1 - HASH_LENGTH - 1 - 5;

/// A DNS label as of RFC 1123 (lower case letters, digits and `-`, at most 63 characters), or the name of another object: a
/// DNS subdomain, which is labels joined by `.`, at most 253 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ResourceName(String);

/// A DNS subdomain as of RFC 1123, short enough for the suffixes of derived names (see [`MAX_OBJECT_NAME`]).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ObjectName(String);

/// The name of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct GroupName(ResourceName);

/// Why a text is not a name. The text completes "`…` is not a name: it …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAName(String);

impl ResourceName {
    /// Checks the text against RFC 1123's label.
    ///
    /// # Errors
    /// The rule that the name breaks.
    pub fn parse(text: &str) -> Result<Self, NotAName> {
        check_length(text, MAX_LABEL)?;
        check_label(text)?;
        Ok(Self(text.to_owned()))
    }

    /// A constant name that is known to be valid.
    pub(crate) fn literal(text: &'static str) -> Self {
        debug_assert!(check_label(text).is_ok(), "{text}");
        Self(text.to_owned())
    }

    /// Checks the text as a DNS subdomain, the rule for the names of most objects (Secrets, ServiceAccounts, classes).
    ///
    /// # Errors
    /// The rule that the name breaks.
    pub fn parse_subdomain(text: &str) -> Result<Self, NotAName> {
        check_length(text, MAX_SUBDOMAIN)?;
        text.split('.').try_for_each(check_label)?;
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl GroupName {
    /// The group of images outside `groups`.
    pub const DEFAULT: &'static str = "default";

    /// The group of images outside `groups`.
    pub fn default_group() -> Self {
        Self(ResourceName::literal(Self::DEFAULT))
    }

    /// Wraps a name.
    pub fn new(name: ResourceName) -> Self {
        Self(name)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether this is the group of images outside `groups`.
    pub fn is_default(&self) -> bool {
        self.as_str() == Self::DEFAULT
    }
}

impl ObjectName {
    /// Shortens a name that is too long; a hash of the whole name keeps it unique.
    pub fn shortened(text: &str) -> Self {
        Self(shortened(text, MAX_OBJECT_NAME))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `text` if it fits `max` characters, otherwise its beginning and a hash of the whole. Names of objects are ASCII.
pub fn shortened(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let hash = short_hash(text.as_bytes());
    let beginning: String = text.chars().take(max - hash.len() - 1).collect();
    format!("{}-{hash}", beginning.trim_end_matches(['-', '.']))
}

fn check_length(text: &str, max: usize) -> Result<(), NotAName> {
    // Users count characters. Names that are not ASCII are rejected anyway.
    match text.chars().count() {
        0 => Err(NotAName("is empty".to_owned())),
        length if length > max => Err(NotAName(format!("has {length} characters, which exceeds the limit of {max}"))),
        _ => Ok(()),
    }
}

fn check_label(label: &str) -> Result<(), NotAName> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if let Some(bad) = label.chars().find(|c| !allowed(*c)) {
        return Err(NotAName(format!("contains {bad:?}, but only lower case letters, digits and '-' are allowed")));
    }
    if label.is_empty() || label.starts_with('-') || label.ends_with('-') {
        return Err(NotAName("must begin and end with a lower case letter or a digit".to_owned()));
    }
    Ok(())
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_rfc_1123() {
        for good in ["a", "a-b", "0", "web-1"] {
            assert!(ResourceName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "ä", &"x".repeat(64)] {
            assert!(ResourceName::parse(bad).is_err(), "{bad}");
        }
        for good in ["a.b", "a", "1.2-3.c", &"x".repeat(253)] {
            assert!(ResourceName::parse_subdomain(good).is_ok(), "{good}");
        }
        for bad in ["", "a..b", ".a", "a.", "a.-b", "A.b", &"x".repeat(254)] {
            assert!(ResourceName::parse_subdomain(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_long_name_is_shortened_without_meeting_another() {
        let one = shortened(&"x".repeat(100), 50);
        let other = shortened(&"x".repeat(101), 50);
        assert_eq!(one.len(), 50);
        assert_ne!(one, other);
        assert_eq!(shortened("short", 50), "short");
    }
}
