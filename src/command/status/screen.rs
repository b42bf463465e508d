//! Prints reports to standard output: once, repeatedly on one screen, or one after the other.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use anstream::AutoStream;
use anyhow::Context;
use jiff::Timestamp;
use terminal_size::{Height, Width, terminal_size_of};

use crate::command::arguments::StatusFormat;
use crate::command::outcome::Outcome;
use crate::command::terminal::print_error;
use crate::status::{Layout, Report, print};

/// Moves the cursor to the upper left corner.
const HOME: &str = "\x1b[H";
/// Clears the line from the cursor on.
const CLEAR_LINE: &str = "\x1b[K";
/// Clears the screen from the cursor on.
const CLEAR_REST: &str = "\x1b[J";

/// Standard output.
pub struct Screen {
    format: StatusFormat,
    /// Whether the lists were chosen by name.
    named: bool,
    is_terminal: bool,
    /// The report that was printed last.
    last: Option<Report>,
    /// The error since then that was printed last.
    condition: Option<String>,
}

impl Screen {
    /// Prepares to print reports in this format; `named` is whether their lists were chosen by name.
    pub fn new(format: StatusFormat, named: bool) -> Self {
        Self { format, named, is_terminal: io::stdout().is_terminal(), last: None, condition: None }
    }

    /// Prints a report.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn print(&self, report: &Report) -> anyhow::Result<()> {
        write(&self.rendered(report, true)?)
    }

    /// Replaces the report on a terminal. Elsewhere, appends the report if something has changed.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn show(&mut self, report: &Report) -> anyhow::Result<()> {
        let is_new = !self.last.as_ref().is_some_and(|last| is_same(last, report));
        if self.redraws() {
            self.redraw(report)?;
        } else if is_new {
            self.append(report)?;
        }
        self.last = Some(report.clone());
        self.condition = None;
        Ok(())
    }

    /// Prints why there is no new report, once for each reason.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn condition(&mut self, error: &anyhow::Error) -> anyhow::Result<()> {
        let error = format!("{error:#}");
        if self.condition.as_ref() != Some(&error) {
            print_error(format!("error: {error}; retrying"));
            self.condition = Some(error);
        }
        Ok(())
    }

    /// Ends the output after Ctrl-C.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn leave(&self) -> anyhow::Result<Outcome> {
        // Terminals print ^C at the cursor.
        if self.is_terminal {
            write(b"\n")?;
        }
        Ok(Outcome::Good)
    }

    fn redraws(&self) -> bool {
        self.is_terminal && matches!(self.format, StatusFormat::Table | StatusFormat::Wide)
    }

    fn redraw(&self, report: &Report) -> anyhow::Result<()> {
        let rendered = String::from_utf8_lossy(&self.rendered(report, true)?).into_owned();
        let heading = format!("{}  (every 2 s or less often; Ctrl-C to stop)\n\n", local(report.time));
        let height = size().map_or(usize::MAX, |(_, height)| height);
        let lines: Vec<&str> = heading.lines().chain(rendered.lines()).collect();
        // The last line is for the cursor, and the one before it for how many lines are missing.
        let fits = lines.len() < height;
        let shown = if fits { lines.len() } else { height.saturating_sub(2) };
        let mut output = HOME.to_owned();
        for line in &lines[..shown] {
            output.push_str(&format!("{line}{CLEAR_LINE}\n"));
        }
        if !fits {
            output.push_str(&format!("… {} more lines{CLEAR_LINE}", lines.len() - shown));
        }
        write(format!("{output}{CLEAR_REST}").as_bytes())
    }

    fn append(&self, report: &Report) -> anyhow::Result<()> {
        let mut output = match self.format {
            StatusFormat::Table | StatusFormat::Wide if self.last.is_some() => {
                format!("\n{:.0}\n", report.time).into_bytes()
            }
            StatusFormat::Table | StatusFormat::Wide => format!("{:.0}\n", report.time).into_bytes(),
            StatusFormat::Yaml => b"---\n".to_vec(),
            StatusFormat::Json => Vec::new(),
        };
        output.extend(self.rendered(report, false)?);
        write(&output)
    }

    fn rendered(&self, report: &Report, pretty: bool) -> anyhow::Result<Vec<u8>> {
        let mut output = AutoStream::new(Vec::new(), AutoStream::choice(&io::stdout()));
        match self.format {
            StatusFormat::Table | StatusFormat::Wide => {
                let layout = layout(&io::stdout(), self.format == StatusFormat::Wide);
                print(report, Layout { named: self.named, ..layout }, &mut output)?;
            }
            StatusFormat::Json if pretty => writeln!(output, "{}", serde_json::to_string_pretty(report)?)?,
            StatusFormat::Json => writeln!(output, "{}", serde_json::to_string(report)?)?,
            StatusFormat::Yaml => write!(output, "{}", serde_yaml::to_string(report)?)?,
        }
        Ok(output.into_inner())
    }
}

/// Whether two reports say the same at different times. Lists also have another version whenever somebody touches their metadata.
fn is_same(one: &Report, other: &Report) -> bool {
    let mut one = Report { time: other.time, ..one.clone() };
    for (list, other) in one.lists.iter_mut().zip(&other.lists) {
        list.resource_version.clone_from(&other.resource_version);
    }
    one == *other
}

/// The layout of a table on this stream.
pub fn layout(stream: &(impl IsTerminal + AsFd), wide: bool) -> Layout {
    let is_terminal = stream.is_terminal();
    let width = terminal_size_of(stream).filter(|_| is_terminal).map(|(Width(width), _)| width.into());
    Layout { width, bars: is_terminal, wide, named: false }
}

fn size() -> Option<(usize, usize)> {
    terminal_size_of(io::stdout()).map(|(Width(width), Height(height))| (width.into(), height.into()))
}

fn local(time: Timestamp) -> String {
    time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

fn write(bytes: &[u8]) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(bytes).and_then(|()| output.flush()).context("cannot write the report")
}
