use std::collections::BTreeSet;
use std::pin::pin;

use futures::{StreamExt, stream};
use kube::ResourceExt;

use super::trial;
use crate::controller::Controller;
use crate::proxy::Proxy;
use crate::trial::{Trial, eventually, images};

/// How many edits are interrupted side by side.
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
    let list = trial.list("tools").await;
    state.insert(format!("{:?} {:?}", list.labels(), list.annotations()));
    state
}

async fn settled(trial: &Trial, image: &str) {
    trial.settled_on(&[image]).await;
    trial.judged("tools", "accepted").await;
}

/// An edit whose controller is killed before the request of that number, and what another controller makes of it. Also says
/// how many requests there were before the edit had settled.
async fn edit_killed_before(request: usize) -> (BTreeSet<String>, usize) {
    let trial = trial(&format!("crash{request}")).await;
    let proxy = Proxy::start(trial.client.clone()).await;
    let controller = Controller::start_through(&trial, &proxy.kubeconfig).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    settled(&trial, "nginx:1.27").await;
    proxy.kill_before(request, controller.id());
    trial.write_list("tools", "images: [nginx:1.28]").await;
    let mut controller = Some(controller);
    eventually("the edit to settle or the controller to be killed", async || {
        let found = trial.daemon_sets().await;
        let settled = found.len() == 1 && images(&found[0]) == ["nginx:1.28"];
        (settled || controller.as_mut().unwrap().has_ended()).then_some(())
    })
    .await;
    if controller.as_mut().unwrap().has_ended() {
        proxy.spare();
        drop(controller.take());
        controller = Some(Controller::start_through(&trial, &proxy.kubeconfig).await);
    }
    settled(&trial, "nginx:1.28").await;
    let requests = proxy.requests();
    drop(controller);
    (state(&trial).await, requests)
}

#[tokio::test]
async fn a_controller_that_is_killed_before_any_request_of_an_edit_leaves_nothing_that_the_next_one_does_not_finish() {
    let (expected, requests) = edit_killed_before(usize::MAX).await;
    assert!((8..100).contains(&requests), "an edit took {requests} requests");
    let killed_before = async |request| (request, edit_killed_before(request).await.0);
    let mut edits = pin!(stream::iter(1..=requests).map(killed_before).buffer_unordered(AT_A_TIME));
    while let Some((request, found)) = edits.next().await {
        assert_eq!(found, expected, "killed before request {request} of {requests}");
    }
}
