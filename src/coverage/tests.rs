//! What a pod's status says, and how the fold takes changes in.

use serde_json::json;

use super::*;

mod init;

fn pod(uid: &str, node: &str, statuses: serde_json::Value) -> SlimPod {
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": uid, "uid": uid,
            "labels": {labels::LIST: "tools"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "tools-a", "uid": "d", "controller": true}],
        },
        "spec": {"nodeName": node, "containers": [{"name": "one", "image": "one:1"}, {"name": "two", "image": "two:1"}]},
        "status": {
            "initContainerStatuses": [{"name": "install-holder", "state": {"terminated": {"exitCode": 0}}}],
            "containerStatuses": statuses,
        },
    }))
    .expect("a pod")
}

fn states(statuses: serde_json::Value) -> Vec<ImageState> {
    let mut coverage = Coverage::default();
    coverage.apply(&pod("p", "n", statuses));
    let covering = coverage.pods_of("tools").next().expect("the pod");
    covering.images.iter().map(|image| image.state.clone()).collect()
}

#[test]
fn an_image_is_held_while_its_container_runs_whatever_became_of_the_others() {
    let found = states(json!([
        {"name": "one", "imageID": "one@sha256:1", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}},
        {"name": "two", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}},
    ]));
    assert_eq!(found[0], ImageState::Held);
    assert_eq!(found[1], ImageState::Failed { reason: "ImagePullBackOff".into(), message: "not found".into() });
    assert_eq!(found[1].hold(), Hold::None);
}

#[test]
fn a_dead_container_still_protects_its_image_but_less_than_a_running_one() {
    let ended = json!({"terminated": {"exitCode": 137, "containerID": "containerd://y"}});
    let found = states(json!([
        {"name": "one", "state": {"terminated": {"exitCode": 137, "containerID": "containerd://x"}}},
        {"name": "two", "containerID": "containerd://y", "state": {"waiting": {"reason": "ImagePullBackOff"}}, "lastState": ended},
    ]));
    assert_eq!(found[0].hold(), Hold::Exited);
    assert_eq!(found[1].hold(), Hold::Exited);
    assert!(Hold::Exited < Hold::Running);
}

/// So a kubelet reports it after a reboot that no container was left of.
#[test]
fn a_container_that_is_gone_protects_nothing_though_it_is_known_how_it_ended() {
    let ended = json!({"terminated": {"exitCode": 137, "containerID": "containerd://y", "reason": "Error"}});
    let waiting = |reason: &str| json!({"waiting": {"reason": reason}});
    let found = states(json!([
        {"name": "one", "restartCount": 1, "state": waiting("ImagePullBackOff"), "lastState": ended},
        {"name": "two", "restartCount": 1, "state": waiting("PodInitializing"), "lastState": ended},
    ]));
    assert_eq!(found[0], ImageState::Failed { reason: "ImagePullBackOff".into(), message: "".into() });
    assert_eq!(found[1], ImageState::Pulling);
}

/// As a pod is evicted, for one: its containers end before it says that it has failed.
#[test]
fn a_container_that_was_asked_to_end_has_not_failed_to_start() {
    let ended = |name: &str, exit_code: i32| {
        let terminated = json!({"exitCode": exit_code, "containerID": "containerd://x", "reason": "Completed"});
        json!({"name": name, "state": {"terminated": terminated}})
    };
    let found = states(json!([ended("one", 0), ended("two", 137)]));
    assert_eq!((&found[0], found[0].hold()), (&ImageState::Stopped, Hold::Exited));
    assert!(matches!(found[1], ImageState::CannotStart { .. }), "{found:?}");
}

