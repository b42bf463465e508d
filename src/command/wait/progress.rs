//! Prints the progress to standard error: one line that is redrawn on a terminal, or else a line for each change.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use jiff::SignedDuration;

use crate::messages::format as words;
use crate::text::CleanText;

/// The shortest pause between two lines, unless on a terminal.
const PAUSE: Duration = Duration::from_secs(10);

/// Standard error.
pub struct Progress {
    is_terminal: bool,
    begun: Instant,
    /// The line that was printed last, and when.
    last: Option<(String, Instant)>,
    /// The causes that were printed last.
    causes: Vec<String>,
}

impl Progress {
    /// Starts to measure the time.
    pub fn new() -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), begun: Instant::now(), last: None, causes: Vec::new() }
    }

    /// Prints how far it is.
    pub fn report(&mut self, what: &str) {
        self.report_with(what, None);
    }

    /// Prints how far it is, with the estimated time that is left.
    pub fn report_with(&mut self, what: &str, left: Option<SignedDuration>) {
        let left = left.map(|left| format!(", about {} left", words::span(left))).unwrap_or_default();
        if self.is_terminal {
            let waited = SignedDuration::from_secs(self.begun.elapsed().as_secs().try_into().unwrap_or(i64::MAX));
            let line = CleanText::from(format!("{what}{left} ({})", words::span(waited)));
            let width =
                terminal_size::terminal_size_of(std::io::stderr()).map_or(usize::MAX, |(width, _)| width.0.into());
            let line: String = line.chars().take(width.saturating_sub(1)).collect();
            self.write(&format!("\r\x1b[2K{line}"));
        } else if self.last.as_ref().is_none_or(|(last, at)| last != what && at.elapsed() >= PAUSE) {
            self.write(&format!("{}{left}\n", CleanText::from(what)));
            self.last = Some((what.to_owned(), Instant::now()));
        }
    }

    /// Prints what keeps the goal from being reached, once until it changes. These lines stay above the progress.
    pub fn explain(&mut self, causes: Vec<String>) {
        let known = std::mem::take(&mut self.causes);
        for cause in causes.iter().filter(|cause| !known.contains(cause)) {
            self.end();
            let cause = CleanText::from(cause);
            let text = match terminal_size::terminal_size_of(std::io::stderr()).filter(|_| self.is_terminal) {
                // References are copied, so they are not cut in two.
                Some((width, _)) => textwrap::fill(
                    &cause,
                    textwrap::Options::new(width.0.into())
                        .break_words(false)
                        .word_splitter(textwrap::WordSplitter::NoHyphenation),
                ),
                None => cause.into(),
            };
            self.write(&format!("{text}\n"));
        }
        self.causes = causes;
    }

    /// Clears the line for what follows.
    pub fn end(&mut self) {
        if self.is_terminal {
            self.write("\r\x1b[2K");
        }
    }

    /// Ignores failures: the progress is not worth failing for.
    fn write(&self, text: &str) {
        let mut output = std::io::stderr().lock();
        let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    }
}
