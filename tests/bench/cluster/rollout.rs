//! One rollout on all nodes, from the edit until the pods of the old generation are gone.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;

use crate::controller::Controller;
use crate::probe::{Latency, Probe};
use crate::process::Process;
use crate::trial::{Trial, images, within};
use crate::{PATIENCE, progress, ready, reference, write_list};

const PAUSE: Duration = Duration::from_millis(100);

/// What it took.
pub struct Rollout {
    /// Of the controller.
    pub cpu: Duration,
    /// Of `/livez` meanwhile.
    pub latency: Latency,
    /// From the moment in which all nodes were warm until the old generation was deleted.
    pub release: Duration,
}

/// Adds an image to a list of so many, and waits for everything that follows.
pub async fn measure(trial: &Trial, controller: &Controller, before: usize, nodes: usize) -> Rollout {
    let (process, probe) = (Process(controller.id()), Probe::begin(&controller.probe_address()));
    let begun = process.cpu();
    write_list(trial, "tools", before + 1).await;
    let release = released(trial, &reference(before), nodes).await;
    progress(&format!("the old generation is deleted {release:.1?} after all nodes were warm"));
    within(PATIENCE, "the old pods to be gone", async || {
        let pods = trial.api::<Pod>().list_metadata(&ListParams::default().limit(1)).await.unwrap();
        let others = pods.metadata.remaining_item_count.unwrap_or_default();
        (usize::try_from(others).unwrap() < nodes).then_some(())
    })
    .await;
    Rollout { cpu: process.cpu() - begun, latency: probe.end(), release }
}

/// Waits until all nodes hold the generations with that image, and says how long the others stay after that.
async fn released(trial: &Trial, added: &str, nodes: usize) -> Duration {
    let started = Instant::now();
    let (mut warm, mut reported) = (None, Instant::now());
    loop {
        let (new, old) = generations(trial, added).await;
        let is_warm = !new.is_empty() && new.iter().all(|it| ready(it) == nodes);
        if is_warm {
            warm = warm.or_else(|| Some(Instant::now()));
        }
        if let (Some(warm), true) = (warm, old.is_empty()) {
            return warm.elapsed();
        }
        if reported.elapsed() > Duration::from_secs(20) {
            progress(&format!("ready on {} nodes", new.iter().map(ready).min().unwrap_or_default()));
            reported = Instant::now();
        }
        assert!(started.elapsed() < PATIENCE, "the rollout does not end");
        tokio::time::sleep(PAUSE).await;
    }
}

/// The DaemonSets of the newest generation, which is the one with that image, and the older ones.
async fn generations(trial: &Trial, added: &str) -> (Vec<DaemonSet>, Vec<DaemonSet>) {
    let all = trial.daemon_sets().await;
    let newest = all.iter().filter(|it| images(it).iter().any(|image| image == added)).map(generation).next();
    let (new, old): (Vec<_>, Vec<_>) = all.into_iter().partition(|it| newest.as_ref() == Some(&generation(it)));
    if newest.is_none() { (Vec::new(), old) } else { (new, old) }
}

fn generation(daemon_set: &DaemonSet) -> String {
    daemon_set.annotations()[kube_prepull::naming::labels::REVISION].clone()
}
