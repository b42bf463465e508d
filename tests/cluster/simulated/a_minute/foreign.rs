//! Names that are taken: when their second is over, another name is free.

use k8s_openapi::api::apps::v1::DaemonSet;
use kube::ResourceExt;
use kube_prepull::list::ListData;
use kube_prepull::plan::Record;
use kube_prepull::plan::generation::content_hash;
use serde_json::json;

use super::trial;
use crate::controller::Controller;
use crate::trial::{SOON, Trial, eventually, within};

/// DaemonSets of another owner, under all names that a list's first generation would take in the next seconds.
async fn take_names(trial: &Trial, list: &str, seconds: i64) -> Vec<String> {
    let data = ListData {
        namespace: trial.namespace.clone(),
        name: "tools".to_owned(),
        data: [("images.yaml".to_owned(), list.to_owned())].into(),
        found: None,
    };
    let config = kube_prepull::list::parse(&data).config.unwrap();
    let now = jiff::Timestamp::now().as_second();
    let name = |second: i64| {
        let record = Record {
            revision: 1,
            content: content_hash(&config.groups[0]),
            epoch: jiff::Timestamp::from_second(second).unwrap(),
            spread_seconds: 0,
            holder_image: String::new(),
            format: 1,
            folder: Default::default(),
            refresh_request: None,
            pulled_always: Default::default(),
            gate_taints: Default::default(),
        };
        format!("tools-{}", record.hash("tools", "default", 0))
    };
    let names: Vec<String> = (now..now + seconds).map(name).collect();
    let create = names.iter().map(|name| {
        let labels = json!({"app": "other"});
        trial.create::<DaemonSet>(json!({"metadata": {"name": name}, "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {
                "nodeSelector": {"none": "such"}, "containers": [{"name": "other", "image": "other"}]}},
        }}))
    });
    futures::future::join_all(create).await;
    names
}

#[tokio::test]
async fn a_daemon_set_of_somebody_elses_with_a_wanted_name_is_reported_and_left_alone() {
    let trial = trial("foreign").await;
    let _controller = Controller::start(&trial).await;
    let list = "images: [nginx:1.27]";
    // A loaded machine may need most of these seconds to take the names and to read the list.
    let taken = take_names(&trial, list, 90).await;
    trial.write_list("tools", list).await;
    let reported = eventually("the Event", async || trial.events("ForeignDaemonSet").await.pop()).await;
    let name = reported.related.unwrap().name.unwrap();
    assert!(taken.contains(&name));
    let note = reported.note.unwrap();
    assert!(
        note.contains(&format!("a DaemonSet {name} that kube-prepull did not create already exists; delete it")),
        "{note}"
    );
    // When all of these seconds are over, another name is free.
    within(2 * SOON, "a DaemonSet of the list's own", async || {
        trial.daemon_sets().await.iter().any(|it| !taken.contains(&it.name_any())).then_some(())
    })
    .await;
    for name in &taken {
        let theirs = trial.api::<DaemonSet>().get(name).await.unwrap();
        assert_eq!((theirs.labels().len(), theirs.metadata.generation), (0, Some(1)), "{name}");
    }
}
