//! An edit with mistakes is refused, and nothing is lost.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::Story;
use crate::list;

impl Story<'_> {
    pub(super) fn mistakes_change_nothing(&mut self) -> Result<()> {
        let screen = self.screen;
        screen.step(
            "An edit with two mistakes: refused, and nothing is lost",
            "A typing error must not release images on a whole cluster. The edit is refused as a whole, the last \
             good state stays, and an Event says what is wrong, where, and how to put it right: all problems at once.",
        );
        let generations = self.cluster.generations()?;
        let begin = Instant::now();
        let before = self.await_sample("a sample of containerd", begin, |_| true)?.held;
        self.cluster.edit(screen, &self.list, &list::with_mistakes(&self.list)?)?;
        self.cluster.await_state(screen, "rejected")?;
        self.cluster.show_event(screen, "ListRejected")?;
        let after = self.await_sample("a sample of containerd", Instant::now(), |_| true)?.held;
        ensure!(after == before, "containers have changed: {before:#?} before, and now {after:#?}");
        ensure!(self.cluster.generations()? == generations, "DaemonSets have changed");
        let count = after.len();
        screen.shown(&format!("The same {count} containers hold the same {count} images; no DaemonSet was touched."));

        screen.say("The good list again:");
        self.cluster.edit(screen, &list::with_mistakes(&self.list)?, &self.list)?;
        self.cluster.await_state(screen, "accepted")?;
        let after = self.await_sample("a sample of containerd", Instant::now(), |_| true)?.held;
        ensure!(after == before, "containers have changed: {before:#?} before, and now {after:#?}");
        self.never_released(begin)?;
        screen.shown(
            "Accepted, and still the same containers: an edit that changes nothing for the nodes begins nothing.",
        );
        Ok(())
    }
}
