//! Every panel of the dashboard has something to show of a run in which things go wrong.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use test_bed::real::Fault;
use test_bed::{Image, Layer, free_address};

use super::RealTrial;
use super::faults::HEALING;
use crate::controller::Controller;
use crate::prometheus::Monitoring;
use crate::tag_checks::request;
use crate::trial::{eventually, within};

const DASHBOARD: &str = include_str!("../../../deploy/helm/monitoring/dashboard.json");
/// What does not happen in this run: no node joins or is gated, nothing is refused, and there are no virtual nodes.
const EMPTY: [&str; 7] = [
    "Node warm-up time",
    "Reconcile errors",
    "Failed API requests",
    "ImageCaches",
    "Nodes that wait",
    "Time until nodes are freed",
    "Nodes freed by the timeout",
];

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
    let address = free_address().unwrap();
    let monitoring = Monitoring::start(&real.trial, &[&address]);
    let from = Timestamp::now();
    let _controller =
        Controller::start_at(&address, &real.trial, &["--holder-image", &real.reference("kube-prepull:1")]).await;
    ["app:1", "web:1", "cuda:12", "torch:2"].iter().zip(1..).for_each(|(name, seed)| push(name, seed));
    write("tools", &["app:1", "web:1"]).await;
    write("gpu", &["cuda:12", "torch:2"]).await;
    monitoring.answers("sum(kube_prepull_list_images_warm) == 8").await;

    push("app:1", 5);
    request(&real.trial, "a tag has moved").await;
    monitoring.answers("sum(kube_prepull_refreshes_total{outcome=\"moved\"}) == 1").await;
    real.trial.write_list("tools", "images: [Not-A-Reference:1]").await;
    monitoring.fires("KubePrepullListRejected", &[]).await;
    write("tools", &["app:1", "web:1"]).await;
    monitoring.resolves("KubePrepullListRejected", &[]).await;
    write("gpu", &["cuda:12", "torch:2", "jax:1"]).await;
    monitoring.fires("KubePrepullImageFailing", &[]).await;
    faulty.set(Fault::Closed);
    request(&real.trial, "while the registry is away").await;
    monitoring.fires("KubePrepullRefreshDeferred", &[]).await;

    let panels = serde_json::from_str::<Value>(DASHBOARD).unwrap()["panels"].as_array().unwrap().clone();
    eventually("every panel to show something", async || {
        let mut empty = panels.iter().filter(|panel| !shows_something(panel, &real, &monitoring, from));
        let unexpected = empty.find(|panel| !EMPTY.contains(&panel["title"].as_str().unwrap()));
        unexpected.inspect(|panel| println!("nothing yet in {}", panel["title"])).is_none().then_some(())
    })
    .await;
    faulty.set(Fault::None);
    push("jax:1", 6);
    within(HEALING, "everything to be well again", async || monitoring.firing().is_empty().then_some(())).await;
}

/// Whether Prometheus has an answer to one of a panel's queries. Graphs show nothing of what was zero all the time.
fn shows_something(panel: &Value, real: &RealTrial, monitoring: &Monitoring, from: Timestamp) -> bool {
    let filled_in = |target: &Value| {
        let variables = [("$namespace", real.trial.namespace.as_str()), ("$list", ".*"), ("$__rate_interval", "6s")];
        let query = target["expr"].as_str().unwrap().to_owned();
        variables.iter().fold(query, |query, (variable, value)| query.replace(variable, value))
    };
    let queries: Vec<String> = panel["targets"].as_array().into_iter().flatten().map(filled_in).collect();
    let prometheus = &monitoring.0;
    match panel["type"].as_str().unwrap() {
        "row" => true,
        "timeseries" => queries.iter().any(|query| {
            let found = prometheus.query_range(query, from, Timestamp::now(), Duration::from_secs(2)).unwrap();
            found.iter().flat_map(|series| &series.samples).any(|&(_, value)| !value.is_nan() && value != 0.0)
        }),
        _ => queries.iter().any(|query| {
            let found = prometheus.query(query).unwrap();
            found.iter().flat_map(|series| &series.samples).any(|(_, value)| !value.is_nan())
        }),
    }
}
