//! The colours of the table.

use anstyle::{AnsiColor, Style};

/// Nothing is missing.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Something is missing.
pub const BEHIND: Style = AnsiColor::Yellow.on_default();
/// Something is wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Names and headings.
pub const HEADING: Style = Style::new().bold();
/// What is only said beside.
pub const QUIET: Style = Style::new().dimmed();