#[test]
fn a_pause_between_two_starts_says_how_the_last_one_ended() {
    let pausing = |name: &str, ended: serde_json::Value| {
        let waiting = json!({"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container=one pod=p_n(uid)"});
        json!({"name": name, "containerID": "c", "state": {"waiting": waiting}, "lastState": {"terminated": ended}})
    };
    let found = states(json!([
        pausing(
            "one",
            json!({"exitCode": 128, "containerID": "c", "reason": "StartError", "message": "not a directory"})
        ),
        pausing("two", json!({"exitCode": 137, "containerID": "c", "reason": "OOMKilled"})),
    ]));
    for (found, expected) in found.iter().zip(["not a directory", "OOMKilled (exit code 137)"]) {
        let ImageState::CannotStart { reason, message, .. } = found else { panic!("{found:?}") };
        assert_eq!((&**reason, &**message), ("CrashLoopBackOff", expected));
    }
}

#[test]
fn an_image_that_cannot_be_started_is_distinguished_from_one_that_cannot_be_pulled() {
    let found = states(json!([
        {"name": "one", "state": {"waiting": {"reason": "CreateContainerError", "message": "no such file"}}},
        {"name": "two", "state": {"waiting": {"reason": "ContainerCreating"}}},
    ]));
    assert!(matches!(&found[0], ImageState::CannotStart { container_exists: false, .. }));
    assert_eq!(found[1], ImageState::Pulling);
}

#[test]
fn an_image_that_cannot_be_pulled_is_reported_once_for_each_pod() {
    let waiting = |reason: &str| json!({"waiting": {"reason": reason}});
    let with = |uid: &str, reasons: [&str; 2]| {
        let [one, two] = reasons.map(waiting);
        pod(uid, "n", json!([{"name": "one", "state": one}, {"name": "two", "state": two}]))
    };
    let mut coverage = Coverage::default();
    let mut messages = |pod: &SlimPod| coverage.apply_and_compare(pod).failures;
    assert_eq!(messages(&with("p", ["ContainerCreating", "PodInitializing"])), [""; 0]);
    assert_eq!(messages(&with("p", ["ErrImagePull", "ContainerCreating"])), ["ErrImagePull"]);
    assert_eq!(messages(&with("p", ["ImagePullBackOff", "ContainerCreating"])), [""; 0], "the same failure");
    assert_eq!(messages(&with("p", ["ErrImagePull", "InvalidImageName"])), ["InvalidImageName"]);
    assert_eq!(messages(&with("q", ["ImagePullBackOff", "CreateContainerError"])), ["ImagePullBackOff"]);
    let mut check = with("r", ["ErrImagePull", "ErrImagePull"]);
    check.metadata.labels.get_or_insert_default().insert(labels::TAG_CHECK.to_owned(), "x".to_owned());
    assert_eq!(messages(&check), [""; 0], "a tag check is no generation");
    let ended = json!({"terminated": {"containerID": "x"}});
    let died = json!([{"name": "one", "containerID": "x", "state": waiting("ErrImagePull"), "lastState": ended}]);
    assert_eq!(messages(&pod("s", "n", died)), [""; 0], "its image is there");
}

#[test]
fn before_the_turn_of_the_node_images_wait() {
    let mut waiting = pod("p", "n", json!([]));
    if let Some(status) = &mut waiting.status {
        status.init_container_statuses[0].state = Default::default();
    }
    let mut coverage = Coverage::default();
    coverage.apply(&waiting);
    assert!(
        coverage.pods_of("tools").flat_map(|pod| pod.images.iter()).all(|image| image.state == ImageState::Waiting)
    );
}

#[test]
fn a_pod_is_replaced_by_its_newest_form_and_forgotten_when_it_is_gone() {
    let mut coverage = Coverage::default();
    coverage.apply(&pod("p", "n", json!([])));
    coverage.apply(&pod("p", "m", json!([])));
    assert_eq!(coverage.pods_of("tools").count(), 1);
    assert_eq!(coverage.pods_of("tools").next().and_then(|pod| pod.node.as_deref()), Some("m"));
    assert_eq!(coverage.pods_of("other").count(), 0);
    coverage.delete(&pod("p", "m", json!([])));
    assert_eq!(coverage.pods_of("tools").count(), 0);
}

