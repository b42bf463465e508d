//! Lists that are made to cost much cost only themselves: the controller answers probes, and goes on with its other lists.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use kube::api::{ListParams, PostParams};
use kube_prepull::list::config::GateTaints;
use kube_prepull::list::config::Group;
use kube_prepull::list::{Limits, ListData, parse_accepted};
use kube_prepull::plan::versions;
use serde_json::{Value, json};

use super::trial;
use crate::controller::Controller;
use crate::trial::{Trial, eventually, images};

/// The chart's memory limit, which a debug build keeps too.
const MEGABYTES: u64 = 256;
/// Of a probe, on a machine that does much else. A kubelet waits for a second, and asks three times.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks whether the controller lives, again and again, until it is stopped.
struct Probes {
    stop: Arc<AtomicBool>,
    asking: std::thread::JoinHandle<(usize, Duration)>,
}

impl Probes {
    fn of(controller: &Controller) -> Self {
        let url = format!("http://{}/livez", controller.probe_address());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let asking = std::thread::spawn(move || {
            let (mut answers, mut slowest) = (0, Duration::ZERO);
            while !stopped.load(Ordering::Relaxed) {
                let asked = Instant::now();
                let answer = ureq::get(&url).call();
                assert!(answer.is_ok(), "{answer:?}");
                (answers, slowest) = (answers + 1, slowest.max(asked.elapsed()));
                std::thread::sleep(Duration::from_millis(50));
            }
            (answers, slowest)
        });
        Self { stop, asking }
    }

    /// The number of answers and the longest wait for one.
    fn end(self) -> (usize, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        self.asking.join().unwrap()
    }
}

/// The most memory that a process ever had, in megabytes.
fn most_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024
}

/// Nearly as much as the data of a ConfigMap may take, with what the test's own write adds to the request.
fn filled(piece: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for number in 0.. {
        text.push_str(&piece(number));
        if text.len() > 900_000 {
            break;
        }
    }
    text
}

fn hostile() -> Vec<(&'static str, Value)> {
    let yaml = |text: String| json!({"images.yaml": text});
    let half = |piece: fn(usize) -> String| {
        let text = filled(piece);
        let end = text[..450_000].rfind('\n').unwrap_or_default();
        text[..=end].to_owned()
    };
    let names = half(|it| format!("- {{name: g{it}, images: [a]}}\n"));
    let unknown = half(|it| format!("  - unknown{it}\n"));
    vec![
        (
            "groups",
            yaml(filled(|it| format!("- {{name: g{it}, images: [\"a:1\"]}}\n")).replacen("- ", "groups:\n- ", 1)),
        ),
        ("unknown", yaml(format!("groups:\n{names}imageCache:\n  enabled: true\n  groups:\n{unknown}"))),
        ("images", yaml(filled(|it| format!("- b:{it}\n")))),
        ("pairs", json!({"IMAGES": filled(|it| format!("a{it}=B:{it};"))})),
        ("keys", yaml(filled(|it| format!("imaga{it}: 1\n")))),
        ("braces", yaml(format!("images: [{}", filled(|_| "{{".to_owned())))),
        (
            "path",
            yaml(format!("images: [a]\naffinity:\n  ? {}\n  : [{}1]\n", "k".repeat(400_000), "1,".repeat(100_000))),
        ),
        ("quotes", yaml(format!("# {}\nimages: [\"a:1\"]\n", filled(|_| "\"".to_owned())))),
    ]
}

async fn versions_of(trial: &Trial, names: &[&str]) -> Vec<Option<String>> {
    let mut versions = Vec::new();
    for name in names {
        versions.push(trial.list(name).await.resource_version());
    }
    versions
}

#[tokio::test]
async fn hostile_lists_take_neither_probes_nor_other_lists_nor_memory() {
    let trial = trial("hostile").await;
    let controller = Controller::start(&trial).await;
    let probes = Probes::of(&controller);
    let hostile = hostile();
    for (name, data) in &hostile {
        trial.write_data(name, data.clone()).await;
    }
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.settled_on(&["nginx:1.27"]).await;
    let names: Vec<&str> = hostile.iter().map(|(name, _)| *name).collect();
    for name in &names {
        let list = trial.validated(name, "rejected").await;
        let annotations: usize = list.annotations().iter().map(|(key, value)| key.len() + value.len()).sum();
        assert!(annotations < 20_000, "{name}: {annotations} bytes of annotations");
        eventually("the list to say whether it is warm", async || {
            trial.list(name).await.labels().contains_key("kube-prepull.io/warm").then_some(())
        })
        .await;
    }
    let before = versions_of(&trial, &names).await;
    controller.has_reconciled(&trial, "tools").await;
    assert_eq!(versions_of(&trial, &names).await, before, "what is rejected once is not written again");
    assert_eq!(trial.daemon_sets().await.len(), 1);
    let (answers, slowest) = probes.end();
    assert!(!controller.has_ended() && answers > 10, "{answers} answers");
    assert!(slowest < PATIENCE, "a probe waited {slowest:?}");
    let megabytes = most_memory(controller.id());
    assert!(megabytes < MEGABYTES, "{megabytes} MB");
    println!("{answers} answers, the slowest after {slowest:?}; {megabytes} MB");
}

