//! `status`: what is warm where, and why not.
//!
//! - [`view`]: what is looked at
//! - [`screen`]: how it is printed, once or again and again

mod screen;
pub mod view;

use std::time::{Duration, Instant};

use screen::Screen;
pub use screen::layout;
use view::View;

use super::Outcome;
use super::arguments::StatusArguments;
use crate::status::Report;

/// The shortest pause between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// The pause is at least so many times as long as the look took, so that a large cluster is not kept busy by those who watch it.
const PAUSE_FACTOR: u32 = 5;

/// Looks at everything and prints what is warm where.
///
/// # Errors
/// Where something cannot be read, or there is no such list.
pub async fn status(arguments: StatusArguments) -> anyhow::Result<Outcome> {
    let view = View::open(&arguments).await?;
    let mut screen = Screen::new(arguments.output);
    let report = view.report().await?;
    if arguments.watch {
        return watch(&view, &mut screen, report).await;
    }
    screen.print(&report)?;
    Ok(if report.warm { Outcome::Good } else { Outcome::Not })
}

/// Prints what changes until Ctrl-C.
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
            // It may be there again the next time.
            Some(Err(error)) => screen.condition(&error)?,
        }
        pause = pause_after(begun.elapsed());
    }
}

/// How long to wait after a look that took so long.
pub fn pause_after(took: Duration) -> Duration {
    PAUSE.max(took * PAUSE_FACTOR)
}

/// What comes out, or `None` for Ctrl-C.
async fn interrupted_within<T>(work: impl Future<Output = T>) -> anyhow::Result<Option<T>> {
    tokio::select! {
        done = work => Ok(Some(done)),
        interrupted = tokio::signal::ctrl_c() => interrupted.map(|()| None).map_err(Into::into),
    }
}