#[test]
fn a_pod_is_known_by_its_containers_and_what_it_tolerates() {
    let tolerating = |uid: &str, key: &str| {
        let mut pod = pod(uid, "n", json!([]));
        pod.spec.tolerations =
            serde_json::from_value(json!([{"key": key, "operator": "Exists"}])).expect("tolerations");
        pod
    };
    let mut coverage = Coverage::default();
    for pod in [tolerating("p", "gpu"), tolerating("q", "gpu"), tolerating("r", "other")] {
        coverage.apply(&pod);
    }
    for (uid, key) in [("p", "gpu"), ("q", "gpu"), ("r", "other")] {
        let names: Vec<&str> = coverage.pods[uid].images.iter().map(|image| &*image.name).collect();
        assert_eq!(names, ["one", "two"]);
        assert_eq!(coverage.pods[uid].tolerations[0].key.as_deref(), Some(key));
    }
    assert_eq!(coverage.tolerations.len(), 2, "equal ones are kept once");
}

#[test]
fn a_pod_that_no_node_takes_still_reports_which_node_it_is_made_for_and_why() {
    let mut pending = pod("p", "n", json!([]));
    let fields = json!([{"key": "metadata.name", "operator": "In", "values": ["n7"]}]);
    let terms = json!([{"matchExpressions": [], "matchFields": fields}]);
    let affinity =
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}});
    pending.spec.node_name = None;
    pending.spec.affinity = Some(serde_json::from_value(affinity).expect("an affinity"));
    pending.status = serde_json::from_value(json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "1 Too many pods."},
    ]}))
    .expect("a status");
    let mut coverage = Coverage::default();
    coverage.apply(&pending);
    let covering = &coverage.pods["p"];
    assert_eq!((covering.node.as_deref(), covering.target.as_deref()), (None, Some("n7")));
    assert_eq!(covering.state, PodState::Unschedulable { message: "1 Too many pods.".into() });
}

#[test]
fn a_pod_that_was_evicted_has_ended_whatever_its_containers_say() {
    let mut evicted = pod("p", "n", json!([{"name": "one", "state": {"running": {}}}]));
    let status = evicted.status.as_mut().expect("a status");
    (status.phase, status.reason, status.message) = ("Failed".into(), "Evicted".into(), "low on memory".into());
    let mut coverage = Coverage::default();
    coverage.apply(&evicted);
    let ended = PodState::Ended { reason: "Evicted".into(), message: "low on memory".into() };
    assert_eq!(coverage.pods["p"].state, ended);
}

#[test]
fn an_older_form_of_a_pod_and_one_of_a_pod_that_is_gone_change_nothing() {
    let versioned = |version: &str, node: &str| {
        let mut pod = pod("p", node, json!([]));
        pod.metadata.resource_version = Some(version.to_owned());
        pod
    };
    let mut coverage = Coverage::default();
    coverage.apply(&versioned("10", "new"));
    coverage.apply(&versioned("9", "old"));
    assert_eq!(coverage.pods["p"].node.as_deref(), Some("new"));
    coverage.apply(&versioned("11", "newer"));
    assert_eq!(coverage.pods["p"].node.as_deref(), Some("newer"));
    coverage.delete(&versioned("12", "newer"));
    coverage.apply(&versioned("11", "newer"));
    assert_eq!(coverage.pods_of("tools").count(), 0);
}

#[test]
fn pods_that_seem_alike_share_what_they_have_in_common() {
    let mut coverage = Coverage::default();
    let held = json!([{"name": "one", "imageID": "one@sha256:1", "state": {"running": {}}}]);
    coverage.apply(&pod("p", "n", held.clone()));
    coverage.apply(&pod("q", "m", held));
    assert!(Arc::ptr_eq(&coverage.pods["p"].images, &coverage.pods["q"].images));
    let failed = json!([{"name": "one", "state": {"waiting": {"reason": "ErrImagePull", "message": "503"}}}]);
    coverage.apply(&pod("q", "m", failed));
    assert!(
        Arc::ptr_eq(&coverage.pods["p"].images[1], &coverage.pods["q"].images[1]),
        "what they still have in common"
    );
    assert_ne!(coverage.pods["p"].images[0], coverage.pods["q"].images[0]);
}

