//! JSON that is safe to show.

use std::borrow::Cow;

use serde::Serialize;

use super::{CleanText, ci_commands, visible};

/// The JSON with each text in it cleaned, keys included. What is not JSON is cleaned as a whole.
pub fn cleaned(json: &str) -> String {
    let mut cleaned = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('"') {
        let (before, from) = rest.split_at(at);
        let text = text_end(from).and_then(|end| Some((end, serde_json::from_str::<String>(&from[..end]).ok()?)));
        let Some((end, text)) = text else { return CleanText::from(json).into() };
        cleaned.push_str(before);
        cleaned.push_str(&quoted(&CleanText::from(text)));
        rest = &from[end..];
    }
    cleaned + rest
}

/// The same JSON, in which invisible characters and commands of CI systems are escaped. For what must keep its meaning, such as an
/// annotation that is read again.
pub fn escaped(json: &str) -> Cow<'_, str> {
    if is_plain(json) {
        return Cow::Borrowed(json);
    }
    let mut before = None;
    Cow::Owned(with_escapes(json, |character| {
        // Only texts hold such characters, except for line breaks between them.
        let of_command = matches!(character, ':' | '#') && before == Some(character);
        before = Some(character);
        of_command || (character != '\n' && visible::is_hidden(character))
    }))
}

/// The same JSON in ASCII. API servers read the body of a server-side apply as YAML, in which JSON's texts may not have control
/// characters such as DEL as they are (`sigs.k8s.io/yaml`).
pub fn ascii(json: &str) -> Cow<'_, str> {
    let is_plain = |character: char| character.is_ascii() && character != '\u{7f}';
    if json.chars().all(is_plain) {
        return Cow::Borrowed(json);
    }
    Cow::Owned(with_escapes(json, |character| !is_plain(character)))
}

/// The same JSON, in which these characters are escaped. They have to be inside of texts.
fn with_escapes(json: &str, mut is_escaped: impl FnMut(char) -> bool) -> String {
    let mut units = [0; 2];
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        match is_escaped(character) {
            true => {
                character.encode_utf16(&mut units).iter().for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}")))
            }
            false => escaped.push(character),
        }
    }
    escaped
}

/// Whether a document can be shown as it is: it has neither invisible characters nor commands of CI systems.
pub fn is_plain(document: &str) -> bool {
    let is_hidden = |character: char| character != '\n' && visible::is_hidden(character);
    !document.chars().any(is_hidden) && document.lines().all(|line| ci_commands::disarm(line) == line)
}

/// A record as the text of an annotation, which people read too.
pub fn annotation(record: &impl Serialize) -> String {
    // Records of texts, numbers and maps with names as keys always serialize to JSON.
    let json = serde_json::to_string(record).unwrap_or_else(|error| unreachable!("{error}"));
    escaped(&json).into_owned()
}

/// Where the text ends that begins with a quote.
fn text_end(json: &str) -> Option<usize> {
    let mut is_escaped = false;
    let end = json.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    })?;
    Some(end + 2)
}

fn quoted(text: &str) -> String {
    // A text always serializes to JSON.
    serde_json::to_string(text).unwrap_or_default()
}
