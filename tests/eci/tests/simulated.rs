//! The simulator on a real API server, as clients see it.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use eci_simulator::image_cache::{Status, resource};
use eci_simulator::{Behaviour, Clock, Fault, Faults, ImageCache, Options, Phase, Simulator};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use serde_json::{Value, json};
use test_bed::Simulated;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Clusters share two cores with builds and other tests.
const SOON: Duration = Duration::from_secs(120);

/// A simulator with a clock that stands still, and ImageCaches that go with the test.
struct Stage {
    cluster: Simulated,
    client: Client,
    caches: Api<ImageCache>,
    prefix: String,
    clock: Clock,
    faults: Faults,
    _simulator: Simulator,
}

impl Stage {
    async fn begin(name: &str) -> Self {
        let cluster = Simulated::running().unwrap();
        let client = connect(cluster.kubeconfig().to_owned()).await;
        eci_simulator::define(&client).await.unwrap();
        let prefix = format!("{name}-{}", std::process::id());
        let (clock, faults) = (Clock::stopped_at(Timestamp::now()), Faults::default());
        let options = Options {
            clock: clock.clone(),
            faults: faults.clone(),
            behaviour: Behaviour::default(),
            prefix: prefix.clone(),
        };
        let simulator = Simulator::start(&client, options);
        let caches = Api::all_with(client.clone(), &resource());
        Self { cluster, client, caches, prefix, clock, faults, _simulator: simulator }
    }

    fn name(&self) -> String {
        format!("{}-one", self.prefix)
    }

    async fn create(&self, name: &str, spec: Value) -> kube::Result<ImageCache> {
        let manifest = json!({"apiVersion": "eci.alibabacloud.com/v1", "kind": "ImageCache", "metadata": {"name": name}, "spec": spec});
        self.caches.create(&PostParams::default(), &serde_json::from_value(manifest).unwrap()).await
    }

    /// Waits until the one ImageCache is in that phase, and has come so far.
    async fn shows(&self, phase: Phase, progress: &str) -> Status {
        eventually(&format!("{phase:?} {progress}"), async || {
            let status = self.caches.get(&self.name()).await.unwrap().status?;
            (status.phase == Some(phase) && status.progress.as_deref() == Some(progress)).then_some(status)
        })
        .await
    }

    async fn goes(&self) {
        eventually("it to go", async || self.caches.get_opt(&self.name()).await.unwrap().is_none().then_some(())).await;
    }

    async fn becomes_ready(&self, spec: Value) -> Status {
        self.create(&self.name(), spec).await.unwrap();
        self.shows(Phase::Pending, "0%").await;
        self.clock.advance(MINUTE / 2);
        self.shows(Phase::Creating, "0%").await;
        self.clock.advance(MINUTE * 10);
        self.shows(Phase::Ready, "100%").await
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let (kubeconfig, prefix) = (self.cluster.kubeconfig().to_owned(), self.prefix.clone());
        // The test's runtime stands still while this drops.
        let deletion = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let caches = Api::<ImageCache>::all_with(connect(kubeconfig).await, &resource());
                for cache in caches.list(&kube::api::ListParams::default()).await.unwrap() {
                    if cache.name_any().starts_with(&prefix) {
                        drop(caches.delete(&cache.name_any(), &DeleteParams::default()).await);
                    }
                }
            });
        });
        drop(deletion.join());
    }
}

async fn connect(kubeconfig: PathBuf) -> Client {
    let config = Kubeconfig::read_from(kubeconfig).unwrap();
    Client::try_from(Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap()).unwrap()
}

async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = check().await {
            return answer;
        }
        assert!(started.elapsed() < SOON, "waited {SOON:?} in vain for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn users_see_an_image_cache_become_ready() {
    let stage = Stage::begin("becomes-ready").await;
    stage.create(&stage.name(), json!({"images": ["nginx:1.27", "redis:7"]})).await.unwrap();
    stage.shows(Phase::Pending, "0%").await;
    stage.clock.advance(MINUTE / 2);
    stage.shows(Phase::Creating, "0%").await;
    stage.clock.advance(MINUTE * 5);
    let half = stage.shows(Phase::Creating, "50%").await;
    assert_eq!(half.events.len(), 1);
    stage.clock.advance(MINUTE * 5);
    let ready = stage.shows(Phase::Ready, "100%").await;
    let messages: Vec<_> = ready.events.iter().map(|event| event.message.clone().unwrap()).collect();
    assert_eq!(messages, ["Success pull image nginx:1.27", "Success pull image redis:7"]);
    let shown = stage.cluster.kubectl(["get", "ic", &stage.name()]).unwrap();
    let columns: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(columns[0], ["NAME", "AGE", "CACHEID", "PHASE", "PROGRESS"]);
    let id = ready.image_cache_id.unwrap();
    assert!(id.starts_with("imc-"), "{id}");
    assert_eq!(columns[1][2..], [id.as_str(), "Ready", "100%"]);
}

