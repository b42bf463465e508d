use kube::ResourceExt;
use nix::sys::signal::Signal;
use serde_json::json;

use super::trial;
use crate::audit::AuditLog;
use crate::controller::Controller;
use crate::trial::{eventually, images};

#[tokio::test]
async fn an_accepted_list_is_held_on_every_node_and_an_edit_takes_its_place() {
    let trial = trial("edit").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27, redis:7]").await;
    trial.validated("tools", "accepted").await;
    let first = trial.settled_on(&["nginx:1.27", "redis:7"]).await;
    trial.write_list("tools", "images: [nginx:1.28, redis:7]").await;
    let second = trial.settled_on(&["nginx:1.28", "redis:7"]).await;
    assert_ne!(first.metadata.name, second.metadata.name);
    let accepted = trial.events("ListAccepted").await;
    let mut notes: Vec<_> = accepted.iter().filter_map(|event| event.note.as_deref()).collect();
    notes.sort_unstable();
    let edit = "accepted: 2 images in 1 group; images changed: nginx:1.27 → nginx:1.28";
    assert_eq!(notes, ["accepted: 2 images in 1 group", edit]);
}

#[tokio::test]
async fn a_rejected_edit_changes_nothing_and_says_what_to_do() {
    let trial = trial("rejected").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let before = trial.settled_on(&["nginx:1.27"]).await;
    trial.write_list("tools", "images: [Nginx:1.28]\nimage: redis").await;
    let list = trial.validated("tools", "rejected").await;
    let problems = &list.metadata.annotations.unwrap()["kube-prepull.io/problems"];
    assert!(problems.contains("did you mean \"images\"?"), "{problems}");
    assert!(problems.contains("write the repository in lower case"), "{problems}");
    let reported = eventually("the Event", async || trial.events("ListRejected").await.pop()).await;
    assert!(reported.note.unwrap().contains("write the repository in lower case"));
    assert_eq!(reported.type_.as_deref(), Some("Warning"));
    let after = trial.daemon_sets().await;
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].metadata.uid, before.metadata.uid);
    assert_eq!(after[0].metadata.generation, before.metadata.generation);
    trial.write_list("tools", "# as before\nimages: [nginx:1.27]").await;
    trial.validated("tools", "accepted").await;
    eventually("the edit to be reported", async || {
        let reported = trial.events("ListAccepted").await.into_iter().filter_map(|event| event.note);
        reported.into_iter().find(|note| note.ends_with("no effective change"))
    })
    .await;
}

#[tokio::test]
async fn flat_keys_of_kubernetes_image_puller_are_understood() {
    let trial = trial("flat").await;
    let _controller = Controller::start(&trial).await;
    let data = json!({
        "IMAGES": "\n  tools = quay.io/acme/tools:1 ;\n  web=nginx:1.27;\n",
        "CACHING_INTERVAL_HOURS": "1",
        "CACHING_MEMORY_REQUEST": "10Mi", "CACHING_MEMORY_LIMIT": "20Mi",
        "CACHING_CPU_REQUEST": ".05", "CACHING_CPU_LIMIT": ".2",
        "DAEMONSET_NAME": "image-puller", "NAMESPACE": trial.namespace,
        "NODE_SELECTOR": "{}", "AFFINITY": "{}", "TOLERATIONS": "[]", "DAEMONSET_ANNOTATIONS": "{}", "IMAGE_PULL_SECRETS": "",
    });
    trial.write_data("k8s-image-puller", data).await;
    let daemon_set = trial.settled_on(&["quay.io/acme/tools:1", "nginx:1.27"]).await;
    assert!(daemon_set.metadata.name.unwrap().starts_with("image-puller-"));
    let containers = daemon_set.spec.unwrap().template.spec.unwrap().containers;
    assert_eq!(containers[0].name, "tools");
    let limits = containers[0].resources.as_ref().unwrap().limits.as_ref().unwrap();
    assert_eq!(limits["memory"].0, "20Mi");
}

