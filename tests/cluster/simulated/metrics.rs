//! What a scraper gets from running controllers, against `status` and what the API server has.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use k8s_openapi::api::core::v1::Pod;
use kube_prepull::naming::labels;
use serde_json::Value;

use super::coverage::{Pool, all_warm};
use super::trial;
use crate::controller::Controller;
use crate::trial::{SOON, Trial, eventually};

const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

/// Samples by name and labels, as they are written.
pub type Samples = BTreeMap<String, f64>;

fn samples(text: &str) -> Samples {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut samples = Samples::new();
    for line in lines {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(samples.insert(series.to_owned(), value.parse().unwrap()).is_none(), "{series} is used twice");
    }
    samples
}

pub fn scrape(controller: &Controller) -> Samples {
    let (status, text) = controller.get("/metrics").unwrap();
    assert_eq!(status, 200, "{text}");
    samples(&text)
}

pub fn value(samples: &Samples, series: &str) -> Option<f64> {
    samples.get(&format!("kube_prepull_{series}")).copied()
}

/// The report without the time.
fn without_time(mut report: Value) -> Value {
    assert!(report["time"].is_string(), "{report}");
    report["time"].take();
    report
}

/// The gauges that the report amounts to, counted by hand.
fn recount(report: &Value) -> Samples {
    let mut samples = Samples::new();
    for list in report["lists"].as_array().unwrap() {
        let of_list = format!("list={}", list["name"]);
        let (mut desired, mut warm) = (0.0, 0.0);
        for group in list["groups"].as_array().unwrap() {
            for image in group["images"].as_array().unwrap() {
                for (state, nodes) in image["nodes"].as_object().unwrap().iter().filter(|(state, _)| *state != "total")
                {
                    let labels =
                        format!("{of_list},group={},image={},state=\"{state}\"", group["name"], image["reference"]);
                    samples.insert(format!("kube_prepull_image_nodes{{{labels}}}"), nodes.as_f64().unwrap());
                }
                desired += image["nodes"]["total"].as_f64().unwrap();
                warm += image["nodes"]["warm"].as_f64().unwrap();
            }
            let generations = group["generations"].as_array().unwrap().len() as f64;
            samples.insert(format!("kube_prepull_group_generations{{{of_list},group={}}}", group["name"]), generations);
        }
        samples.insert(format!("kube_prepull_list_images_desired{{{of_list}}}"), desired);
        samples.insert(format!("kube_prepull_list_images_warm{{{of_list}}}"), warm);
        let accepted = f64::from(list["state"] == "accepted");
        samples.insert(format!("kube_prepull_list_accepted{{{of_list}}}"), accepted);
    }
    samples
}

/// Nodes with a pod of the list in which all containers run.
fn nodes_with_all_images(pods: &[Pod]) -> usize {
    let runs = |pod: &&Pod| {
        let of_list = pod.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(labels::LIST));
        let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
        let running = |it: &k8s_openapi::api::core::v1::ContainerStatus| {
            it.state.as_ref().is_some_and(|state| state.running.is_some())
        };
        of_list && statuses.is_some_and(|statuses| statuses.iter().all(running))
    };
    pods.iter().filter(runs).count()
}

/// Waits for an instant at which everything stands still, and returns what is said then.
async fn agreement(trial: &Trial, controller: &Controller) -> (Value, Samples) {
    eventually("the command, /status and /metrics to say the same", async || {
        let before = without_time(trial.status());
        let (status, served) = controller.get("/status").unwrap();
        assert_eq!(status, 200, "{served}");
        let (served, samples) = (without_time(serde_json::from_str(&served).unwrap()), scrape(controller));
        (before == served && without_time(trial.status()) == served).then_some((served, samples))
    })
    .await
}

