//! What goes wrong at Alibaba Cloud, and what the controller makes of it: each switch of the simulator.

use eci_simulator::{Fault, Phase};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::controller::Controller;
use crate::serverless::{Serverless, phase_of};
use crate::trial::eventually;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// An image of which no node has the digest.
fn image(number: u8) -> String {
    format!("registry.test/app@sha256:{}", format!("{number:02x}").repeat(32))
}

fn list(number: u8, more: &str) -> String {
    format!("images: [\"{}\"]\nimageCache: {{enabled: true, size: 20{more}}}\n", image(number))
}

async fn begin(name: &str) -> (Serverless, Controller) {
    let serverless = Serverless::begin_with_eci(name).await;
    let controller = Controller::start(&serverless.trial).await;
    (serverless, controller)
}

/// A list whose ImageCache is ready.
async fn ready(name: &str, more: &str) -> (Serverless, Controller) {
    let (serverless, controller) = begin(name).await;
    serverless.trial.write_list("tools", &list(1, more)).await;
    becomes_ready(&serverless, &controller).await;
    (serverless, controller)
}

async fn becomes_ready(serverless: &Serverless, controller: &Controller) {
    serverless.only(Phase::Creating).await;
    serverless.pass(MINUTE * 10, controller).await;
    serverless.only(Phase::Ready).await;
}