#[test]
fn a_snapshot_shares_the_pods_of_its_list_and_stays_as_it_is() {
    let mut coverage = Coverage::default();
    let of_other = || {
        let mut pod = pod("q", "n", json!([]));
        pod.metadata.labels.get_or_insert_default().insert(labels::LIST.to_owned(), "other".to_owned());
        pod
    };
    coverage.apply(&pod("p", "n", json!([])));
    coverage.apply(&of_other());
    let (of_list, of_all) = (coverage.snapshot_of("tools"), coverage.snapshot());
    assert!(std::ptr::eq(&of_list.pods["p"], &coverage.pods["p"]), "nothing is copied");
    coverage.apply(&pod("p", "m", json!([])));
    coverage.delete(&of_other());
    let counts = |coverage: &Coverage| ["tools", "other"].map(|list| coverage.pods_of(list).count());
    assert_eq!((counts(&of_list), counts(&of_all), counts(&coverage)), ([1, 0], [1, 1], [1, 0]));
    assert_eq!(of_list.pods["p"].node.as_deref(), Some("n"));
    assert_eq!(coverage.pods["p"].node.as_deref(), Some("m"));
    assert_eq!(coverage.pods_of_generation("tools", "tools-a").count(), 1);
    assert_eq!(coverage.pods_of_generation("tools", "tools-b").count(), 0);
}

#[test]
fn a_pod_whose_label_was_changed_belongs_to_its_new_list_only() {
    let mut coverage = Coverage::default();
    let of = |list: &str| {
        let mut pod = pod("p", "n", json!([]));
        pod.metadata.labels.get_or_insert_default().insert(labels::LIST.to_owned(), list.to_owned());
        pod
    };
    coverage.apply(&of("tools"));
    coverage.apply(&of("other"));
    assert_eq!(["tools", "other"].map(|list| coverage.pods_of(list).count()), [0, 1]);
    coverage.delete(&of("tools"));
    assert_eq!(coverage.pods_of("other").count(), 0, "whatever its last version said");
}

#[test]
fn only_a_change_that_plans_may_depend_on_matters() {
    let mut coverage = Coverage::default();
    let running = || json!([{"name": "one", "imageID": "one@sha256:1", "state": {"running": {}}}]);
    let mut version = 0;
    let mut matters = |statuses: serde_json::Value, change: fn(&mut SlimPod)| {
        version += 1;
        let mut pod = pod("p", "n", statuses);
        pod.metadata.resource_version = Some(version.to_string());
        change(&mut pod);
        coverage.apply_and_compare(&pod).matters
    };
    assert!(matters(json!([]), |_| ()), "it is new");
    assert!(!matters(json!([]), |_| ()), "only its version is");
    assert!(matters(running(), |_| ()), "an image is held");
    assert!(!matters(running(), |pod| {
        pod.metadata.annotations = Some([("unknown".to_owned(), "changed".to_owned())].into());
    }));
    assert!(matters(running(), |pod| {
        pod.metadata.deletion_timestamp = serde_json::from_value(json!("2026-03-01T12:00:00Z")).ok();
    }));
    assert!(matters(running(), |pod| pod.metadata.labels = None), "it left its list");
    assert!(!matters(running(), |pod| pod.metadata.labels = None), "it is of no list");
}

