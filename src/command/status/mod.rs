//! `status`: shows what is warm where, and why not.
//!
//! - [`view`]: reads the lists that the arguments select
//! - [`screen`]: prints a report once or repeatedly

mod screen;
pub mod view;

use std::time::{Duration, Instant};

use screen::Screen;
pub use screen::layout;
use view::View;

use super::arguments::StatusArguments;
use super::outcome::Outcome;
use crate::status::Report;

/// The shortest pause between two reports.
const PAUSE: Duration = Duration::from_secs(2);
/// The pause is at least this many times as long as the last report took, so that watching does not overload a large cluster.
const PAUSE_FACTOR: u32 = 5;

/// Prints what is warm where.
///
/// # Errors
/// If something cannot be read, or there is no such list.
pub async fn status(arguments: StatusArguments) -> anyhow::Result<Outcome> {
    let view = View::open(&arguments).await?;
    let mut screen = Screen::new(arguments.output, !arguments.list_names().is_empty());
    let report = view.report().await?;
    if arguments.watch {
        return watch(&view, &mut screen, report).await;
    }
    screen.print(&report)?;
    Ok(if report.warm { Outcome::Good } else { Outcome::Not })
}

/// Prints a report for each change until Ctrl-C.
async fn watch(view: &View, screen: &mut Screen, first: Report) -> anyhow::Result<Outcome> {
    let mut pause = PAUSE;
    screen.show(&first)?;
    loop {
        if interrupted_within(tokio::time::sleep(pause)).await?.is_none() {
            return screen.leave();
        }
        let begun = Instant::now();
        match interrupted_within(view.report()).await? {
            None => return screen.leave(),
            Some(Ok(report)) => screen.show(&report)?,
            // The next attempt may succeed.
            Some(Err(error)) => screen.condition(&error)?,
        }
        pause = pause_after(begun.elapsed());
    }
}

/// The pause after a report that took this long.
pub fn pause_after(took: Duration) -> Duration {
    PAUSE.max(took * PAUSE_FACTOR)
}

/// The result of the work; `None` after Ctrl-C.
async fn interrupted_within<T>(work: impl Future<Output = T>) -> anyhow::Result<Option<T>> {
    tokio::select! {
        done = work => Ok(Some(done)),
        interrupted = tokio::signal::ctrl_c() => interrupted.map(|()| None).map_err(Into::into),
    }
}
