//! ImageCaches of several platforms: each follows what nodes of its architecture hold, and costs nothing on account of another.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eci_simulator::{Fault, ImageCache, Phase};
use jiff::SignedDuration;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::Value;

use super::kubelets::{Kubelets, Pull};
use crate::controller::Controller;
use crate::serverless::{Serverless, phase_of};
use crate::tag_checks::{answered, request};
use crate::trial::eventually;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn architecture(cache: &ImageCache) -> &str {
    &cache.annotations()["k8s.aliyun.com/imc-cpu-arch"]
}

/// The ImageCaches of each architecture, the oldest first.
async fn by_architecture(serverless: &Serverless) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for cache in serverless.all().await {
        found.entry(architecture(&cache).to_owned()).or_default().push(cache.name_any());
    }
    found
}

async fn all_ready(serverless: &Serverless, number: usize) {
    eventually(&format!("{number} ImageCaches that are ready"), async || {
        let all = serverless.all().await;
        (all.len() == number && all.iter().all(|it| phase_of(it) == Some(Phase::Ready))).then_some(())
    })
    .await;
}

async fn reported_ready(serverless: &Serverless, number: usize) -> Vec<String> {
    eventually(&format!("{number} reports"), async || {
        Some(serverless.reported("ImageCacheReady").await).filter(|notes| notes.len() == number)
    })
    .await
}

async fn building(serverless: &Serverless, number: usize) {
    eventually(&format!("{number} ImageCaches, none of which is to be begun"), async || {
        let all = serverless.all().await;
        let begun = |cache: &ImageCache| matches!(phase_of(cache), Some(Phase::Creating | Phase::Ready));
        (all.len() == number && all.iter().all(begun)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_of_two_architectures_has_one_and_a_tag_that_moves_for_one_renews_that_one() {
    let serverless = Serverless::begin_with_eci("ic-platforms").await;
    let moved = Arc::new(AtomicBool::new(false));
    let of_nodes = Arc::clone(&moved);
    // A registry whose images of each architecture are tagged on their own.
    let image_id = move |pull: &Pull| {
        let content = if pull.node == 1 && of_nodes.load(Ordering::Relaxed) { 9 } else { pull.node };
        Some(format!("registry.test/app@sha256:{}", content.to_string().repeat(64)))
    };
    let kubelets = Kubelets::start(&serverless.trial, &["amd64", "arm64"], image_id).await;
    let controller = Controller::start(&serverless.trial).await;
    let groups = format!("groups: [{{name: g, images: [\"registry.test/app:1\"], {}}}]", kubelets.placement());
    let image_cache = "imageCache: {enabled: true, size: 20, platforms: [linux/amd64, linux/arm64]}";
    serverless.trial.write_list("tools", &format!("{groups}\n{image_cache}\nrefresh: {{every: 24h}}\n")).await;
    building(&serverless, 2).await;
    serverless.pass(MINUTE * 10, &controller).await;
    all_ready(&serverless, 2).await;
    let before = by_architecture(&serverless).await;
    assert_eq!(before.keys().collect::<Vec<_>>(), ["amd64", "arm64"]);
    let reported = reported_ready(&serverless, 2).await;
    for platform in ["linux/amd64", "linux/arm64"] {
        assert!(reported.iter().any(|note| note.contains(&format!("for {platform} is ready"))), "{reported:?}");
    }
    moved.store(true, Ordering::Relaxed);
    request(&serverless.trial, "now").await;
    answered(&serverless.trial, "now").await;
    building(&serverless, 3).await;
    serverless.pass(MINUTE * 10, &controller).await;
    all_ready(&serverless, 3).await;
    // From then on, the controller counts the time of the previous one.
    reported_ready(&serverless, 3).await;
    serverless.pass(MINUTE * 61, &controller).await;
    all_ready(&serverless, 2).await;
    let after = by_architecture(&serverless).await;
    assert_eq!(after["amd64"], before["amd64"]);
    assert_ne!(after["arm64"], before["arm64"]);
}

#[tokio::test]
async fn one_platform_that_cannot_be_built_does_not_delay_the_other() {
    let serverless = Serverless::begin_with_eci("ic-platform-fails").await;
    let controller = Controller::start(&serverless.trial).await;
    let list = |digest: char| {
        let image = format!("registry.test/app@sha256:{}", digest.to_string().repeat(64));
        let image_cache = "imageCache: {enabled: true, size: 20, platforms: [linux/amd64, linux/arm64]}";
        format!("images: [\"{image}\"]\n{image_cache}\n")
    };
    serverless.trial.write_list("tools", &list('a')).await;
    building(&serverless, 2).await;
    let arm64 = by_architecture(&serverless).await["arm64"][0].clone();
    serverless.faults.set_of(&arm64, Some(Fault::FailsAt(40)));
    serverless.pass(MINUTE * 10, &controller).await;
    let failed =
        eventually("a failure that is reported", async || serverless.reported("ImageCacheFailed").await.pop()).await;
    assert!(failed.contains(&format!("{arm64} for linux/arm64 failed")), "{failed}");
    eventually("the other one to be ready, and the failed one to be tried again", async || {
        serverless.pass(MINUTE * 2, &controller).await;
        let all = serverless.all().await;
        let is_ready = |it: &ImageCache| architecture(it) == "amd64" && phase_of(it) == Some(Phase::Ready);
        let is_retry = |it: &ImageCache| architecture(it) == "arm64" && it.name_any() != arm64;
        (all.len() == 2 && all.iter().any(is_ready) && all.iter().any(is_retry)).then_some(())
    })
    .await;
}

/// What `render` prints for a list of that namespace.
fn rendered(namespace: &str, list: &str) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-prepull"));
    command.args(["render", "-o", "json", "--name", "tools", "--file", "-", "--namespace", namespace]);
    let mut program = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    program.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
    let output = program.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn what_render_prints_is_accepted_by_the_api_server_and_taken_over_by_the_controller() {
    let serverless = Serverless::begin("ic-render").await;
    let list = "images: [nginx:1.27]\nimageCache: {enabled: true, platforms: [linux/amd64, linux/arm64]}\n";
    let printed = rendered(&serverless.trial.namespace, list);
    let of_kind = |kind: &str| -> Vec<Value> {
        printed["items"].as_array().unwrap().iter().filter(|it| it["kind"] == kind).cloned().collect()
    };
    let apply = |dry_run| PatchParams { dry_run, ..PatchParams::apply("kubectl") };
    for daemon_set in of_kind("DaemonSet") {
        let name = daemon_set["metadata"]["name"].as_str().unwrap();
        let daemon_sets = serverless.trial.api::<k8s_openapi::api::apps::v1::DaemonSet>();
        daemon_sets.patch(name, &apply(true), &Patch::Apply(&daemon_set)).await.unwrap();
    }
    let image_caches = of_kind("ImageCache");
    assert_eq!(image_caches.len(), 2);
    for dry_run in [true, false] {
        for cache in &image_caches {
            let name = cache["metadata"]["name"].as_str().unwrap();
            serverless.image_caches.patch(name, &apply(dry_run), &Patch::Apply(cache)).await.unwrap();
        }
    }
    let applied = by_architecture(&serverless).await;
    let _controller = Controller::start(&serverless.trial).await;
    serverless.trial.write_list("tools", list).await;
    for cache in serverless.all().await {
        serverless.becomes_ready(&cache).await;
    }
    reported_ready(&serverless, 2).await;
    assert_eq!(by_architecture(&serverless).await, applied);
}