/// A holder that was killed while the registry is down: the kubelet waits before it starts it again, and then before it pulls again.
#[test]
fn the_cause_that_a_kubelet_named_is_known_until_the_container_runs_or_another_cause_is_named() {
    let ended = json!({"terminated": {"exitCode": 137, "reason": "Error", "containerID": "c"}});
    let waiting = |reason: &str, message: &str| {
        let waiting = json!({"reason": reason, "message": message});
        json!([{"name": "one", "containerID": "c", "state": {"waiting": waiting}, "lastState": ended}])
    };
    let mut coverage = Coverage::default();
    let mut said = |status: serde_json::Value| {
        coverage.apply(&pod("p", "n", status));
        let image = &coverage.pods["p"].images[0];
        assert_eq!(image.state.hold() == Hold::None, image.state.cause().is_none() && image.state != ImageState::Held);
        image.state.cause().map(|cause| cause.message.to_owned())
    };
    let crashed = || waiting("CrashLoopBackOff", "back-off 10s restarting failed container=one pod=p_n(uid)");
    assert_eq!(said(crashed()).as_deref(), Some("Error (exit code 137)"), "nothing else is known");
    assert_eq!(said(waiting("ErrImagePull", "503 Service Unavailable")).as_deref(), Some("503 Service Unavailable"));
    assert_eq!(said(crashed()).as_deref(), Some("503 Service Unavailable"));
    assert_eq!(
        said(waiting("ImagePullBackOff", "Back-off pulling image \"one:1\"")).as_deref(),
        Some("503 Service Unavailable")
    );
    assert_eq!(said(waiting("ErrImagePull", "401 Unauthorized")).as_deref(), Some("401 Unauthorized"));
    assert_eq!(said(json!([{"name": "one", "state": {"running": {}}}])), None);
    assert_eq!(said(crashed()).as_deref(), Some("Error (exit code 137)"));
}

/// A pod whose second image the node does not pull, as kubelets write it: `progress` is when its first container started.
fn held_back(message: &str, progress: &str, written: &str) -> SlimPod {
    let statuses = json!([
        {"name": "one", "imageID": "one@sha256:1", "state": {"running": {"startedAt": progress}}},
        {"name": "two", "state": {"waiting": {"reason": "ErrImagePull", "message": message}}},
    ]);
    let mut pod = pod("p", "n", statuses);
    let entry = json!([{"manager": "kubelet", "operation": "Update", "subresource": "status", "time": written}]);
    pod.metadata.managed_fields = Some(serde_json::from_value(entry).expect("fields"));
    pod
}

fn second_image(coverage: &Coverage) -> ImageState {
    coverage.pods_of("tools").next().expect("the pod").images[1].state.clone()
}

#[test]
fn a_pull_that_the_node_holds_back_or_cancels_fails_only_if_that_lasts() {
    for message in ["pull QPS exceeded", "failed to pull and unpack image \"two:1\": context canceled"] {
        let mut coverage = Coverage::default();
        let mut seen = |message: &str, minute: u8| {
            let written = format!("2026-03-01T12:{minute:02}:00Z");
            coverage.apply(&held_back(message, "2026-03-01T11:00:00Z", &written));
            second_image(&coverage)
        };
        // What was known to be pulled is first seen held back at 12:01.
        seen("401 Unauthorized", 0);
        assert!(matches!(seen(message, 1), ImageState::Interrupted { .. }), "{message}");
        assert!(matches!(seen(message, 5), ImageState::Interrupted { .. }), "{message}");
        assert!(matches!(seen(message, 6), ImageState::Failed { .. }), "{message}");
        assert!(matches!(seen(message, 7), ImageState::Failed { .. }), "it does not begin again: {message}");
        assert!(matches!(seen("401 Unauthorized", 8), ImageState::Failed { .. }));
    }
}

#[test]
fn a_single_listing_knows_from_the_pods_last_progress_how_long_a_pull_has_been_held_back() {
    let listed = |progress: &str| {
        let mut coverage = Coverage::default();
        coverage.apply(&held_back("pull QPS exceeded", progress, "2026-03-01T12:00:00Z"));
        second_image(&coverage)
    };
    assert!(matches!(listed("2026-03-01T11:58:00Z"), ImageState::Interrupted { .. }));
    assert!(matches!(listed("2026-03-01T11:50:00Z"), ImageState::Failed { .. }));
    let found = states(
        json!([{"name": "one", "state": {"waiting": {"reason": "ErrImagePull", "message": "pull QPS exceeded"}}}]),
    );
    assert!(matches!(found[0], ImageState::Interrupted { .. }), "nothing shows how long: {found:?}");
}
