//! The controller stops, and everything stays.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::Story;

/// How many samples of containerd show that nothing happens.
const SAMPLES: usize = 30;

impl Story<'_> {
    pub(super) fn the_controller_stops(&mut self) -> Result<()> {
        let screen = self.screen;
        screen.step(
            "The controller stops",
            "What keeps the images are DaemonSets and their containers, not the controller. It can be stopped, upgraded or \
             killed at any time. (kubernetes-image-puller deletes its DaemonSet when it stops.)",
        );
        let generations = self.cluster.generations()?;
        let before = self.await_sample("a sample of containerd", Instant::now(), |_| true)?.held;
        let controller = self.controller.take().context("the controller does not run")?;
        screen.output("(SIGTERM to the controller, as Kubernetes sends it)");
        let took = controller.stop()?;
        let begin = Instant::now();
        let enough = || Ok(Some(self.watch.since(begin)?).filter(|samples| samples.len() >= SAMPLES));
        let samples = self.wait("samples of containerd", enough)?;
        let changed = samples.iter().find(|sample| sample.held != before);
        ensure!(changed.is_none(), "containers have changed: {before:#?} before, and now {changed:#?}");
        ensure!(self.cluster.generations()? == generations, "DaemonSets have changed");
        self.cluster.show(screen, &["get", "daemonsets"])?;
        screen.shown(&format!(
            "It ended within {} ms. All {} images are still held, by the same containers.",
            took.as_millis() + 1,
            before.len()
        ));
        Ok(())
    }
}
