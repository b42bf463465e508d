//! What a held image costs on a node besides its disk space.

use std::time::Duration;

use test_bed::Real;

use crate::memory::Memory;
use crate::pods;
use crate::trial::Trial;

/// How many images, in pods of how many.
const SHAPES: [(usize, usize); 5] = [(20, 20), (100, 100), (300, 100), (300, 50), (300, 300)];
/// Garbage collectors return memory late.
const SETTLE: Duration = Duration::from_secs(45);

/// Prints a line for each shape: KiB for each image, and how long the pods took to be ready.
pub async fn measure(bed: &Real, trial: &Trial) {
    let node = &bed.nodes().unwrap()[0];
    let most = SHAPES.iter().map(|shape| shape.0).max().unwrap_or_default();
    let images: Vec<String> = (0..most).map(|number| format!("registry.test/bench/held-{number}:1")).collect();
    for (number, image) in images.iter().enumerate() {
        bed.registry().unwrap().push(image, &pods::image(bed, number as u64, 1024)).unwrap();
    }
    // Everything is pulled, and was started once: what is left of that counts as nobody's.
    warm_up(trial, node, &images).await;
    println!(
        "\n| images | a pod | ready after | kubelet | containerd | shims | pods | of it kernel | sum | machine's kernel |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (count, a_pod) in SHAPES {
        let before = Memory::of(node.name());
        let parts: Vec<&[String]> = images[..count].chunks(a_pod).collect();
        let took = pods::start(trial, node, &parts).await;
        tokio::time::sleep(SETTLE).await;
        print(count, a_pod, took, Memory::of(node.name()) - before);
        pods::delete(trial).await;
        tokio::time::sleep(SETTLE).await;
    }
}

async fn warm_up(trial: &Trial, node: &test_bed::Node, images: &[String]) {
    pods::start(trial, node, &images.chunks(50).collect::<Vec<_>>()).await;
    pods::delete(trial).await;
    tokio::time::sleep(SETTLE).await;
}

fn print(count: usize, a_pod: usize, took: Duration, memory: Memory) {
    let each = |kibibytes: f64| format!("{:.0} KiB", kibibytes / count as f64);
    let cells =
        [memory.kubelet, memory.containerd, memory.shims, memory.pods, memory.kernel, memory.sum(), memory.machine];
    let cells = cells.map(each).join(" | ");
    println!("| {count} | {a_pod} | {:.0} s | {cells} |", took.as_secs_f64());
}
