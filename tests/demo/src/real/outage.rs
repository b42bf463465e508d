//! The registry goes down in the middle of a refresh.

use std::time::Instant;

use anyhow::{Result, ensure};
use test_bed::{Digest, Registry, wait};

use super::Story;
use crate::text;

/// While it lives the registry is down. It is up again afterwards, however the step ends.
struct Outage<'r> {
    registry: &'r Registry,
}

impl<'r> Outage<'r> {
    fn begin(registry: &'r Registry) -> Result<Self> {
        registry.stop()?;
        Ok(Self { registry })
    }

    fn end(self) -> Result<()> {
        self.registry.start()
    }
}

impl Drop for Outage<'_> {
    fn drop(&mut self) {
        // After Ctrl-C it is started too, but not waited for.
        if let Err(error) = self.registry.start()
            && !wait::interrupted()
        {
            eprintln!("the registry does not start again: {error:#}");
        }
    }
}

impl Story<'_> {
    pub(super) fn the_registry_goes_down(&mut self) -> Result<()> {
        let screen = self.screen;
        screen.step(
            "The registry goes down, and a refresh is asked for",
            "The new generation cannot pull anything. A puller that deletes its old pods first would release all images \
             now, just when they cannot be pulled again. Here the old generation stays for as long as it takes.",
        );
        let begin = Instant::now();
        let outage = Outage::begin(&self.registry)?;
        screen.output("(the registry is stopped: connections are refused)");
        self.refresh()?;
        self.await_failed_pulls()?;
        self.cluster.show(screen, &["get", "pods"])?;
        let old = self.await_sample("a sample of containerd", Instant::now(), |_| true)?;
        ensure!(old.generations().len() == 1, "more than the old generation holds images: {:#?}", old.held);
        let samples = self.never_released(begin)?;
        screen.shown(&format!(
            "The new pod cannot pull. The old one holds all {} images, in each of {samples} samples of containerd.",
            self.wanted.len()
        ));

        outage.end()?;
        let back = Instant::now();
        screen.output("(the registry is back; the kubelet tries again by itself, but pauses before each try)");
        let new = self.await_recovered(back, old.generations()[0])?;
        self.await_one_daemon_set()?;
        let samples = self.never_released(begin)?;
        screen.shown(&format!(
            "Recovered after {} without anybody's help: a new generation holds all images, and the old one is gone. In none \
             of {samples} samples was an image not held.",
            text::seconds(new.duration_since(back))
        ));
        Ok(())
    }

    /// Waits until the kubelet has failed to pull each of the images.
    fn await_failed_pulls(&self) -> Result<()> {
        let reasons = r#"jsonpath={range .items[*].status.containerStatuses[*]}{.state.waiting.reason}{"\n"}{end}"#;
        let on_node = format!("spec.nodeName={}", self.node.name());
        self.wait("the new generation to fail", || {
            let reasons = self.cluster.kubectl(&["get", "pods", "--field-selector", &on_node, "-o", reasons])?;
            let failed = reasons.lines().filter(|reason| ["ErrImagePull", "ImagePullBackOff"].contains(reason)).count();
            Ok((failed == self.wanted.len()).then_some(()))
        })
    }

    /// Waits until another generation holds everything and the old one nothing. Returns since when.
    fn await_recovered(&self, back: Instant, old: &str) -> Result<Instant> {
        let digests: Vec<_> = self.wanted.iter().filter_map(|digests| digests.last()).map(Digest::as_str).collect();
        let recovered = self.await_sample("the new generation to hold all images", back, |sample| {
            !sample.generations().contains(&old) && sample.holds_all(&digests)
        })?;
        Ok(recovered.at)
    }
}
