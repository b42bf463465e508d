//! Starts the controller's log.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::arguments::LogFormat;
use super::log_lines::{CleanFields, CleanJson};

/// The filter that a level or several of the form `target=level` make. A single word is a level: as a target, a typing error would log
/// nothing, or everything.
fn filter(text: &str) -> anyhow::Result<Targets> {
    let is_level = |part: &str| part.contains('=') || part.trim().parse::<LevelFilter>().is_ok();
    let filter = text.parse().ok().filter(|_| text.split(',').all(is_level));
    filter.with_context(|| format!("{text:?} is not a log level: write error, warn, info, debug or trace"))
}

/// Logs to standard error. With [`LogFormat::Auto`], a terminal gets text, and anything else a JSON object per line.
///
/// # Errors
/// If `level` is neither a level nor a filter.
pub fn start(format: LogFormat, level: &str) -> anyhow::Result<()> {
    let filter = filter(level)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_for_all_and_levels_for_parts_of_the_program_are_filters() {
        for text in ["info", "WARN", "off", "kube_prepull=debug", "warn,kube_prepull=debug,hyper=off"] {
            assert!(filter(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_level_that_does_not_exist_is_refused_and_those_that_do_are_named() {
        for text in ["infoo", "verbose", "kube_prepull=loud", "info,verbose"] {
            let error = filter(text).expect_err(text).to_string();
            assert!(error.contains("error, warn, info, debug or trace"), "{error}");
        }
    }
}