/// Waits until the DaemonSets have all images of a list, and returns their uids.
async fn shards_of(trial: &Trial, list: &str) -> BTreeSet<Option<String>> {
    eventually("DaemonSets with all images", async || {
        let found = trial.daemon_sets().await;
        let held: BTreeSet<String> = found.iter().flat_map(images).collect();
        let wanted = list.matches("app:").count();
        (held.len() == wanted).then(|| found.iter().map(ResourceExt::uid).collect())
    })
    .await
}

#[tokio::test]
async fn what_was_accepted_under_higher_limits_stays_held() {
    let trial = trial("above-limits").await;
    let images: Vec<String> =
        (0..Limits::CEILING.images_per_group + 20).map(|number| format!("app:{number}")).collect();
    let text = format!("images: [{}]", images.join(", "));
    let data = ListData {
        namespace: trial.namespace.clone(),
        name: "tools".to_owned(),
        data: [("images.yaml".to_owned(), text.clone())].into(),
        found: None,
    };
    assert!(parse_accepted(&data, &GateTaints::Unknown).is_some());
    // As an earlier release has left it.
    let revision: ControllerRevision = versions::build(&data, "tools", 1, None, None);
    trial.api().create(&PostParams::default(), &revision).await.unwrap();
    trial.write_list("tools", &text).await;
    let controller = Controller::start(&trial).await;
    let held = shards_of(&trial, &text).await;
    let list: ConfigMap = trial.validated("tools", "rejected").await;
    assert!(list.annotations()["kube-prepull.io/problems"].contains("exceed the limit of 1000"), "{list:?}");
    let said = trial.reported("ListRejected").await;
    assert!(said.contains("stays in effect"), "{said}");
    controller.has_reconciled(&trial, "tools").await;
    assert_eq!(shards_of(&trial, &text).await, held);
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.settled_on(&["nginx:1.27"]).await;
}

#[tokio::test]
async fn a_list_at_the_limits_fits_the_objects_of_the_cluster() {
    let trial = trial("at-limits").await;
    let _controller = Controller::start(&trial).await;
    let digest = "a".repeat(64);
    let group = |number: usize| {
        let image = |it: usize| format!("registry.example.com/team-{number}/application-{it}@sha256:{digest}");
        format!(
            "- name: g{number}\n  images: {:?}\n",
            (0..Limits::CEILING.images_per_group).map(image).collect::<Vec<_>>()
        )
    };
    let text = format!("groups:\n{}", (0..2).map(group).collect::<String>());
    trial.write_list("tools", &text).await;
    trial.validated("tools", "accepted").await;
    let shards = 2 * Limits::CEILING.images_per_group / Group::DEFAULT_IMAGES_PER_POD as usize;
    let found = eventually("a DaemonSet for each shard", async || {
        let found = trial.daemon_sets().await;
        (found.len() == shards).then_some(found)
    })
    .await;
    assert!(found.iter().all(|it| images(it).len() == Group::DEFAULT_IMAGES_PER_POD as usize));
    eventually("a pod on every node to be held ready", async || {
        let pods = trial.api::<Pod>().list(&ListParams::default()).await.unwrap().items;
        let running =
            pods.iter().filter(|pod| pod.status.as_ref().is_some_and(|it| it.phase.as_deref() == Some("Running")));
        (running.count() >= 4).then_some(())
    })
    .await;
    // A kubelet writes more into a status than this cluster's: what a failed pull of each image says.
    let pods = trial.api::<Pod>().list(&ListParams::default()).await.unwrap().items;
    let mut pod =
        pods.into_iter().find(|pod| pod.status.as_ref().is_some_and(|it| it.container_statuses.is_some())).unwrap();
    let statuses = pod.status.as_mut().and_then(|status| status.container_statuses.as_mut()).unwrap();
    for status in statuses {
        let image = status.image.clone();
        let message = format!(
            "Back-off pulling image \"{image}\": ErrImagePull: rpc error: code = DeadlineExceeded desc = failed to pull and unpack image \
             \"{image}\": failed to resolve reference \"{image}\": failed to do request: Head \"https://{image}\": dial tcp: lookup \
             registry.example.com on 10.96.0.10:53: read udp 10.244.0.1:53821->10.96.0.10:53: i/o timeout"
        );
        status.image_id = image.clone();
        status.container_id = Some(format!("containerd://{digest}"));
        status.state =
            serde_json::from_value(json!({"waiting": {"reason": "ImagePullBackOff", "message": message}})).ok();
    }
    let api = trial.api::<Pod>();
    let params = PostParams { field_manager: Some("kubelet".to_owned()), ..PostParams::default() };
    let written = api.replace_status(&pod.name_any(), &params, &pod).await;
    let conflict = |error: &kube::Error| matches!(error, kube::Error::Api(status) if status.code == 409);
    assert!(written.as_ref().err().is_none_or(conflict), "{written:?}");
    println!("a pod of {} bytes as JSON", serde_json::to_vec(&pod).unwrap().len());
}
