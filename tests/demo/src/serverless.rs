//! The serverless side: the list becomes an ImageCache. Alibaba Cloud's part is played by a simulator.

use std::time::Duration;

use anyhow::Result;
use test_bed::Process;
use test_bed::state::checkout;

use crate::cluster::{Cluster, OF_LISTS, SOON};
use crate::images::EXTRA;
use crate::process;
use crate::screen::Screen;

const SERVICE: &str = "eci-simulator";
const DEFINITION: &str = "config/crd/imagecache.yaml";
/// What ECI takes some minutes for.
const WITHIN: &str = "5s";
/// The controller looks for the resource every few seconds, and waits for nodes to report the digests of tags.
const LONGEST: Duration = SOON.saturating_mul(2);

/// A running simulator. It ends when this is dropped.
pub struct Simulator(Process);

impl Simulator {
    /// Leaves it running.
    pub fn keep(self) {
        self.0.keep();
    }
}

/// Ends the simulator that an earlier demo has left running in this bed.
pub fn end_earlier(cluster: &Cluster) -> Result<()> {
    process::end_earlier(cluster, SERVICE)
}

/// Defines ImageCaches in the cluster, and shows how the list becomes one.
pub fn becomes_an_image_cache(screen: &Screen, cluster: &Cluster) -> Result<Simulator> {
    screen.step(
        "The same list, for virtual nodes",
        "Alibaba Cloud's virtual nodes have no local image cache: pods that overflow to them start from an ImageCache, a \
         snapshot of their images. The list asks for one (imageCache: {enabled: true}), and gets it as \
         soon as the cluster has such a resource. NOTHING OF ALIBABA CLOUD IS HERE: its part is played by a simulator, which \
         only moves the status.",
    );
    let definition = checkout().join(DEFINITION);
    screen.command(&format!("kubectl apply --server-side -f {DEFINITION}"));
    screen.output(&cluster.kubectl(&["apply", "--server-side", "-f", &definition.display().to_string()])?);
    screen.command(&format!("eci-simulator --within {WITHIN} &"));
    let simulator = Simulator(process::start(cluster, "eci-simulator", SERVICE, &["--within", WITHIN])?);
    let each = r#"jsonpath={range .items[*]}{.spec.images} {.status.phase}{"\n"}{end}"#;
    let query = ["get", "imagecaches", "--selector", OF_LISTS, "-o", each];
    screen.wait("the ImageCache to be ready", LONGEST, || {
        simulator.0.ensure_running()?;
        // A kind that was defined just now is known a moment later.
        let found = cluster.kubectl(&query).unwrap_or_default();
        Ok(found.lines().any(|line| line.contains(EXTRA) && line.ends_with(" Ready")).then_some(()))
    })?;
    cluster.show(screen, &["get", "imagecaches"])?;
    cluster.show_event(screen, "ImageCacheReady")?;
    screen.shown(
        "One list serves both sides: containers hold its images on the node, and an ImageCache is ready for pods on virtual ones.",
    );
    Ok(simulator)
}
