//! The layout of the demo's lines. Pure.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};
use test_bed::Digest;

/// How wide a paragraph may be, in characters.
pub const WIDTH: usize = 100;
/// Everything but a step's title stands this far in.
pub const INDENT: &str = "   ";
/// What commands print stands further in than the commands.
const OUTPUT: &str = "     ";
const CONTINUED: &str = "         ";

/// Breaks a text into lines of at most [`WIDTH`] characters, indentation included. A longer word has a line of its own.
pub fn paragraph(text: &str) -> Vec<String> {
    broken(text.trim(), INDENT, INDENT)
}

/// Shows a line of output as it is, if it fits. One that does not goes on below, further in.
pub fn output(line: &str) -> Vec<String> {
    broken(line, OUTPUT, CONTINUED)
}

/// Spaces belong to the word before them, so that columns stay where they are.
fn broken(text: &str, first: &str, others: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_inclusive(' ') {
        let length = word.trim_end().chars().count();
        let indent = if lines.is_empty() { first } else { others };
        match lines.last_mut() {
            Some(line) if line.chars().count() + length <= WIDTH => line.push_str(word),
            _ => lines.push(format!("{indent}{word}")),
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// A digest as people compare them: its algorithm and its first 12 characters.
pub fn short(digest: &str) -> String {
    match digest.split_once(':') {
        Some((algorithm, hash)) => format!("{algorithm}:{}", hash.chars().take(12).collect::<String>()),
        None => digest.to_owned(),
    }
}

/// Seconds, to a tenth.
pub fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// An image that was pushed, and what it is.
pub fn image(reference: &str, digest: &Digest, what: &str) -> String {
    format!("{reference:<32}{:<22}{what}", short(digest.as_str()))
}

/// The heading over [`pull`].
pub fn pull_heading() -> String {
    row("image", "digest", "size", "held after")
}

/// An image that has been pulled.
pub fn pull(reference: &str, digest: &str, size: &str, after: Duration) -> String {
    row(reference, &short(digest), size, &seconds(after))
}

fn row(reference: &str, digest: &str, size: &str, after: &str) -> String {
    format!("{reference:<32}{digest:<22}{size:>10}{after:>14}")
}

/// The lines that went (`-`) and the lines that came (`+`).
pub fn difference(old: &str, new: &str) -> Vec<String> {
    let difference = TextDiff::from_lines(old, new);
    let changes = difference.iter_all_changes().filter(|change| change.tag() != ChangeTag::Equal);
    changes.map(|change| format!("{} {}", change.tag(), change.value().trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_break_between_words() {
        let lines = paragraph(&"word ".repeat(50));
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH && line.starts_with("   word")));
        assert_eq!(lines.join(" ").split_whitespace().count(), 50);
        let long = "x".repeat(200);
        assert_eq!(paragraph(&format!("a {long} b")).len(), 3);
        assert!(paragraph(" ").is_empty());
    }

    #[test]
    fn output_keeps_its_columns_and_its_words() {
        assert_eq!(output("NAME    AGE"), ["     NAME    AGE"]);
        let long = format!("0s      Warning   {}", "word ".repeat(40));
        let lines = output(&long);
        assert!(lines[0].starts_with("     0s      Warning   word"));
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:#?}");
        assert_eq!(lines.join(" ").split_whitespace().count(), 42);
        assert!(lines[1].starts_with("         word"));
    }

    #[test]
    fn rows_stand_under_their_heading() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let row = pull("registry.test/app:1", &digest, "50.0 MiB", Duration::from_millis(1250));
        assert_eq!(row.find("sha256:000000000000 "), pull_heading().find("digest"));
        assert_eq!(row.len(), pull_heading().len());
        assert!(row.ends_with("1.2 s"), "{row}");
    }

    #[test]
    fn a_difference_shows_what_went_and_what_came() {
        assert_eq!(difference("a\nb\nc\n", "a\nB\nc\n"), ["- b", "+ B"]);
        assert_eq!(difference("a\nb\n", "a\nb\nc\n"), ["+ c"]);
        assert_eq!(difference("a\na\n", "a\n"), ["- a"]);
        assert!(difference("a", "a").is_empty());
    }
}
