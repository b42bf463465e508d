//! Several controllers in one namespace: only one of them writes.

use std::path::Path;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use nix::sys::signal::Signal;

use super::trial;
use crate::audit::AuditLog;
use crate::controller::Controller;
use crate::proxy::Proxy;
use crate::trial::{Trial, eventually, images};

const ELECTS: [&str; 1] = ["--leader-elect=true"];

/// The process id of the leader, as the Lease names it.
async fn leader(trial: &Trial) -> Option<u32> {
    let lease = trial.api::<Lease>().get_opt("kube-prepull").await.unwrap()?;
    lease.spec?.holder_identity?.rsplit_once('_')?.1.parse().ok()
}

async fn led_by(trial: &Trial, controller: &Controller) {
    eventually("the other controller to lead", async || (leader(trial).await == Some(controller.id())).then_some(()))
        .await;
}

/// Two controllers, the leader first, and a list that they keep.
async fn two(trial: &Trial) -> (Controller, Controller) {
    two_through(trial, &trial.kubeconfig).await
}

/// The same with a way to the cluster of the leader's own.
async fn two_through(trial: &Trial, kubeconfig: &Path) -> (Controller, Controller) {
    let first = Controller::start_through_with(trial, kubeconfig, &ELECTS).await;
    led_by(trial, &first).await;
    let second = Controller::start_with(trial, &ELECTS).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.settled_on(&["nginx:1.27"]).await;
    trial.validated("tools", "accepted").await;
    (first, second)
}

/// Each DaemonSet of the trial and how often it was applied.
fn applied(trial: &Trial, daemon_sets: &[DaemonSet]) -> Vec<usize> {
    let requests = AuditLog::open().requests(0, &trial.namespace);
    let of = |name: &str| {
        let path = format!("/daemonsets/{name}?");
        let applied = |uri: &str| uri.contains(&path) && uri.contains("force=true");
        requests.iter().filter(|request| request.is_write() && applied(&request.uri)).count()
    };
    daemon_sets.iter().map(|daemon_set| of(&daemon_set.name_any())).collect()
}

/// Stops the leader. Returns whether it has released the Lease.
async fn releases(trial: &Trial, controller: Controller) -> bool {
    let former = controller.id();
    let (status, _) = controller.stop();
    assert!(status.success(), "{status}");
    leader(trial).await != Some(former)
}

#[tokio::test]
async fn one_of_two_writes_and_hands_over_when_it_is_stopped() {
    let trial = trial("handover").await;
    let (mut first, mut second) = two(&trial).await;
    assert_eq!(leader(&trial).await, Some(first.id()));
    assert_eq!(applied(&trial, &trial.daemon_sets().await), [1]);
    // It tries for half a second only, which a loaded machine may exceed: then the next leader is stopped.
    let mut released = false;
    for _ in 0..5 {
        released = releases(&trial, first).await;
        led_by(&trial, &second).await;
        if released {
            break;
        }
        (first, second) = (second, Controller::start_with(&trial, &ELECTS).await);
    }
    assert!(released, "the Lease is not left to run out");
    trial.write_list("tools", "images: [nginx:1.28]").await;
    let after = trial.settled_on(&["nginx:1.28"]).await;
    assert_eq!(applied(&trial, &[after]), [1]);
}

#[tokio::test]
async fn after_a_crash_the_other_takes_over_when_the_lease_has_run_out() {
    let trial = trial("crashed").await;
    let (first, second) = two(&trial).await;
    let before = trial.daemon_sets().await;
    first.kill();
    led_by(&trial, &second).await;
    let after = trial.daemon_sets().await;
    assert_eq!(before[0].metadata.uid, after[0].metadata.uid);
    trial.write_list("tools", "images: [nginx:1.28]").await;
    trial.settled_on(&["nginx:1.28"]).await;
}

#[tokio::test]
async fn a_leader_that_was_paused_does_nothing_when_it_wakes_up() {
    let trial = trial("paused").await;
    let (first, second) = two(&trial).await;
    first.signal(Signal::SIGSTOP);
    led_by(&trial, &second).await;
    trial.write_list("tools", "images: [nginx:1.28]").await;
    trial.settled_on(&["nginx:1.28"]).await;
    first.signal(Signal::SIGCONT);
    eventually("the paused one to notice", async || first.log().contains("not leading any more").then_some(())).await;
    trial.write_list("tools", "images: [nginx:1.29]").await;
    let after = trial.settled_on(&["nginx:1.29"]).await;
    assert_eq!(applied(&trial, std::slice::from_ref(&after)), [1]);
    assert_eq!(after.annotations()["kube-prepull.io/revision"], "3", "a rollout for each edit, and no more");
    assert_eq!(leader(&trial).await, Some(second.id()));
}

#[tokio::test]
async fn a_leader_that_was_paused_amid_several_writes_sends_none_of_the_rest() {
    let trial = trial("amid-writes").await;
    let proxy = Proxy::start(trial.client.clone()).await;
    let (first, second) = two_through(&trial, &proxy.kubeconfig).await;
    // The creation of the first of three DaemonSets.
    proxy.pause_at("/daemonsets/tools-a-", first.id());
    let groups = [("a", "nginx:1.28"), ("b", "redis:7.4"), ("c", "busybox:1.37")];
    let groups = groups.map(|(name, image)| format!("{{name: {name}, images: [\"{image}\"]}}"));
    trial.write_list("tools", &format!("groups: [{}]", groups.join(", "))).await;
    led_by(&trial, &second).await;
    eventually("the other one to finish the edit", async || {
        let mut found: Vec<String> = trial.daemon_sets().await.iter().flat_map(images).collect();
        found.sort_unstable();
        (found == ["busybox:1.37", "nginx:1.28", "redis:7.4"]).then_some(())
    })
    .await;
    assert_eq!(proxy.writes_since_pause().len(), 1, "{:?}", proxy.writes_since_pause());
    first.signal(Signal::SIGCONT);
    eventually("a write of the paused one to be refused", async || {
        first.log().contains("another controller has taken the lead").then_some(())
    })
    .await;
    trial.write_list("tools", "images: [nginx:1.29]").await;
    trial.settled_on(&["nginx:1.29"]).await;
    assert_eq!(proxy.writes_since_pause().len(), 1, "{:?}", proxy.writes_since_pause());
    assert_eq!(leader(&trial).await, Some(second.id()));
}
