//! What waits is reported once a minute, however often the words change meanwhile.

use std::time::Instant;

use kube_prepull::plan::Waiting;
use serde_json::json;

use super::trial;
use crate::controller::Controller;
use crate::nodes::{Nodes, simulated};
use crate::tag_checks::{answered, request};
use crate::trial::eventually;

/// The architectures that the only node says it has, one after the other.
const ARCHITECTURES: [&str; 8] = ["arm", "ppc64le", "riscv64", "mips64le", "loong64", "wasm", "s390x", "arm64"];

/// The Event's note about a node of that architecture.
fn note(daemon_set: &str, architecture: &str) -> String {
    let waiting = Waiting::TagCheck {
        group: "g".to_owned(),
        daemon_set: daemon_set.to_owned(),
        architectures: vec![architecture.to_owned()],
    };
    kube_prepull::messages::waiting::waiting(&waiting).note.into()
}

#[tokio::test]
async fn a_wait_whose_words_change_all_the_time_is_reported_once_a_minute_in_its_latest_words() {
    let trial = trial("waits").await;
    let nodes = Nodes::of(&trial);
    let mut cordoned = simulated("amd64");
    cordoned["spec"] = json!({"unschedulable": true});
    nodes.add("cordoned", cordoned).await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", &format!("groups: [{{name: g, images: [nginx:1.27], {}}}]", nodes.placement())).await;
    trial.settled_on(&["nginx:1.27"]).await;
    let begun = Instant::now();
    request(&trial, "one").await;
    trial.reported("Waiting").await;
    for architecture in ARCHITECTURES {
        nodes.patch("cordoned", &json!({"metadata": {"labels": {"kubernetes.io/arch": architecture}}})).await;
        controller.has_reconciled(&trial, "tools").await;
    }
    let notes = async || trial.events("Waiting").await.into_iter().filter_map(|event| event.note).collect::<Vec<_>>();
    let daemon_set = trial.daemon_sets().await[0].metadata.name.clone().unwrap();
    let last = note(&daemon_set, "arm64");
    let times = |notes: &[String], note: &String| notes.iter().filter(|it| *it == note).count();
    eventually("the latest words", async || (times(&notes().await, &last) == 1).then_some(())).await;
    let notes = notes().await;
    let passed = begun.elapsed();
    let most = 1 + usize::try_from(passed.as_secs() / 60).unwrap();
    assert!((2..=most).contains(&notes.len()), "at most one a minute in {passed:?}: {notes:#?}");
    nodes.patch("cordoned", &json!({"spec": {"unschedulable": false}})).await;
    answered(&trial, "one").await;
}
