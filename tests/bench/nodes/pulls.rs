//! How long it takes until a new node has all images, if the registry limits what a connection carries and the kubelet may pull
//! several images at a time: a kubelet pulls those of one pod one after the other, those of several pods side by side.

use std::time::Duration;

use test_bed::Real;
use test_bed::real::Fault;

use crate::pods;
use crate::trial::Trial;

const IMAGES: usize = 20;
/// Each takes six seconds.
const BYTES: usize = 3_000_000;
const BYTES_PER_SECOND: u32 = 500_000;
/// How many pulls the bed's kubelets allow at a time (`maxParallelImagePulls`).
const PODS: usize = 4;
/// What the time with several pods is to that with one, at most.
const GOAL: f64 = 0.4;

/// Prints both times, and says whether several pods are as much faster as they are to be.
pub async fn measure(bed: &Real, trial: &Trial) -> bool {
    let one = pull(bed, trial, "one", IMAGES).await;
    let several = pull(bed, trial, "several", IMAGES.div_ceil(PODS)).await;
    let ratio = several.as_secs_f64() / one.as_secs_f64();
    println!(
        "\n{IMAGES} images of {} MB, {} kB/s a connection, {PODS} pulls at a time: {:.0} s in one pod, {:.0} s in {PODS} pods: {ratio:.2} (goal ≤ {GOAL})",
        BYTES / 1_000_000,
        BYTES_PER_SECOND / 1000,
        one.as_secs_f64(),
        several.as_secs_f64(),
    );
    ratio <= GOAL
}

/// How long it takes with pods of so many images each. No other run has used these images.
async fn pull(bed: &Real, trial: &Trial, name: &str, a_pod: usize) -> Duration {
    let node = &bed.nodes().unwrap()[0];
    let slow = bed.faulty_registry(&format!("{name}.slow.test")).unwrap();
    slow.set(Fault::Slow { bytes_per_second: BYTES_PER_SECOND });
    let repositories: Vec<String> =
        (0..IMAGES).map(|number| format!("{}/{name}-{number}:1", trial.namespace)).collect();
    for (number, repository) in repositories.iter().enumerate() {
        // Every run of every part has content of its own: a node keeps layers that it knows.
        let seed = u64::from(std::process::id()) * 1_000 + (a_pod * 100 + number) as u64;
        bed.registry().unwrap().push(&format!("registry.test/{repository}"), &pods::image(bed, seed, BYTES)).unwrap();
    }
    let images: Vec<String> = repositories.iter().map(|it| format!("{}/{it}", slow.name())).collect();
    let took = pods::start(trial, node, &images.chunks(a_pod).collect::<Vec<_>>()).await;
    pods::delete(trial).await;
    took
}
