//! Text that is safe to show.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{ci_commands, redact, visible};

/// One line of text without control and invisible characters, commands of CI systems and credentials, and of limited length.
///
/// Cleaning is the only way to make one, and cleaning it again changes nothing. A copy shares the text: reports name the same nodes again
/// and again.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CleanText(Arc<str>);

/// Replaces the end of a text that is too long.
const CUT: char = '…';

impl CleanText {
    /// The most bytes of a text.
    pub const MAX_BYTES: usize = 2048;

    /// What something says of itself.
    pub fn of(said: impl fmt::Display) -> Self {
        said.to_string().into()
    }

    /// The beginning of a text, with at most so many bytes.
    pub fn within(text: &str, most_bytes: usize) -> Self {
        Self(cut(cleaned(text), most_bytes.min(Self::MAX_BYTES)).into())
    }

    /// The first `beginning` bytes of a text and its end, with at most `most_bytes`. Messages wrap each other, so the cause comes last.
    pub fn without_middle(text: &str, beginning: usize, most_bytes: usize) -> Self {
        let text = cleaned(text);
        let most_bytes = most_bytes.min(Self::MAX_BYTES);
        if text.len() <= most_bytes {
            return Self(text.into());
        }
        let end = text.len() - (most_bytes - beginning - CUT.len_utf8());
        let end = text[text.ceil_char_boundary(end)..].trim_start_matches(visible::belongs_to_another);
        let beginning = text[..text.floor_char_boundary(beginning)].trim_end_matches(visible::belongs_to_another);
        Self(format!("{beginning}{CUT}{end}").into())
    }

    /// The beginning of this text, with at most so many bytes.
    pub fn shortened(&self, most_bytes: usize) -> Self {
        Self(cut(Cow::Borrowed(&self.0), most_bytes).into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The whole text. What is hidden is removed first, because it may hide a credential, and again, because what is removed may have been
/// the letter that a mark belonged to.
fn cleaned(text: &str) -> Cow<'_, str> {
    let mut text = visible::visible(text);
    for clean in [redact::redact, visible::visible, ci_commands::disarm] {
        if let Cow::Owned(cleaned) = clean(&text) {
            text = Cow::Owned(cleaned);
        }
    }
    text
}

fn cut(text: Cow<'_, str>, most_bytes: usize) -> String {
    if text.len() <= most_bytes {
        return text.into_owned();
    }
    let end = text.floor_char_boundary(most_bytes.saturating_sub(CUT.len_utf8()));
    // What joins or modifies the next character would be alone.
    let whole = text[..end].trim_end_matches(visible::belongs_to_another);
    format!("{whole}{CUT}")
}

impl From<&str> for CleanText {
    fn from(text: &str) -> Self {
        Self::within(text, Self::MAX_BYTES)
    }
}

impl From<String> for CleanText {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<&String> for CleanText {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<fmt::Arguments<'_>> for CleanText {
    fn from(text: fmt::Arguments<'_>) -> Self {
        Self::of(text)
    }
}

impl From<&CleanText> for CleanText {
    fn from(text: &CleanText) -> Self {
        text.clone()
    }
}

impl From<&CleanText> for String {
    fn from(text: &CleanText) -> Self {
        text.as_str().to_owned()
    }
}

impl From<CleanText> for String {
    fn from(text: CleanText) -> Self {
        text.as_str().to_owned()
    }
}

impl Serialize for CleanText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What an older version or another client stored is cleaned when it is read.
impl<'de> Deserialize<'de> for CleanText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl Deref for CleanText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for CleanText {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for CleanText {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CleanText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for CleanText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl PartialEq<str> for CleanText {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for CleanText {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl PartialEq<String> for CleanText {
    fn eq(&self, other: &String) -> bool {
        *self.0 == **other
    }
}