#[tokio::test]
async fn metrics_and_status_say_what_the_command_says_and_what_pods_there_are() {
    let trial = trial("metrics").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27, redis:7]").await;
    trial.validated("tools", "accepted").await;
    let warm = eventually("all to be warm, by all accounts", async || {
        let (report, samples) = agreement(&trial, &controller).await;
        let reported: Samples = samples
            .into_iter()
            .filter(|(series, _)| {
                recount(&report).contains_key(series) || series.starts_with("kube_prepull_image_nodes")
            })
            .collect();
        assert_eq!(reported, recount(&report));
        let warm = nodes_with_all_images(&trial.pods().await);
        (report["warm"] == true && value(&reported, r#"list_images_warm{list="tools"}"#) == Some(2.0 * warm as f64))
            .then_some(warm)
    })
    .await;
    assert!(warm >= 5, "{warm}");
}

#[tokio::test]
async fn edits_are_counted_and_an_image_that_leaves_the_list_takes_its_series_along() {
    let trial = trial("counters").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27, redis:7]").await;
    trial.validated("tools", "accepted").await;
    let redis = |samples: &Samples| samples.keys().any(|series| series.contains("image=\"redis:7\""));
    eventually("the image's series", async || redis(&scrape(&controller)).then_some(())).await;

    trial.write_list("tools", "images: [Bad]").await;
    trial.validated("tools", "rejected").await;
    let rejected = eventually("the list to be reported as rejected, once", async || {
        let samples = scrape(&controller);
        let reported = [r#"list_accepted{list="tools"}"#, r#"list_rejections_total{list="tools"}"#];
        (reported.map(|series| value(&samples, series)) == [Some(0.0), Some(1.0)]).then_some(samples)
    })
    .await;
    assert!(redis(&rejected), "what was accepted before is in effect");

    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.settled_on(&["nginx:1.27"]).await;
    // DaemonSets and lists are watched independently of each other.
    let after = eventually("the image's series to be gone, and the list to be reported as accepted", async || {
        let accepted = |samples: &Samples| value(samples, r#"list_accepted{list="tools"}"#) == Some(1.0);
        Some(scrape(&controller)).filter(|samples| !redis(samples) && accepted(samples))
    })
    .await;
    for (cause, rollouts) in [("missing", 1.0), ("edited", 1.0), ("due", 0.0)] {
        let series = format!("rollouts_started_total{{list=\"tools\",cause=\"{cause}\"}}");
        assert_eq!(value(&after, &series), Some(rollouts), "{cause}");
    }
    for series in [
        r#"api_requests_total{verb="watch",code="200"}"#,
        r#"api_requests_total{verb="list",code="200"}"#,
        r#"api_requests_total{verb="patch",code="200"}"#,
        "reconcile_duration_seconds_count",
    ] {
        assert!(value(&after, series).is_some_and(|count| count > 0.0), "{series}: {after:#?}");
    }
}

#[tokio::test]
async fn a_scraper_gets_the_format_that_it_wants_and_others_hear_what_there_is() {
    let trial = trial("scraper").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.validated("tools", "accepted").await;
    let (content_type, openmetrics) = controller.accepting("/metrics", OPENMETRICS);
    assert_eq!(content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(openmetrics.ends_with("\n# EOF\n"), "{openmetrics}");
    assert!(openmetrics.contains("# TYPE kube_prepull_build info\n"), "{openmetrics}");
    let (content_type, text) = controller.accepting("/metrics", "*/*");
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
    assert!(text.contains("# TYPE kube_prepull_build_info gauge\n") && !text.contains("# EOF"), "{text}");
    let names = |text: &str| samples(text).into_keys().collect::<Vec<_>>();
    // What happens between two scrapes may add a series.
    eventually("both forms to have the same series", async || {
        let [one, other] = [OPENMETRICS, "*/*"].map(|types| controller.accepting("/metrics", types).1);
        (names(&one) == names(&other)).then_some(())
    })
    .await;
    assert_eq!(controller.accepting("/status", "*/*").0, "application/json");
    let (status, said) = controller.get("/metric").unwrap();
    assert_eq!(status, 404);
    assert!(said.contains("/metrics"), "{said}");
}

#[tokio::test]
async fn asking_for_metrics_and_status_asks_the_api_server_nothing() {
    let trial = trial("asking").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.validated("tools", "accepted").await;
    let requests = |samples: &Samples| -> f64 {
        // A watch is renewed after some minutes, whether or not somebody asks.
        let of_interest = |series: &str| series.contains("_api_requests_total{") && !series.contains("\"watch\"");
        samples.iter().filter(|(series, _)| of_interest(series)).map(|(_, count)| count).sum()
    };
    let before = requests(&scrape(&controller));
    for _ in 0..100 {
        assert_eq!(controller.get("/status").unwrap().0, 200);
        scrape(&controller);
    }
    // The controller's own work may take a few meanwhile.
    let more = requests(&scrape(&controller)) - before;
    assert!(before > 0.0 && more < 100.0, "{more} more than {before}");
}

#[tokio::test]
async fn a_node_that_joins_is_measured_once_it_holds_all_of_its_images() {
    let trial = trial("joining").await;
    let pool = Pool::of(&trial);
    pool.add(0..2).await;
    let controller = Controller::start(&trial).await;
    let images = ["nginx:1.27", "redis:7"];
    trial.write_list("tools", &pool.list(&images)).await;
    trial.validated("tools", "accepted").await;
    all_warm(&pool, &images, 2).await;
    let measured = |samples: &Samples| value(samples, "node_warm_duration_seconds_count");
    assert_eq!(measured(&scrape(&controller)), Some(0.0), "these were there before");
    pool.add(2..5).await;
    let after = eventually("three measurements", async || {
        Some(scrape(&controller)).filter(|samples| measured(samples) == Some(3.0))
    })
    .await;
    let sum = value(&after, "node_warm_duration_seconds_sum").unwrap();
    assert!((0.0..3.0 * SOON.as_secs_f64()).contains(&sum), "{sum}");
    all_warm(&pool, &images, 5).await;
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_them() {
    let trial = trial("promtool").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.validated("tools", "accepted").await;
    let text = eventually("metrics of the list", async || {
        let (_, text) = controller.get("/metrics")?;
        text.contains("kube_prepull_image_nodes{list=\"tools\"").then_some(text)
    })
    .await;
    let program = test_bed::programs::build(&["promtool"]).unwrap().join("promtool");
    let mut command = Command::new(program);
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
}

#[tokio::test]
async fn a_follower_reports_lists_too_and_says_that_it_does_not_lead() {
    let trial = trial("followed").await;
    let elects = ["--leader-elect=true"];
    let leader = Controller::start_with(&trial, &elects).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.validated("tools", "accepted").await;
    let follower = Controller::start_with(&trial, &elects).await;
    agreement(&trial, &follower).await;
    let leads = |controller: &Controller| value(&scrape(controller), "leader");
    assert_eq!((leads(&leader), leads(&follower)), (Some(1.0), Some(0.0)));
    let (status, _) = leader.stop();
    assert!(status.success(), "{status}");
    eventually("the follower to lead", async || (leads(&follower) == Some(1.0)).then_some(())).await;
}
