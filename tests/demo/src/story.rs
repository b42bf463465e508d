//! Runs a story: starts its cluster, and stops what was started at its end.

use anyhow::{Error, Result, anyhow};
use test_bed::state::Kind;
use test_bed::{Started, log, wait};

use crate::cluster::{self, Cluster};
use crate::controller;
use crate::screen::Screen;

/// Shows a story, and ends what was started for it.
pub fn show(
    kind: Kind,
    keep: bool,
    screen: &Screen,
    play: impl FnOnce(&Screen, &mut Started) -> Result<()>,
) -> Result<()> {
    let mut started = Started::default();
    let played = play(screen, &mut started).map_err(|error| broken_off(screen, kind, &error));
    if keep {
        started.keep();
        return played;
    }
    screen.note("Cleaning up.");
    let ended = end(kind, started);
    played.and(ended)
}

/// A cluster that was there before stays, without what the demo has added.
fn end(kind: Kind, mut started: Started) -> Result<()> {
    started.end()?;
    Cluster::find(kind)?.map_or(Ok(()), |cluster| cluster.clean_up())
}

/// Says where the story broke off, with the end of the controller's log while there is one.
fn broken_off(screen: &Screen, kind: Kind, error: &Error) -> Error {
    let place = screen.place();
    let log = controller::log(&cluster::folder(kind));
    match (wait::interrupted(), log.exists()) {
        (true, _) => anyhow!("interrupted in {place}"),
        (false, true) => anyhow!("{place}, failed: {error:#}\n{}", log::tail(&log)),
        (false, false) => anyhow!("{place}, failed: {error:#}"),
    }
}
