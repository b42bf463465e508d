//! What the user sees: numbered steps, commands, observations. Colours and redrawn lines only on a terminal.

use std::cell::{Cell, RefCell};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::Result;
use test_bed::wait;

use crate::text::{self, INDENT};

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const CYAN: &str = "36";

/// Standard output.
pub struct Screen {
    live: bool,
    colours: bool,
    steps: usize,
    step: Cell<usize>,
    title: RefCell<String>,
}

impl Screen {
    /// For a story of so many steps.
    pub fn new(steps: usize) -> Self {
        let live = std::io::stdout().is_terminal();
        let colours = live && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { live, colours, steps, step: Cell::new(0), title: RefCell::default() }
    }

    /// The step that the story has come to, in words for an error.
    pub fn place(&self) -> String {
        format!("step {} of {}, \"{}\"", self.step.get(), self.steps, self.title.borrow())
    }

    /// The title of the story.
    pub fn story(&self, title: &str, what: &str) {
        self.line(&self.colour(BOLD, title));
        self.say(what);
    }

    /// Begins the next step, and says what will happen and why it matters.
    pub fn step(&self, title: &str, why: &str) {
        self.step.set(self.step.get() + 1);
        title.clone_into(&mut self.title.borrow_mut());
        let numbered = format!("[{}/{}] {title}", self.step.get(), self.steps);
        self.line("");
        self.line(&self.colour(BOLD, &numbered));
        self.say(why);
    }

    /// A paragraph.
    pub fn say(&self, paragraph: &str) {
        text::paragraph(paragraph).iter().for_each(|line| self.line(line));
    }

    /// A command that is being run.
    pub fn command(&self, command: &str) {
        self.line(&format!("{INDENT}{}", self.colour(CYAN, &format!("$ {command}"))));
    }

    /// What a command has printed, or a part of a table.
    pub fn output(&self, output: &str) {
        output.lines().flat_map(text::output).for_each(|line| self.line(&line));
    }

    /// Something of less weight.
    pub fn note(&self, note: &str) {
        text::paragraph(note).iter().for_each(|line| self.line(&self.colour(DIM, line)));
    }

    /// What has been shown.
    pub fn shown(&self, what: &str) {
        let lines = text::paragraph(&format!("✓ {what}"));
        lines.iter().for_each(|line| self.line(&self.colour(GREEN, line)));
    }

    /// Waits until `check` returns a value; a terminal shows for what, and for how long already.
    pub fn wait<T>(&self, what: &str, limit: Duration, mut check: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        let begun = Instant::now();
        let answer = wait::until(what, limit, || {
            self.redraw(&format!("{INDENT}… {what} ({} s)", begun.elapsed().as_secs()));
            check()
        });
        self.redraw("");
        answer
    }

    /// The line that is written over by the next.
    fn redraw(&self, line: &str) {
        if self.live {
            self.write(&format!("\r\x1b[2K{}", self.colour(DIM, line)));
        }
    }

    fn line(&self, line: &str) {
        self.redraw("");
        self.write(&format!("{line}\n"));
    }

    /// A reader who has gone away is no reason to stop half way, so errors are left alone.
    fn write(&self, text: &str) {
        let mut output = std::io::stdout().lock();
        let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    }

    fn colour(&self, code: &str, text: &str) -> String {
        if self.colours && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