#[tokio::test]
async fn retention_ends_it() {
    let stage = Stage::begin("retention").await;
    let ready = stage.becomes_ready(json!({"images": ["nginx"], "retentionDays": 2})).await;
    let expires = ready.expire_date_time.unwrap().0;
    let ahead = expires.duration_since(stage.clock.now());
    // The API keeps whole seconds.
    assert!((DAY * 2 - SignedDuration::from_secs(1)..=DAY * 2).contains(&ahead), "{ahead}");
    stage.clock.advance(DAY * 2);
    stage.goes().await;
}

#[tokio::test]
async fn it_fails_without_its_secret_and_works_with_it() {
    let stage = Stage::begin("secret").await;
    let (name, secret) = (stage.name(), format!("default:{}", stage.prefix));
    let spec = json!({"images": ["nginx"], "imagePullSecrets": [secret]});
    stage.create(&name, spec.clone()).await.unwrap();
    stage.shows(Phase::Pending, "0%").await;
    stage.clock.advance(MINUTE);
    let failed = stage.shows(Phase::Failed, "0%").await;
    assert_eq!(failed.events[0].message, Some(format!("image pull secret {secret} not found")));
    stage.clock.advance(DAY);
    stage.goes().await;
    let secrets = Api::<Secret>::namespaced(stage.client.clone(), "default");
    let manifest = serde_json::from_value(json!({"metadata": {"name": stage.prefix}})).unwrap();
    secrets.create(&PostParams::default(), &manifest).await.unwrap();
    stage.becomes_ready(spec).await;
    secrets.delete(&stage.prefix, &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn faults_are_switched_on_and_off_while_it_runs() {
    let stage = Stage::begin("faults").await;
    stage.faults.set(Some(Fault::FailsAt(40)));
    stage.create(&stage.name(), json!({"images": ["nginx"]})).await.unwrap();
    stage.shows(Phase::Pending, "0%").await;
    stage.clock.advance(MINUTE * 11);
    stage.shows(Phase::Failed, "40%").await;
    stage.caches.delete(&stage.name(), &DeleteParams::default()).await.unwrap();
    stage.faults.set_of(&stage.name(), None);
    stage.becomes_ready(json!({"images": ["nginx"]})).await;
    stage.faults.set_of(&stage.name(), Some(Fault::IsDeleted));
    stage.clock.advance(MINUTE);
    stage.goes().await;
}

#[tokio::test]
async fn image_caches_of_others_are_left_alone() {
    let stage = Stage::begin("mine").await;
    let other = Stage::begin("theirs").await;
    other.create(&other.name(), json!({"images": ["nginx"]})).await.unwrap();
    other.shows(Phase::Pending, "0%").await;
    // Whoever takes the later one on has seen the earlier one.
    stage.create(&stage.name(), json!({"images": ["nginx"]})).await.unwrap();
    stage.shows(Phase::Pending, "0%").await;
    stage.clock.advance(MINUTE * 11);
    stage.shows(Phase::Ready, "100%").await;
    other.shows(Phase::Pending, "0%").await;
}

#[tokio::test]
async fn the_definition_refuses_what_the_resource_cannot_hold() {
    let stage = Stage::begin("refused").await;
    for (spec, why) in [
        ("{images: []}", "spec.images"),
        ("{}", "spec.images"),
        ("{images: [nginx], imageCacheSize: '20'}", "spec.imageCacheSize"),
    ] {
        let name = stage.name();
        let manifest = format!(
            "{{apiVersion: eci.alibabacloud.com/v1, kind: ImageCache, metadata: {{name: {name}}}, spec: {spec}}}"
        );
        // kubectl learns of a new kind a moment after the API server serves it.
        let refused = eventually("the kind to be known", async || {
            let refused = stage.cluster.apply(&manifest).unwrap_err().to_string();
            (!refused.contains("no matches for kind")).then_some(refused)
        })
        .await;
        assert!(refused.contains(why), "{spec}: {refused}");
    }
}