#[tokio::test]
async fn a_group_that_leaves_the_list_goes_and_the_others_stay() {
    let trial = trial("groups").await;
    let _controller = Controller::start(&trial).await;
    let groups = "images: [nginx:1.27]\ngroups:\n- {name: gpu, images: [cuda:12]}\n";
    trial.write_list("tools", groups).await;
    let both = eventually("two groups", async || {
        let found = trial.daemon_sets().await;
        (found.len() == 2).then_some(found)
    })
    .await;
    let default = both.iter().find(|daemon_set| images(daemon_set) == ["nginx:1.27"]).unwrap();
    trial.write_list("tools", "images: [nginx:1.27]").await;
    let left = trial.settled_on(&["nginx:1.27"]).await;
    assert_eq!(left.metadata.uid, default.metadata.uid, "the group that stays must not notice");
}

#[tokio::test]
async fn two_edits_within_a_second_make_one_generation() {
    let trial = trial("settle").await;
    let controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.26]").await;
    trial.settled_on(&["nginx:1.26"]).await;
    // On a busy machine the second one could come to the controller much later: while it is paused, both are one moment for it.
    controller.signal(Signal::SIGSTOP);
    trial.write_list("tools", "images: [nginx:1.27]").await;
    trial.write_list("tools", "images: [nginx:1.28]").await;
    controller.signal(Signal::SIGCONT);
    let after = trial.settled_on(&["nginx:1.28"]).await;
    assert_eq!(after.annotations()["kube-prepull.io/revision"], "2", "{}", controller.log());
}

#[tokio::test]
async fn an_edit_that_changes_nothing_for_the_nodes_begins_nothing() {
    let trial = trial("nothing").await;
    let _controller = Controller::start(&trial).await;
    trial.write_list("tools", "images: [nginx:1.27]\n").await;
    let before = trial.settled_on(&["nginx:1.27"]).await;
    trial.write_list("tools", "# a comment\npullRate: 100\nrefresh: {every: 3h}\nimages:\n- nginx:1.27\n").await;
    trial.validated("tools", "accepted").await;
    // A further edit that does begin something shows that the one before was read and changed nothing.
    trial.write_list("tools", "images: [nginx:1.27]\ngroups: [{name: more, images: [redis]}]\n").await;
    let found = eventually("the second group", async || {
        let found = trial.daemon_sets().await;
        (found.len() == 2).then_some(found)
    })
    .await;
    assert!(found.iter().any(|daemon_set| daemon_set.metadata.uid == before.metadata.uid));
    // The rollout of the second group is reported once its DaemonSet is there.
    let rollouts = eventually("the Event of the second rollout", async || {
        Some(trial.events("RolloutStarted").await.len()).filter(|rollouts| *rollouts > 1)
    })
    .await;
    assert_eq!(rollouts, 2);
}

/// Tools that apply a whole ConfigMap again and again own what they apply, and nothing else.
#[tokio::test]
async fn a_validation_result_is_written_once_and_stands_beside_what_other_tools_write() {
    let trial = trial("gitops").await;
    let log = AuditLog::open();
    let _controller = Controller::start(&trial).await;
    for _ in 0..5 {
        trial.write_list("tools", "images: [nginx:1.27]").await;
        trial.validated("tools", "accepted").await;
    }
    trial.annotate_list("tools", "example.com/owner", "platform").await;
    trial.settled_on(&["nginx:1.27"]).await;
    // A validation result on another list comes after whatever the controller would do about this one.
    trial.write_list("other", "images: [Bad]").await;
    trial.validated("other", "rejected").await;
    let list = trial.validated("tools", "accepted").await;
    assert_eq!(list.annotations()["example.com/owner"], "platform");
    let managers: Vec<_> = list.managed_fields().iter().filter_map(|fields| fields.manager.as_deref()).collect();
    assert!(managers.contains(&"kube-prepull") && managers.contains(&"user"), "{managers:?}");
    let mut writes = log.requests(0, &trial.namespace);
    writes.retain(|request| request.is_write() && request.uri.contains("/configmaps/tools"));
    assert_eq!(writes.len(), 1, "{writes:#?}");
}
