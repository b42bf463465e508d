//! How far it is, on standard error: one line that is drawn anew on a terminal, otherwise a line for each change.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use jiff::SignedDuration;

use crate::messages::format as words;

/// Elsewhere than on a terminal, lines follow each other no faster.
const PAUSE: Duration = Duration::from_secs(10);

/// Standard error.
pub struct Progress {
    is_terminal: bool,
    begun: Instant,
    /// What was told last, and when.
    last: Option<(String, Instant)>,
}

impl Progress {
    /// Begins to count the time.
    pub fn new() -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), begun: Instant::now(), last: None }
    }

    /// Tells how far it is.
    pub fn tell(&mut self, what: &str) {
        self.report_with(what, None);
    }

    /// The same, with the time that it may still take.
    pub fn report_with(&mut self, what: &str, left: Option<SignedDuration>) {
        let left = left.map(|left| format!(", about {} left", words::span(left))).unwrap_or_default();
        if self.is_terminal {
            let waited = SignedDuration::from_secs(self.begun.elapsed().as_secs().try_into().unwrap_or(i64::MAX));
            let line = words::printable(&format!("{what}{left} ({})", words::span(waited)));
            let width =
                terminal_size::terminal_size_of(std::io::stderr()).map_or(usize::MAX, |(width, _)| width.0.into());
            let line: String = line.chars().take(width.saturating_sub(1)).collect();
            self.write(&format!("\r\x1b[2K{line}"));
        } else if self.last.as_ref().is_none_or(|(last, at)| last != what && at.elapsed() >= PAUSE) {
            self.write(&format!("{}{left}\n", words::printable(what)));
            self.last = Some((what.to_owned(), Instant::now()));
        }
    }

    /// Makes room for what follows.
    pub fn end(&mut self) {
        if self.is_terminal {
            self.write("\r\x1b[2K");
        }
    }

    /// Nobody has to see it.
    fn write(&self, text: &str) {
        let mut output = std::io::stderr().lock();
        let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    }
}
