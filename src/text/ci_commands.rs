//! Lines that a CI system would obey instead of showing them.
//!
//! - GitHub: `::error file=a::b` at the beginning of a line, and `##[error]` anywhere in it (`ActionCommand` of `actions/runner`)
//! - Azure Pipelines and TeamCity: `##vso[…]`, `##teamcity[…]`
//! - GitLab: `section_start:1700000000:name`
//!
//! A space inside makes them ordinary text. A text is disarmed wherever the command stands, because it may be printed at the beginning
//! of a line, or wrapped there.

use std::borrow::Cow;

/// The commands of GitHub, which are also disarmed within a word: a long word may be wrapped.
const GITHUB: [&str; 16] = [
    "add-mask",
    "add-matcher",
    "add-path",
    "debug",
    "echo",
    "endgroup",
    "error",
    "group",
    "internal-set-repo-path",
    "notice",
    "remove-matcher",
    "save-state",
    "set-env",
    "set-output",
    "stop-commands",
    "warning",
];

/// The text with a space inside each command.
pub fn disarm(text: &str) -> Cow<'_, str> {
    if !["::", "##", "section_"].iter().any(|mark| text.contains(mark)) {
        return Cow::Borrowed(text);
    }
    let last_colons = text.rfind("::").unwrap_or_default();
    let mut disarmed = String::with_capacity(text.len() + 8);
    for (at, character) in text.char_indices() {
        let (before, from) = text.split_at(at);
        let splits = match character {
            ':' => is_github(before, from, at < last_colons),
            '#' => is_with_brackets(from),
            _ => false,
        };
        disarmed.push_str(if character == ':' && is_gitlab(before, from) { " :" } else { from_one(from) });
        disarmed.push_str(if splits { " " } else { "" });
    }
    Cow::Owned(disarmed)
}

fn from_one(text: &str) -> &str {
    &text[..text.chars().next().map_or(0, char::len_utf8)]
}

/// Whether `::` and a command begin here. Any name may be one: a workflow chooses the word that ends `stop-commands`.
fn is_github(before: &str, from: &str, more_colons: bool) -> bool {
    let Some(rest) = from.strip_prefix("::") else { return false };
    let starts_a_word = before.chars().next_back().is_none_or(char::is_whitespace);
    let is_named = rest.starts_with(|c: char| c.is_ascii_alphabetic());
    (starts_a_word && is_named && more_colons) || GITHUB.iter().any(|command| begins_with(rest, command))
}

/// Whether a command and its end, or its parameters, begin here.
fn begins_with(text: &str, command: &str) -> bool {
    let Some(beginning) = text.get(..command.len()) else { return false };
    let rest = &text[command.len()..];
    beginning.eq_ignore_ascii_case(command) && (rest.starts_with("::") || rest.starts_with(char::is_whitespace))
}

/// Whether `##[`, or `##` and a word with `[`, begins here.
fn is_with_brackets(from: &str) -> bool {
    const MAX_WORD: usize = 32;
    let Some(rest) = from.strip_prefix("##") else { return false };
    let word = rest.bytes().take(MAX_WORD).position(|byte| !byte.is_ascii_alphanumeric());
    word.is_some_and(|end| rest.as_bytes()[end] == b'[')
}

/// Whether the colon after `section_start` or `section_end` is here.
fn is_gitlab(before: &str, from: &str) -> bool {
    let is_timed = from[1..].starts_with(|c: char| c.is_ascii_digit());
    is_timed && ["section_start", "section_end"].iter().any(|word| before.ends_with(word))
}
