//! Characters that nobody sees, or that move the cursor, change colours or reverse the order of what follows.
//!
//! A terminal's own sequences and line breaks carry no meaning here, so they are dropped or become a space. An invisible character does:
//! two names that look alike may differ by one. So it is written as `\u{200b}`, as in a Rust string.

use std::borrow::Cow;

/// The most marks on one letter. No language needs more, and a pile of them covers the lines above.
const MAX_MARKS: usize = 4;

/// The text on one line, with every character visible.
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(text);
    }
    let mut line = VisibleLine { text: String::with_capacity(text.len()), marks: 0, broken: false };
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if let Some(after) = after_sequence(rest) {
            rest = after;
            continue;
        }
        rest = &rest[character.len_utf8()..];
        line.push(character, rest.chars().next());
    }
    if line.broken {
        line.text.truncate(line.text.trim_end_matches(' ').len());
    }
    Cow::Owned(line.text)
}

/// Whether a character is none of its own: it modifies or joins those beside it.
pub fn belongs_to_another(character: char) -> bool {
    is_mark(character) || is_invisible(character)
}

/// Whether a character is a control character or an invisible one, wherever it stands.
pub fn is_hidden(character: char) -> bool {
    breaks(character) || is_invisible(character)
}

/// What is visible so far.
struct VisibleLine {
    text: String,
    /// How many marks its last letter has.
    marks: usize,
    /// Whether it ends with a line break, which takes spaces around it along.
    broken: bool,
}

impl VisibleLine {
    fn push(&mut self, character: char, next: Option<char>) {
        if breaks(character) {
            if !self.text.is_empty() && !self.text.ends_with(' ') {
                self.text.push(' ');
            }
            self.broken = true;
            return;
        }
        if self.broken && character == ' ' {
            return;
        }
        self.broken = false;
        self.marks = if is_mark(character) { self.marks + 1 } else { 0 };
        if self.marks > MAX_MARKS {
            return;
        }
        let before = self.text.chars().next_back();
        match is_invisible(character) && !has_effect(character, before, next) {
            true => self.text.extend(character.escape_unicode()),
            false => self.text.push(character),
        }
    }
}

/// Control characters, and the separators of lines and paragraphs.
fn breaks(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

/// What follows a control sequence of ECMA-48 (`ESC [ 1 ; 31 m`) at the beginning of `text`.
fn after_sequence(text: &str) -> Option<&str> {
    /// No real one is longer.
    const MAX_PARAMETERS: usize = 32;
    let parameters = text.strip_prefix("\u{1b}[").or_else(|| text.strip_prefix('\u{9b}'))?;
    let end = parameters.bytes().take(MAX_PARAMETERS).position(|byte| !(b' '..=b'?').contains(&byte))?;
    (b'@'..=b'~').contains(&parameters.as_bytes()[end]).then(|| &parameters[end + 1..])
}

/// Format characters, fillers, tags, noncharacters and those for private use (Unicode 16, `DerivedCoreProperties.txt`:
/// `Default_Ignorable_Code_Point`, and `UnicodeData.txt`: Cf, Co).
fn is_invisible(character: char) -> bool {
    let code = u32::from(character);
    matches!(code,
        0xAD | 0x34F | 0x600..=0x605 | 0x61C | 0x6DD | 0x70F | 0x890..=0x891 | 0x8E2 | 0x115F..=0x1160 | 0x17B4..=0x17B5
        | 0x180B..=0x180F | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F | 0x3164 | 0xE000..=0xF8FF | 0xFDD0..=0xFDEF
        | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0x110BD | 0x110CD | 0x13430..=0x1343F | 0x1BCA0..=0x1BCA3
        | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF | 0xF0000..
    ) || code & 0xFFFE == 0xFFFE
}

/// Whether an invisible character changes how those beside it look, as in 👩‍🚀 and in Persian words.
fn has_effect(character: char, before: Option<char>, next: Option<char>) -> bool {
    let (Some(before), next) = (before, next.unwrap_or_default()) else { return false };
    match character {
        // The joiner and the non-joiner.
        '\u{200C}' | '\u{200D}' => {
            let of_emoji = (is_pictographic(before) || before == '\u{FE0F}') && is_pictographic(next);
            of_emoji || (is_joined(before) && is_joined(next))
        }
        // The styles of emoji and text.
        '\u{FE0E}' | '\u{FE0F}' => is_pictographic(before) || matches!(before, '0'..='9' | '#' | '*' | '©' | '®'),
        _ => false,
    }
}

fn is_pictographic(character: char) -> bool {
    matches!(u32::from(character), 0x203C | 0x2049 | 0x2122 | 0x2139 | 0x2190..=0x27BF | 0x2900..=0x2BFF | 0x1F000..=0x1FAFF)
}

/// Letters of the scripts from Arabic to Sinhala, in which joiners make a difference.
fn is_joined(character: char) -> bool {
    ('\u{620}'..='\u{DFF}').contains(&character) && !is_invisible(character)
}

/// Marks that are put on any letter.
fn is_mark(character: char) -> bool {
    matches!(u32::from(character), 0x300..=0x34E | 0x350..=0x36F | 0x483..=0x489 | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF
        | 0x20D0..=0x20FF | 0xFE20..=0xFE2F)
}
