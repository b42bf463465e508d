//! A controller that is killed before each of its requests.
//!
//! They take minutes, so `make test-faults` runs them.

use std::collections::BTreeSet;
use std::pin::pin;

use futures::{StreamExt, stream};
use kube::ResourceExt;

use super::trial;
use crate::controller::Controller;
use crate::proxy::Proxy;
use crate::tag_checks::tag_checks;
use crate::trial::{Trial, eventually, images};

/// How many are interrupted side by side.
const AT_A_TIME: usize = 6;

/// What must be the same whether or not the controller was killed. The number of the generation says how many there were.
async fn state(trial: &Trial) -> BTreeSet<String> {
    let mut state = BTreeSet::new();
    for daemon_set in trial.daemon_sets().await {
        let number = &daemon_set.annotations()["kube-prepull.io/revision"];
        state.insert(format!("generation {number} of {:?}", images(&daemon_set)));
    }
    for revision in trial.revisions().await {
        state.insert(format!("revision {} of {:?}", revision.revision, revision.data));
    }
    let mut list = trial.list("tools").await;
    // Whether it is warm is written some seconds later.
    list.labels_mut().retain(|label, _| !label.starts_with("kube-prepull.io/warm"));
    list.annotations_mut().retain(|annotation, _| !annotation.starts_with("kube-prepull.io/warm"));
    state.insert(format!("{:?} {:?}", list.labels(), list.annotations()));
    state
}

async fn settled(trial: &Trial, image: &str) {
    trial.settled_on(&[image]).await;
    trial.validated("tools", "accepted").await;
}

/// What a controller is interrupted in.
#[derive(Clone, Copy, Debug)]
enum Doing {
    /// An edit that begins a rollout.
    Edit,
    /// A refresh that begins a rollout.
    Rollout,
    /// A refresh that checks the tags and finds them unchanged.
    TagCheck,
}

impl Doing {
    fn list(self, image: &str) -> String {
        let mode = if matches!(self, Self::TagCheck) { "OnChange" } else { "Always" };
        format!("images: [\"{image}\"]\nrefresh: {{every: 24h, mode: {mode}}}\n")
    }

    async fn begin(self, trial: &Trial) {
        match self {
            Self::Edit => trial.write_list("tools", &self.list("nginx:1.28")).await,
            Self::Rollout | Self::TagCheck => {
                trial.annotate_list("tools", "kube-prepull.io/refresh-requested", "now").await;
            }
        }
    }

    /// Whether it is done, as the cluster shows it.
    async fn is_done(self, trial: &Trial) -> bool {
        let found = trial.daemon_sets().await;
        let [daemon_set] = found.as_slice() else { return false };
        match self {
            Self::Edit => images(daemon_set) == ["nginx:1.28"],
            Self::Rollout => daemon_set.annotations()["kube-prepull.io/revision"] == "2",
            Self::TagCheck => {
                let tag_check_record = daemon_set.annotations().get("kube-prepull.io/tag-checks");
                tag_check_record.is_some_and(|tag_check_record| tag_check_record.contains("\"request\""))
                    && tag_checks(trial).await.is_empty()
            }
        }
    }
}

/// Something whose controller is killed before the request of that number, and what another controller makes of it. Also says
/// how many requests there were before it was done.
async fn killed_before(doing: Doing, request: usize) -> (BTreeSet<String>, usize) {
    let trial = trial(&format!("crash-{doing:?}-{request}").to_lowercase()).await;
    let proxy = Proxy::start(trial.client.clone()).await;
    let controller = Controller::start_through(&trial, &proxy.kubeconfig).await;
    trial.write_list("tools", &doing.list("nginx:1.27")).await;
    settled(&trial, "nginx:1.27").await;
    proxy.kill_before(request, controller.id());
    doing.begin(&trial).await;
    let mut controller = Some(controller);
    eventually("it to be done or the controller to be killed", async || {
        let done = doing.is_done(&trial).await;
        (done || controller.as_mut().unwrap().has_ended()).then_some(())
    })
    .await;
    if controller.as_mut().unwrap().has_ended() {
        proxy.spare();
        drop(controller.take());
        controller = Some(Controller::start_through(&trial, &proxy.kubeconfig).await);
    }
    eventually("it to be done", async || doing.is_done(&trial).await.then_some(())).await;
    trial.validated("tools", "accepted").await;
    let requests = proxy.requests();
    drop(controller);
    (state(&trial).await, requests)
}

/// Kills the controller before each of its requests, and expects the same end each time.
async fn leaves_nothing_unfinished(doing: Doing) {
    let (expected, requests) = killed_before(doing, usize::MAX).await;
    assert!((8..100).contains(&requests), "it took {requests} requests");
    let killed = async |request| (request, killed_before(doing, request).await.0);
    let mut ends = pin!(stream::iter(1..=requests).map(killed).buffer_unordered(AT_A_TIME));
    while let Some((request, found)) = ends.next().await {
        assert_eq!(found, expected, "killed before request {request} of {requests}");
    }
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn an_edit_whose_controller_is_killed_before_any_request_is_finished_by_the_next_one() {
    leaves_nothing_unfinished(Doing::Edit).await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_rollout_whose_controller_is_killed_before_any_request_is_finished_by_the_next_one() {
    leaves_nothing_unfinished(Doing::Rollout).await;
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn a_tag_check_whose_controller_is_killed_before_any_request_is_finished_by_the_next_one() {
    leaves_nothing_unfinished(Doing::TagCheck).await;
}
