//! Alerts on what no node has a part in, as a real Prometheus sees them.

use kube::ResourceExt;
use serde_json::json;
use test_bed::free_address;

use super::conditions::{as_limited, rights, verbs};
use super::image_caches::LIST;
use super::trial;
use crate::controller::Controller;
use crate::prometheus::Monitoring;
use crate::serverless::Serverless;
use crate::trial::eventually;

#[tokio::test]
async fn an_image_cache_that_fails_alerts_until_one_with_a_corrected_list_is_ready() {
    let it = Serverless::begin("cachealert").await;
    let address = free_address().unwrap();
    let _controller = Controller::start_at(&address, &it.trial, &[]).await;
    let monitoring = Monitoring::start(&it.trial, &[&address]);
    it.trial.write_list("tools", LIST).await;
    let first = it.number(1).await.remove(0);
    let of_first = format!("kube_prepull_image_cache_phase{{image_cache=\"{}\"}}", first.name_any());
    monitoring.answers(&of_first).await;
    assert!(monitoring.find("KubePrepullImageCacheFailed", &[]).is_none());
    let events = json!([{"type": "Warning", "reason": "PullFailed", "message": "no such manifest: nginx:1.27"}]);
    it.becomes(&first, json!({"phase": "Failed", "progress": "40%", "events": events})).await;
    let failed = monitoring.fires("KubePrepullImageCacheFailed", &[("list", "tools")]).await;
    assert!(failed.annotations["summary"].contains(&it.trial.namespace), "{failed:?}");

    it.trial.write_list("tools", &LIST.replace("1.27", "1.28")).await;
    // On a slow machine, another attempt with the first list may have come before.
    let second = eventually("an ImageCache of the corrected list", async || {
        it.all().await.into_iter().find(|cache| cache.spec.images == ["nginx:1.28", "redis:7"])
    })
    .await;
    it.becomes_ready(&second).await;
    monitoring.resolves("KubePrepullImageCacheFailed", &[]).await;
}

#[tokio::test]
async fn a_right_that_is_missing_alerts_by_its_category() {
    let trial = trial("rightalert").await;
    let mut rights = rights();
    *verbs(&mut rights, "configmaps") = json!(["get", "list", "watch"]);
    let proxy = as_limited(&trial, &rights).await;
    let controller = Controller::start_through(&trial, &proxy.kubeconfig).await;
    let monitoring = Monitoring::start(&trial, &[controller.address()]);
    trial.write_list("tools", "images: [nginx:1.27]").await;
    // It resolves a quarter of an hour after the last error, so that is left to promtool.
    monitoring.fires("KubePrepullReconcileErrors", &[("category", "MissingRight")]).await;
}
