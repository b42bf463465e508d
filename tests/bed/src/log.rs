//! Logs of the bed's programs, for error messages.

use std::fs;
use std::path::Path;

const LINES: usize = 15;

/// The end of a log and where to read the rest.
#[must_use]
pub fn tail(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    format!("--- the end of {}:\n{}", path.display(), last.join("\n"))
}
