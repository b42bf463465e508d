//! Every panel of the dashboard has something to show of a run in which things go wrong. Drawn, that is the README's picture.

use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use pictures::View;
use serde_json::json;
use test_bed::real::Fault;
use test_bed::{Image, Layer};

use super::RealTrial;
use crate::controller::{Controller, free_address};
use crate::prometheus::Monitoring;
use crate::tag_checks::request;
use crate::trial::eventually;

const DASHBOARD: &str = include_str!("../../../deploy/helm/monitoring/dashboard.json");
const PICTURE: &str = "docs/dashboard.svg";
/// What does not happen in this run: no node joins, nothing is refused, and there are no virtual nodes.
const EMPTY: [&str; 4] = ["Node warm-up time", "Reconcile errors", "Failed API requests", "ImageCaches"];

/// Graphs of events that follow each other at once would show nothing.
async fn a_while() {
    tokio::time::sleep(Duration::from_secs(12)).await;
}

/// Waits until an alert that tells of it fires, and lets it be seen.
async fn seen(monitoring: &Monitoring, alert: &str) {
    monitoring.fires(alert, &[]).await;
    a_while().await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn the_dashboard_shows_what_happens_in_a_real_run() {
    let real = RealTrial::begin("images").await;
    let registry = format!("{}.test", real.trial.namespace);
    let faulty = real.bed.faulty_registry(&registry).unwrap();
    let push = |name: &str, seed: u64| {
        let layer = Layer::new().random("/content", seed, 20 << 20);
        real.push(name, &Image::from_scratch().layer(layer));
    };
    let write = async |list: &str, images: &[&str]| {
        let images: Vec<_> = images.iter().map(|image| real.reference_at(&registry, image)).collect();
        real.trial.write_list(list, &json!({"images": images}).to_string()).await;
    };
    let address = free_address();
    let monitoring = Monitoring::start(&real.trial, &[&address]);
    let from = Timestamp::now();
    let _controller =
        Controller::start_at(&address, &real.trial, &["--holder-image", &real.reference("kube-prepull:1")]).await;
    ["app:1", "web:1", "cuda:12", "torch:2"].iter().zip(1..).for_each(|(name, seed)| push(name, seed));
    write("tools", &["app:1", "web:1"]).await;
    write("gpu", &["cuda:12", "torch:2"]).await;
    monitoring.answers("sum(kube_prepull_list_images_warm) == 8").await;
    a_while().await;

    push("app:1", 5);
    request(&real.trial, "a tag has moved").await;
    monitoring.answers("sum(kube_prepull_refreshes_total{outcome=\"moved\"}) == 1").await;
    a_while().await;
    real.trial.write_list("tools", "images: [Not-A-Reference:1]").await;
    seen(&monitoring, "KubePrepullListRejected").await;
    write("tools", &["app:1", "web:1"]).await;
    monitoring.resolves("KubePrepullListRejected", &[]).await;
    write("gpu", &["cuda:12", "torch:2", "jax:1"]).await;
    seen(&monitoring, "KubePrepullImageFailing").await;
    faulty.set(Fault::Closed);
    request(&real.trial, "while the registry is away").await;
    seen(&monitoring, "KubePrepullRefreshDeferred").await;

    let snapshot = draw(&real, &monitoring, from);
    let unexpected: Vec<_> = snapshot.empty.iter().filter(|title| !EMPTY.contains(&title.as_str())).collect();
    assert!(unexpected.is_empty(), "panels that show nothing: {unexpected:?}");
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(PICTURE), snapshot.svg).unwrap();
    }
    faulty.set(Fault::None);
    push("jax:1", 6);
    eventually("everything to be well again", async || monitoring.firing().is_empty().then_some(())).await;
}

fn draw(real: &RealTrial, monitoring: &Monitoring, from: Timestamp) -> pictures::Snapshot {
    let variables = [("namespace", real.trial.namespace.as_str()), ("list", ".*"), ("__rate_interval", "6s")];
    let view = View {
        prometheus: &monitoring.0,
        variables: &variables,
        from,
        to: Timestamp::now(),
        step: Duration::from_secs(2),
    };
    pictures::draw(&serde_json::from_str(DASHBOARD).unwrap(), &view).unwrap()
}
