//! A tag moves, and a refresh brings its new digest to the node.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::{PULLS, Story};
use crate::cluster::NAMESPACE;
use crate::controller::beside;
use crate::held::{self, Held};
use crate::images::APP;
use crate::{list, text};

impl Story<'_> {
    pub(super) fn a_tag_moves(&mut self) -> Result<()> {
        let screen = self.screen;
        screen.step(
            "A tag moves, and a refresh follows it",
            "Nodes do not notice that a tag stands for another image now. A refresh, by hand or on a schedule, makes a \
             generation that looks at the tags again. The old one keeps the old image until the new one holds the new: a \
             pod that starts in between finds one of them, and never an empty node.",
        );
        let old = self.images.app.clone();
        let new = self.registry.push(APP, &self.images.maker.file("version two of the app"))?;
        screen.output(&format!("{APP}: was {}, is now {}", text::short(old.as_str()), text::short(new.as_str())));
        let begin = Instant::now();
        self.refresh()?;
        // Of the app, either digest will do from now on.
        self.wanted.iter_mut().filter(|digests| digests.contains(&old)).for_each(|digests| digests.push(new.clone()));
        self.show_changes(begin, &[old.as_str(), new.as_str()], |held| {
            held.iter().all(|held| held.digest == new.as_str())
        })?;
        self.await_one_generation(begin)?;
        let samples = self.never_unheld(begin)?;
        screen.shown(&format!(
            "The new digest came before the old one went: held in each of {samples} looks into containerd."
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

    /// Shows how the holding of these digests changes from sample to sample, until something is held and `is_last`.
    fn show_changes(&self, begin: Instant, digests: &[&str], is_last: impl Fn(&[Held]) -> bool) -> Result<()> {
        let screen = self.screen;
        let mut shown = 0;
        screen.wait("the new digest to be held alone", PULLS, || {
            let changes = held::changes(&self.watch.since(begin)?, digests);
            for (at, held) in &changes[shown..] {
                let after = text::seconds(at.duration_since(begin));
                screen.output(&format!("after {after:>7}   {}", text::holdings(held)));
            }
            shown = changes.len();
            Ok(changes.last().filter(|(_, held)| !held.is_empty() && is_last(held)).map(drop))
        })
    }
}
