//! A tag moves, and a refresh brings its new digest to the node.

use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use test_bed::real::{Held, TaskRecord};

use super::Story;
use crate::cluster::NAMESPACE;
use crate::images::APP;
use crate::process::beside;
use crate::{list, text};

impl Story<'_> {
    pub(super) fn a_tag_moves(&mut self) -> Result<()> {
        let screen = self.screen;
        screen.step(
            "A tag moves, and a refresh follows it",
            "A node does not notice that a tag has moved to another image. When a refresh is requested, the controller creates a \
             generation that pulls the tag again. The old one keeps the old image until the new one holds the new: a \
             pod that starts in between finds one of them on the node.",
        );
        let (record, begin) = (self.node.record_tasks()?, Instant::now());
        let old = self.images.app.clone();
        let before = self.await_sample("a sample of containerd", begin, |_| true)?;
        let old_holder = before.holder_of(old.as_str()).context("the app is not held")?;
        let new = self.registry.push(APP, &self.images.maker.file("version two of the app"))?;
        screen.output(&format!("{APP}: was {}, is now {}", text::short(old.as_str()), text::short(new.as_str())));
        let asked = SystemTime::now();
        self.refresh()?;
        // Of the app, either digest will do from now on.
        self.wanted.iter_mut().filter(|digests| digests.contains(&old)).for_each(|digests| digests.push(new.clone()));
        let after = self.await_sample("the new digest alone to be held", begin, |sample| {
            sample.holds_any(&[new.as_str()]) && sample.generations().len() == 1
        })?;
        let new_holder = after.holder_of(new.as_str()).context("the app is not held")?;
        self.show_handover(&record, asked, old_holder, new_holder)?;
        self.await_one_daemon_set()?;
        let samples = self.never_released(begin)?;
        screen.shown(&format!("The app was held all the while: in each of {samples} samples of containerd."));
        Ok(())
    }

    /// Shows in containerd's own words that the new container had started before the old one ended.
    fn show_handover(&self, record: &TaskRecord, asked: SystemTime, old: &Held, new: &Held) -> Result<()> {
        let find = |holder: &Held, started: bool| {
            self.wait("containerd's record", || {
                let events = record.events()?.into_iter();
                Ok(events.rev().find(|event| event.container == holder.container && event.started == started))
            })
        };
        let (came, went) = (find(new, true)?, find(old, false)?);
        let line = |at: SystemTime, holder: &Held, what: &str| {
            let after = text::seconds(at.duration_since(asked).unwrap_or_default());
            self.screen.output(&format!(
                "after {after:>6}   {} {what} {}",
                text::short(&holder.digest),
                holder.generation
            ));
        };
        line(asked, old, "is held by the generation");
        line(came.at, new, "is held by the generation");
        line(went.at, old, "is released by the generation");
        let both = went.at.duration_since(came.at);
        let both = both.ok().context("the old container ended before the new one had started")?;
        self.screen.shown(&format!(
            "The old generation stayed until the new one held the image: for {:.2} s, by containerd's record, both did.",
            both.as_secs_f64()
        ));
        Ok(())
    }

    /// Runs `kube-prepull refresh` and shows it.
    pub(super) fn refresh(&self) -> Result<()> {
        let arguments = ["refresh", list::NAME, "--namespace", NAMESPACE];
        self.screen.command(&format!("kube-prepull {}", arguments.join(" ")));
        let mut command = Command::new(beside("kube-prepull")?);
        command.args(arguments).arg("--kubeconfig").arg(self.cluster.kubeconfig()).stdin(Stdio::null());
        let output = command.output().context("cannot run kube-prepull")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kube-prepull refresh failed: {}", said.trim());
        Ok(())
    }
}
