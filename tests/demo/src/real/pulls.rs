//! Images are pulled: those of the first list, and one that an edit adds.

use std::time::Instant;

use anyhow::{Result, ensure};
use test_bed::Digest;

use super::{NAMES, Story};
use crate::controller::Controller;
use crate::images::{EXTRA, TOOLS};
use crate::{list, text};

impl Story<'_> {
    pub(super) fn images_arrive(&mut self) -> Result<()> {
        let screen = self.screen;
        screen.step(
            "A list, and its images arrive",
            "The whole user interface is a ConfigMap. The controller makes a DaemonSet of it, a \"generation\", with a \
             container for each image. No pod that uses the images exists yet: when one comes, its node has nothing to pull. \
             (List and pods are in the namespace prepull-demo, which enforces the Pod Security Standard \"restricted\".)",
        );
        self.controller = Some(Controller::start(screen, &self.cluster)?);
        let begin = Instant::now();
        self.cluster.apply_sample(screen)?;
        let images = &self.images;
        self.wanted = [&images.scratch, &images.tools, &images.app].map(|digest| vec![digest.clone()]).to_vec();
        self.show_pulls(begin, &NAMES[..3])?;
        self.cluster.show(screen, &["get", "daemonsets"])?;
        screen.shown("Three images are on the node, and a container of each keeps it there.");
        Ok(())
    }

    pub(super) fn an_edit_brings_a_fourth_image(&mut self) -> Result<()> {
        let screen = self.screen;
        screen.step(
            "An edit, and a fourth image arrives",
            "Nothing is restarted. The edit makes a second generation beside the first, which goes when the second holds \
             all that the first one held. The registry is asked for the new image only.",
        );
        let extra = self.registry.push(EXTRA, &self.images.maker.file("the fourth image"))?;
        let new = list::with_extra(&self.list)?;
        let (before, begin) = (self.wanted.clone(), Instant::now());
        let layers = self.registry.blob_requests(TOOLS, self.node.address())?;
        self.cluster.edit(screen, &self.list, &new)?;
        self.list = new;
        self.wanted = vec![vec![extra]];
        self.show_pulls(begin, &[EXTRA])?;
        // The three are held all the while; the fourth from now on too.
        let extra = std::mem::replace(&mut self.wanted, before);
        let samples = self.never_released(begin)?;
        self.wanted.extend(extra);
        self.complete = self.await_one_generation(begin)?;
        let again = self.registry.blob_requests(TOOLS, self.node.address())? - layers;
        ensure!(again == 0, "the node has pulled {TOOLS} again: it asked for {again} blobs");
        screen.shown(&format!(
            "The fourth image is there. The other three were held all the while, in each of {samples} samples of \
             containerd, and by the registry's log no byte of the 50 MiB was pulled again."
        ));
        Ok(())
    }

    /// Shows the wanted images as they come to be held. `names` are theirs.
    fn show_pulls(&self, begin: Instant, names: &[&str]) -> Result<()> {
        let screen = self.screen;
        let mut missing: Vec<(&str, &Digest)> =
            names.iter().copied().zip(self.wanted.iter().filter_map(|digests| digests.last())).collect();
        screen.output(&text::pull_heading());
        self.wait("images to arrive on the node", || {
            let samples = self.watch.since(begin)?;
            let mut arrived: Vec<_> = (missing.iter())
                .filter_map(|&(name, digest)| {
                    Some((samples.iter().find(|it| it.holds_any(&[digest.as_str()]))?.at, name, digest))
                })
                .collect();
            arrived.sort();
            for (at, name, digest) in arrived {
                let size = self.size(digest.as_str())?;
                screen.output(&text::pull(name, digest.as_str(), &size, at.duration_since(begin)));
                missing.retain(|(other, _)| *other != name);
            }
            Ok(missing.is_empty().then_some(()))
        })
    }

    /// Waits until one generation holds every wanted image on the node, and no other one is left in the cluster. Returns
    /// since when the node is so.
    pub(super) fn await_one_generation(&self, begin: Instant) -> Result<Instant> {
        let digests: Vec<_> = self.digests().into_iter().filter_map(|digests| digests.last().copied()).collect();
        let settled = self.await_sample("the older generation to go", begin, |sample| {
            sample.generations().len() == 1 && sample.holds_all(&digests)
        })?;
        self.await_one_daemon_set()?;
        Ok(settled.at)
    }
}