async fn reported(serverless: &Serverless, reason: &str, words: &str) {
    eventually(&format!("{reason} with {words:?}"), async || {
        serverless.reported(reason).await.iter().any(|note| note.contains(words)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn one_that_fails_is_reported_in_eci_s_words_and_tried_again_three_times_while_the_last_ready_one_stays() {
    let (serverless, controller) = ready("ic-fails", "").await;
    let before = serverless.only(Phase::Ready).await.name_any();
    serverless.faults.set(Some(Fault::FailsAt(40)));
    serverless.trial.write_list("tools", &list(2, "")).await;
    eventually("four tries", async || {
        // Longer than a build and than any pause between two tries.
        serverless.pass(MINUTE * 30, &controller).await;
        let failed = serverless.all().await.into_iter().filter(|it| phase_of(it) == Some(Phase::Failed));
        failed.for_each(|it| assert_eq!(it.status.unwrap().progress.as_deref(), Some("40%")));
        (attempts(&serverless).await == 4).then_some(())
    })
    .await;
    reported(&serverless, "ImageCacheFailed", "simulated fault").await;
    for _ in 0..3 {
        serverless.pass(HOUR * 6, &controller).await;
        controller.has_reconciled(&serverless.trial, "tools").await;
        let names: Vec<_> = serverless.all().await.iter().map(ResourceExt::name_any).collect();
        assert!(names.contains(&before), "{names:?}");
        assert_eq!(attempts(&serverless).await, 4, "{names:?}");
    }
}

/// How often an ImageCache was made for what the list asks for now, as the controller keeps it.
async fn attempts(serverless: &Serverless) -> u64 {
    let revisions = serverless.trial.revisions().await;
    let kept = revisions.iter().flat_map(|it| it.annotations().values());
    let kept = kept.filter_map(|text| serde_json::from_str::<Value>(text).ok());
    kept.filter_map(|kept| kept["entries"][0]["attempts"].as_u64()).max().unwrap_or_default()
}

#[tokio::test]
async fn one_that_stays_pending_is_reported_as_slow_and_waited_for() {
    let (serverless, controller) = begin("ic-pending").await;
    serverless.faults.set(Some(Fault::StaysPending));
    serverless.trial.write_list("tools", &list(1, "")).await;
    let pending = serverless.only(Phase::Pending).await.name_any();
    serverless.pass(MINUTE * 61, &controller).await;
    eventually("it to be reported", async || {
        let waiting = serverless.trial.events("Waiting").await;
        waiting.into_iter().filter_map(|event| event.note).find(|note| note.contains("has been Pending since"))
    })
    .await;
    serverless.faults.set(None);
    serverless.pass(MINUTE * 11, &controller).await;
    assert_eq!(serverless.only(Phase::Ready).await.name_any(), pending);
}

#[tokio::test]
async fn one_that_says_to_expire_early_is_renewed_before_that() {
    let (serverless, controller) = ready("ic-expires", ", keepPreviousFor: 0s").await;
    let first = serverless.only(Phase::Ready).await.name_any();
    serverless.faults.set_of(&first, Some(Fault::ExpiresEarly(HOUR * 10)));
    serverless.pass(HOUR * 8, &controller).await;
    // Time passes for what has begun only.
    eventually("the next one to be built", async || {
        serverless.all().await.iter().any(|it| phase_of(it) == Some(Phase::Creating)).then_some(())
    })
    .await;
    serverless.pass(MINUTE * 11, &controller).await;
    eventually("the next one to take its place", async || {
        let found = serverless.all().await;
        (found.len() == 1 && found[0].name_any() != first && found[0].status.as_ref()?.phase == Some(Phase::Ready))
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn one_that_is_too_small_is_reported_with_its_size() {
    let (serverless, controller) = begin("ic-small").await;
    serverless.faults.set(Some(Fault::SizeTooSmall));
    serverless.trial.write_list("tools", &list(1, "")).await;
    serverless.only(Phase::Creating).await;
    serverless.pass(MINUTE * 10, &controller).await;
    reported(&serverless, "ImageCacheFailed", "no space left in 20 GiB").await;
    serverless.faults.set(None);
    serverless.trial.write_list("tools", &list(1, "").replace("size: 20", "size: 40")).await;
    let larger = async |phase| {
        eventually("the larger one", async || {
            let found = serverless.all().await;
            found.into_iter().find(|it| it.spec.image_cache_size == Some(40) && phase_of(it) == Some(phase)).map(drop)
        })
        .await
    };
    larger(Phase::Creating).await;
    serverless.pass(MINUTE * 10, &controller).await;
    larger(Phase::Ready).await;
}

#[tokio::test]
async fn a_missing_secret_is_reported_by_its_name_and_a_refresh_tries_again_when_it_is_there() {
    let (serverless, controller) = begin("ic-secret").await;
    serverless.trial.write_list("tools", &list(1, ", imagePullSecrets: [registry]")).await;
    let secret = format!("{}:registry", serverless.trial.namespace);
    reported(&serverless, "ImageCacheFailed", &format!("image pull secret {secret} not found")).await;
    assert_eq!(serverless.all().await[0].spec.image_pull_secrets, [secret]);
    serverless.trial.create::<Secret>(json!({"metadata": {"name": "registry"}})).await;
    serverless.trial.annotate_list("tools", "kube-prepull.io/refresh-requested", "now").await;
    becomes_ready(&serverless, &controller).await;
}

#[tokio::test]
async fn one_that_is_deleted_behind_its_back_is_made_again() {
    let (serverless, controller) = ready("ic-deleted", "").await;
    let delete = async |name: &str| serverless.image_caches.delete(name, &DeleteParams::default()).await.unwrap();
    let first = serverless.only(Phase::Ready).await;
    delete(&first.name_any()).await;
    becomes_ready(&serverless, &controller).await;
    let second = serverless.only(Phase::Ready).await;
    // Its name is another one only if the controller had seen the first.
    assert_ne!(first.uid(), second.uid());
    serverless.faults.set(Some(Fault::IsDeleted));
    serverless.pass(SignedDuration::from_secs(1), &controller).await;
    eventually("it to be gone", async || {
        serverless.all().await.iter().all(|it| it.uid() != second.uid()).then_some(())
    })
    .await;
    serverless.faults.set(None);
    serverless.pass(MINUTE * 5, &controller).await;
    becomes_ready(&serverless, &controller).await;
}

#[tokio::test]
async fn a_status_that_flaps_makes_nothing_and_is_reported_once() {
    let (serverless, controller) = ready("ic-flaps", "").await;
    let only = serverless.only(Phase::Ready).await;
    reported(&serverless, "ImageCacheReady", &only.name_any()).await;
    serverless.faults.set(Some(Fault::Flaps(HOUR)));
    for _ in 0..3 {
        serverless.pass(HOUR, &controller).await;
        serverless.only(Phase::Creating).await;
        serverless.pass(HOUR, &controller).await;
        let found = serverless.only(Phase::Ready).await;
        assert_eq!(found.metadata.uid, only.metadata.uid);
    }
    assert_eq!(serverless.reported("ImageCacheReady").await.len(), 1);
    assert_eq!(serverless.reported("ImageCacheCreated").await.len(), 1);
}
