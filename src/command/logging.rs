//! Starts the controller's log.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::arguments::LogFormat;
use super::log_lines::{CleanFields, CleanJson};

/// Logs to standard error. With [`LogFormat::Auto`], a terminal gets text, and anything else a JSON object per line.
///
/// # Errors
/// If `level` is neither a level nor a filter.
pub fn start(format: LogFormat, level: &str) -> anyhow::Result<()> {
    let filter: Targets = level
        .parse()
        .with_context(|| format!("{level:?} is not a log level: write error, warn, info, debug or trace"))?;
    let terminal = std::io::stderr().is_terminal();
    let human = match format {
        LogFormat::Auto => terminal,
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let lines = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(terminal && std::env::var_os("NO_COLOR").is_none());
    if human {
        // Colours are added to the fields, so these are cleaned before.
        lines.with_writer(std::io::stderr).with_target(false).fmt_fields(CleanFields).finish().with(filter).init();
    } else {
        lines.json().flatten_event(true).with_writer(|| CleanJson(std::io::stderr())).finish().with(filter).init();
    }
    Ok(())
}
