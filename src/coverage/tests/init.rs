//! What is known of an init container beyond what its kubelet says now.

use super::*;

const BARE: (&str, &str) = ("ImagePullBackOff", "Back-off pulling image \"own:1\"");
const REFUSED: (&str, &str) = ("ErrImagePull", "401 Unauthorized");

/// A pod that waits for kube-prepull's own image, as its kubelet wrote it so many minutes after 12:00.
fn waits((reason, message): (&str, &str), minute: u8) -> SlimPod {
    let mut pod = pod("p", "n", json!([]));
    let status = json!({
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-03-01T11:58:00Z"}],
        "initContainerStatuses": [
            {"name": "install-holder", "state": {"waiting": {"reason": reason, "message": message}}},
        ],
    });
    pod.status = serde_json::from_value(status).expect("a status");
    let time = format!("2026-03-01T12:{minute:02}:00Z");
    let entry = json!([{"manager": "kubelet", "operation": "Update", "subresource": "status", "time": time}]);
    pod.metadata.managed_fields = Some(serde_json::from_value(entry).expect("fields"));
    pod
}

#[test]
fn the_cause_of_a_failing_init_container_is_known_until_another_one_is_named() {
    let mut coverage = Coverage::default();
    let mut said = |words: (&str, &str)| {
        coverage.apply(&waits(words, 0));
        let failure = coverage.pods["p"].initialization.failure().expect("a failure");
        assert!(!failure.pulled);
        failure.message.clone()
    };
    assert_eq!(said(BARE), BARE.1, "nothing else is known");
    assert_eq!(said(REFUSED), REFUSED.1);
    assert_eq!(said(BARE), REFUSED.1);
    assert_eq!(said(("ErrImagePull", "503")), "503");
    assert_eq!(said(BARE), "503");
}

#[test]
fn an_own_image_whose_pull_the_node_holds_back_or_cancels_fails_only_if_that_lasts() {
    for message in ["pull QPS exceeded", "failed to pull and unpack image \"own:1\": context canceled"] {
        let mut coverage = Coverage::default();
        let mut seen = |words: (&str, &str), minute: u8| {
            let counted = coverage.apply_and_compare(&waits(words, minute)).failures;
            (coverage.pods["p"].initialization.failure().map(|failure| failure.message.clone()), counted)
        };
        let lasting = |counted: &[&'static str]| (Some(message.to_owned()), counted.to_vec());
        assert_eq!(seen(("PodInitializing", ""), 0), (None, vec![]));
        assert_eq!(seen(("ErrImagePull", message), 1), (None, vec![]));
        assert_eq!(seen(BARE, 4), (None, vec![]), "it still waits");
        assert_eq!(seen(("ErrImagePull", message), 6), lasting(&["ErrImagePull"]));
        assert_eq!(seen(("ErrImagePull", message), 7), lasting(&[]), "it does not begin again");
    }
}

#[test]
fn a_single_listing_knows_since_when_an_own_image_is_held_back() {
    for (minute, fails) in [(0, false), (2, false), (4, true)] {
        let mut coverage = Coverage::default();
        coverage.apply(&waits(("ErrImagePull", "pull QPS exceeded"), minute));
        assert_eq!(coverage.pods["p"].initialization.failure().is_some(), fails, "{minute}");
    }
}

#[test]
fn a_pull_counts_as_failed_once_and_not_while_the_node_holds_it_back() {
    let mut coverage = Coverage::default();
    let mut counted = |pod: &SlimPod| coverage.apply_and_compare(pod).failures;
    assert_eq!(counted(&waits(REFUSED, 0)), ["ErrImagePull"]);
    assert_eq!(counted(&waits(BARE, 1)), [""; 0], "the same failure");
    let held_back = |written: &str| held_back("pull QPS exceeded", "2026-03-01T12:02:00Z", written);
    assert_eq!(counted(&held_back("2026-03-01T12:03:00Z")), [""; 0]);
    assert_eq!(counted(&held_back("2026-03-01T12:07:00Z")), [""; 0]);
    assert_eq!(counted(&held_back("2026-03-01T12:09:00Z")), ["ErrImagePull"]);
    assert_eq!(counted(&held_back("2026-03-01T12:10:00Z")), [""; 0]);
}
