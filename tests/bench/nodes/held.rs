//! What a held image costs on a node besides its disk space.

use std::time::Duration;

use test_bed::Real;

use crate::memory::Memory;
use crate::pods;
use crate::trial::Trial;

/// How many images, in pods of how many. The variable `SHAPES` replaces it.
const SHAPES: &str = "20/20,100/100,300/100,300/300";
/// How many images are held once before anything is measured: what stays of the first pods counts as nobody's.
const WARM_UP: usize = 20;
/// Garbage collectors return memory late.
const SETTLE: Duration = Duration::from_secs(45);

/// Prints a line for each shape: KiB for each image, and how long the pods took to be ready.
pub async fn measure(bed: &Real, trial: &Trial) {
    let node = &bed.nodes().unwrap()[0];
    let shapes = shapes();
    let most = shapes.iter().map(|shape| shape.0).max().unwrap_or_default();
    let images: Vec<String> = (0..most).map(|number| format!("registry.test/bench/held-{number}:1")).collect();
    for (number, image) in images.iter().enumerate() {
        bed.registry().unwrap().push(image, &pods::image(bed, number as u64, 1024)).unwrap();
    }
    pods::start(trial, node, &[&images[..WARM_UP.min(most)]]).await;
    pods::delete(trial).await;
    tokio::time::sleep(SETTLE).await;
    println!(
        "\n| images | a pod | ready after | kubelet | containerd | shims | pods | of it kernel | sum | machine's kernel |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (count, a_pod) in shapes {
        let before = Memory::of(node.name());
        let parts: Vec<&[String]> = images[..count].chunks(a_pod).collect();
        let took = pods::start(trial, node, &parts).await;
        tokio::time::sleep(SETTLE).await;
        print(count, a_pod, took, Memory::of(node.name()) - before);
        pods::delete(trial).await;
        tokio::time::sleep(SETTLE).await;
    }
}

fn shapes() -> Vec<(usize, usize)> {
    let text = std::env::var("SHAPES").unwrap_or_else(|_| SHAPES.to_owned());
    let shape = |shape: &str| {
        let (images, a_pod) = shape.split_once('/').unwrap();
        (images.parse().unwrap(), a_pod.parse().unwrap())
    };
    text.split(',').map(shape).collect()
}

fn print(count: usize, a_pod: usize, took: Duration, memory: Memory) {
    let each = |kibibytes: f64| format!("{:.0} KiB", kibibytes / count as f64);
    let cells =
        [memory.kubelet, memory.containerd, memory.shims, memory.pods, memory.kernel, memory.sum(), memory.machine];
    let cells = cells.map(each).join(" | ");
    println!("| {count} | {a_pod} | {:.0} s | {cells} |", took.as_secs_f64());
}
