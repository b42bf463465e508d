//! What users, registries, nodes and API servers say, made safe to show. Pure.
//!
//! Whatever reaches a terminal, a log, an Event, an annotation or a report passes through [`CleanText`]. Their writers take no other
//! text, so nobody can forget it.
//!
//! - [`visible`]: characters that nobody sees, or that control a terminal
//! - [`ci_commands`]: what a continuous integration system would obey
//! - [`redact`]: credentials in URLs and headers
//! - [`json`]: JSON whose texts are clean, or whose invisible characters are escaped

mod ci_commands;
mod clean_text;
pub mod json;
mod redact;
mod visible;

#[cfg(test)]
pub mod hostile;
#[cfg(test)]
mod tests;

pub use clean_text::CleanText;
