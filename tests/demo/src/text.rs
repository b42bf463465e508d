//! How the demo's lines look. Pure.

use std::time::Duration;

use crate::held::Held;

/// How wide a paragraph may be, in characters.
pub const WIDTH: usize = 100;
/// Everything but a step's title stands this far in.
pub const INDENT: &str = "   ";

/// Breaks a text into lines of at most [`WIDTH`] characters, indentation included. A longer word has a line of its own.
pub fn paragraph(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{INDENT}{word}")),
        }
    }
    lines
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

/// The heading over [`arrival`].
pub fn arrival_heading() -> String {
    row("image", "digest", "size", "held after")
}

/// An image that has arrived.
pub fn arrival(reference: &str, digest: &str, size: &str, after: Duration) -> String {
    row(reference, &short(digest), size, &seconds(after))
}

fn row(reference: &str, digest: &str, size: &str, after: &str) -> String {
    format!("{reference:<32}{digest:<22}{size:>10}{after:>14}")
}

/// Which generations hold which digests.
pub fn holdings(held: &[Held]) -> String {
    let each = held.iter().map(|held| format!("{} in generation {}", short(&held.digest), held.generation));
    let all = each.collect::<Vec<_>>().join(", ");
    if all.is_empty() { "not held".to_owned() } else { all }
}

/// The lines that went (`-`) and the lines that came (`+`), with what stayed around them left out.
pub fn difference(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let same = |(one, other): &(&&str, &&str)| one == other;
    let before = old.iter().zip(&new).take_while(same).count();
    let (old, new) = (&old[before..], &new[before..]);
    let after = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    let gone = old[..old.len() - after].iter().map(|line| format!("- {line}"));
    let come = new[..new.len() - after].iter().map(|line| format!("+ {line}"));
    gone.chain(come).collect()
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
    fn rows_stand_under_their_heading() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let row = arrival("registry.test/app:1", &digest, "50.0 MiB", Duration::from_millis(1250));
        assert_eq!(row.find("sha256:000000000000 "), arrival_heading().find("digest"));
        assert_eq!(row.len(), arrival_heading().len());
        assert!(row.ends_with("1.2 s"), "{row}");
    }

    #[test]
    fn a_difference_shows_what_went_and_what_came() {
        assert_eq!(difference("a\nb\nc", "a\nB\nc"), ["- b", "+ B"]);
        assert_eq!(difference("a\nb", "a\nb\nc"), ["+ c"]);
        assert_eq!(difference("a\na", "a"), ["- a"]);
        assert!(difference("a", "a").is_empty());
    }
}
