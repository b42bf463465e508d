use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Taint;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::condition::{ConditionWrite, PAUSE, STALE, WantedCondition, due, reason};
use super::decision::{Freed, LABELLING, ListOnNode, NodeDecision, decide};
use super::patch;
use super::warmth::{self, BehindImage, NodeWarmth};
use crate::coverage::{Coverage, ImagesReady, Node, NodeSet};
use crate::list::config::{NodeGate, TaintKey};
use crate::summary::SummaryInput;
use crate::summary::node_state::NodeState;
use crate::summary::tests::world::{self, Fate, Pod};

const TAINT: &str = "startup-taint.cluster-autoscaler.kubernetes.io/images";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).expect("a time")
}

fn key() -> TaintKey {
    TaintKey::new(TAINT).expect("a key")
}

fn gate(timeout: i64) -> NodeGate {
    NodeGate {
        taint: Some(key()),
        condition: true,
        wait_for: Default::default(),
        timeout: SignedDuration::from_secs(timeout),
    }
}

/// A node that was created at 0 and is ready since `ready`.
fn node(ready: Option<i64>) -> Node {
    Node { created: Some(at(0)), ready: ready.is_some(), ready_since: ready.map(at), ..world::node("n") }
}

fn with(warm: usize, images: usize, state: NodeState) -> NodeWarmth {
    let behind = BehindImage {
        name: "app".to_owned(),
        reference: "app:1".to_owned(),
        state,
        reason: String::new(),
        message: String::new(),
    };
    NodeWarmth { images, warm, behind: (warm < images).then_some(behind) }
}

fn on_node<'a>(gate: &'a NodeGate, warmth: Option<&'a NodeWarmth>, may_grow: bool) -> ListOnNode<'a> {
    ListOnNode { list: "tools", gate, warmth, may_grow }
}

fn decision<'a>(node: &Node, lists: &'a [(NodeGate, Option<NodeWarmth>)], seconds: i64) -> NodeDecision<'a> {
    let lists: Vec<ListOnNode> =
        lists.iter().map(|(gate, warmth)| on_node(gate, warmth.as_ref(), warmth.is_none())).collect();
    decide(node, &lists, at(seconds))
}

#[test]
fn a_node_is_free_once_every_list_for_it_is_warm() {
    let (warm, cold) = (with(2, 2, NodeState::Warm), with(1, 2, NodeState::Pulling));
    let ready = node(Some(5));
    let of = |lists: &[(NodeGate, Option<NodeWarmth>)]| {
        matches!(decision(&ready, lists, 60), NodeDecision::Free(Freed::Warm))
    };
    assert!(of(&[(gate(600), Some(warm.clone()))]));
    assert!(!of(&[(gate(600), Some(warm.clone())), (gate(600), Some(cold))]));
    assert!(of(&[(gate(600), Some(warm)), (gate(600), None)]), "the other list has no group for the node");
}

#[test]
fn a_node_waits_for_each_list_until_that_lists_time_is_over() {
    let cold = || Some(with(0, 1, NodeState::Failed));
    let lists = [(gate(60), cold()), (gate(600), cold())];
    let ready = node(Some(5));
    assert!(matches!(decision(&ready, &lists, 59), NodeDecision::Waits { until } if until == at(600)));
    assert!(matches!(decision(&ready, &lists, 599), NodeDecision::Waits { until } if until == at(600)));
    let NodeDecision::Free(Freed::TimedOut { lists }) = decision(&ready, &lists, 600) else {
        panic!("its time is over")
    };
    assert_eq!(lists.len(), 2);
}

#[test]
fn a_node_that_no_list_is_for_is_freed_once_it_has_had_time_for_its_labels() {
    let lists = [(gate(600), None)];
    let settled = 5 + LABELLING.as_secs();
    assert!(matches!(decision(&node(None), &lists, 100), NodeDecision::Waits { until } if until == at(600)));
    assert!(matches!(decision(&node(Some(5)), &lists, 6), NodeDecision::Waits { until } if until == at(settled)));
    assert_eq!(decision(&node(Some(5)), &lists, settled), NodeDecision::Free(Freed::NotNeeded));
    assert_eq!(decision(&node(None), &lists, 600), NodeDecision::Free(Freed::NotNeeded), "it never became ready");
}

#[test]
fn a_taint_that_no_list_names_goes_after_the_default_time() {
    let ready = node(Some(5));
    assert!(matches!(decision(&ready, &[], 599), NodeDecision::Waits { until } if until == at(600)));
    assert_eq!(decision(&ready, &[], 600), NodeDecision::Free(Freed::TimedOut { lists: Vec::new() }));
}

#[test]
fn a_node_without_a_time_of_creation_does_not_wait_for_ever() {
    let timeless = Node { created: None, ..node(Some(5)) };
    let lists = [(gate(600), Some(with(0, 1, NodeState::Pulling)))];
    assert!(matches!(decision(&timeless, &lists, 0), NodeDecision::Free(Freed::TimedOut { .. })));
}

fn states() -> impl Strategy<Value = Option<NodeWarmth>> {
    prop_oneof![
        Just(None),
        (0..4_usize).prop_map(|warm| Some(with(warm, 3.max(warm), NodeState::Pulling))),
        Just(Some(with(1, 3, NodeState::Failed))),
    ]
}

proptest! {
    /// Through any history of one node: it is freed once, not before its images are there or its time is over, and not after that.
    #[test]
    fn no_node_is_freed_too_early_or_too_late(
        timeouts in prop::collection::vec(1..400_i64, 0..3),
        history in prop::collection::vec((1..60_i64, prop::collection::vec(states(), 3), any::<bool>()), 1..40),
    ) {
        let longest = timeouts.iter().copied().max().unwrap_or(NodeGate::DEFAULT_TIMEOUT.as_secs());
        let mut now = 0;
        for (step, warmth, is_ready) in history {
            now += step;
            let node = node(is_ready.then_some(now - step));
            let lists: Vec<(NodeGate, Option<NodeWarmth>)> =
                timeouts.iter().zip(warmth).map(|(timeout, warmth)| (gate(*timeout), warmth)).collect();
            let cold = || lists.iter().filter(|(_, it)| it.as_ref().is_some_and(|it| !it.is_warm()));
            match decision(&node, &lists, now) {
                NodeDecision::Waits { until } => {
                    prop_assert!(at(now) < until && until <= at(longest), "{now} {longest} {until}");
                }
                NodeDecision::Free(Freed::Warm) => prop_assert!(cold().count() == 0 && lists.iter().any(|(_, it)| it.is_some())),
                NodeDecision::Free(Freed::NotNeeded) => prop_assert!(lists.iter().all(|(_, it)| it.is_none())),
                NodeDecision::Free(Freed::TimedOut { lists: named }) => {
                    prop_assert!(cold().all(|(gate, _)| gate.timeout.as_secs() <= now));
                    prop_assert_eq!(named.len(), cold().count());
                }
            }
            if now >= longest {
                prop_assert!(matches!(decision(&node, &lists, now), NodeDecision::Free(_)));
            }
        }
    }

    /// A condition that says what it should is not written, and one that does not is written in the end.
    #[test]
    fn a_condition_is_written_only_if_it_changes(first in states(), second in states(), later in 0..1000_i64) {
        let wanted = |warmth: &NodeWarmth| WantedCondition {
            is_warm: warmth.is_warm(),
            reason: reason(warmth),
            message: format!("{} of {}", warmth.warm, warmth.images),
        };
        let (first, second) = (wanted(&first.unwrap_or_default()), wanted(&second.unwrap_or_default()));
        prop_assert_eq!(due(None, &first, at(0)), ConditionWrite::Now);
        let current = written(&first, 0);
        match due(Some(&current), &second, at(later)) {
            ConditionWrite::Nothing => prop_assert_eq!(first, second),
            ConditionWrite::Now => prop_assert_ne!(first, second),
            ConditionWrite::At(then) => {
                prop_assert!(at(later) < then && then <= at(0) + STALE);
                prop_assert_eq!(due(Some(&current), &second, then), ConditionWrite::Now);
            }
        }
    }
}

fn written(wanted: &WantedCondition, seconds: i64) -> ImagesReady {
    ImagesReady {
        is_true: wanted.is_warm,
        reason: wanted.reason.into(),
        message: wanted.message.as_str().into(),
        written_at: Some(at(seconds)),
    }
}

#[test]
fn a_node_that_becomes_warm_is_written_at_once_and_one_that_flaps_once_a_minute() {
    let of = |is_warm, reason, message: &str| WantedCondition { is_warm, reason, message: message.to_owned() };
    let (warming, warm) = (of(false, "Warming", "0 of 1"), of(true, "Warm", "1 image held"));
    assert_eq!(due(Some(&written(&warming, 0)), &warm, at(1)), ConditionWrite::Now);
    assert_eq!(due(Some(&written(&warm, 0)), &warming, at(1)), ConditionWrite::At(at(0) + PAUSE));
    assert_eq!(due(Some(&written(&warm, 0)), &warming, at(60)), ConditionWrite::Now);
    let other_message = of(false, "Warming", "1 of 2");
    assert_eq!(due(Some(&written(&warming, 0)), &other_message, at(61)), ConditionWrite::At(at(0) + STALE));
    assert_eq!(due(Some(&written(&warm, 90)), &warming, at(1)), ConditionWrite::Now, "the clock was set back");
}

/// How far the list of `summary::tests::world` is on these nodes.
fn measured(gate: &NodeGate, nodes: &[Node], pods: &[Pod]) -> BTreeMap<String, NodeWarmth> {
    let mut coverage = Coverage::default();
    pods.iter().for_each(|pod| coverage.apply(&pod.as_sent()));
    let mut config = world::config();
    config.set_node_gate(Some(gate.clone()));
    let nodes: NodeSet = nodes.iter().cloned().collect();
    let nodes: Vec<Arc<Node>> = nodes.iter().cloned().collect();
    let generations = world::generations();
    let input = SummaryInput {
        list: "tools",
        config: &config,
        generations: &generations,
        coverage: &coverage,
        nodes: Some(&nodes),
        now: "2026-03-01T12:10:00Z".parse().expect("a time"),
    };
    let warmth: HashMap<&str, NodeWarmth> = warmth::of_list(input, gate, &nodes);
    warmth.into_iter().map(|(node, warmth)| (node.to_owned(), warmth)).collect()
}

fn tainted(name: &str, keys: &[&str]) -> Node {
    let taint = |key: &&str| Taint { key: (*key).to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() };
    Node { taints: keys.iter().map(taint).collect(), ..world::node(name) }
}

#[test]
fn all_images_of_all_groups_for_the_node_count() {
    let pods = [Pod::new(1, 2, "n").with([Fate::Held; 2]), Pod::new(2, 3, "n").with([Fate::Held, Fate::Failed])];
    let found = measured(&gate(600), &[tainted("n", &[TAINT]), tainted("m", &[TAINT])], &pods);
    // `b` is in both groups, and held by the pod of one of them.
    assert_eq!((found["n"].images, found["n"].warm), (4, 4));
    assert_eq!((found["m"].images, found["m"].warm), (4, 0));
}

#[test]
fn only_images_that_the_gate_waits_for_count() {
    let pods = [Pod::new(1, 2, "n").with([Fate::Held, Fate::Pulling])];
    let of = |wait_for: &str| {
        let gate = NodeGate { wait_for: [wait_for.to_owned()].into(), ..gate(600) };
        measured(&gate, &[tainted("n", &[TAINT])], &pods)["n"].clone()
    };
    assert!(of("a").is_warm());
    assert_eq!((of("b").images, of("b").warm), (2, 0), "in two groups");
    assert_eq!(of("b").behind.map(|it| it.name).as_deref(), Some("b"));
}

#[test]
fn a_taint_that_the_groups_do_not_tolerate_excludes_them_unless_it_is_a_startup_taint() {
    let of = |key: &str| measured(&gate(600), &[tainted("n", &[TAINT, key])], &[]);
    assert!(!of("dedicated").contains_key("n"));
    for key in ["ebs.csi.aws.com/agent-not-ready", "node.cloudprovider.kubernetes.io/uninitialized"] {
        assert_eq!(of(key)["n"].images, 4, "{key}");
        assert!(!of(key)["n"].is_warm(), "{key}");
    }
}

#[test]
fn pods_of_a_former_node_of_the_same_name_count_once_the_kubelet_has_had_time_to_correct_them() {
    let pods = [Pod::new(1, 2, "n").with([Fate::Held; 2]), Pod::new(2, 3, "n").with([Fate::Held; 2])];
    let time = |time: &str| time.parse().ok();
    let of = |created: &str, ready: Option<&str>| {
        let node = Node { created: time(created), ready_since: ready.and_then(time), ..tainted("n", &[TAINT]) };
        measured(&gate(600), &[node], &pods)["n"].is_warm()
    };
    // The pods were created at 12:00:00, and it is 12:10:00.
    assert!(of("2026-03-01T11:59:00Z", None));
    assert!(of("2026-03-01T12:00:01Z", None), "the clocks of API servers differ");
    assert!(!of("2026-03-01T12:01:00Z", None));
    assert!(!of("2026-03-01T12:01:00Z", Some("2026-03-01T12:09:30Z")));
    assert!(of("2026-03-01T12:01:00Z", Some("2026-03-01T12:08:30Z")));
}

#[test]
fn a_node_on_which_a_gate_waits_for_nothing_is_none_of_its_business() {
    let gate = NodeGate { wait_for: ["a".to_owned()].into(), ..gate(600) };
    let mut elsewhere = tainted("n", &[TAINT]);
    elsewhere.labels = [("kubernetes.io/os".to_owned(), "linux".to_owned())].into();
    assert!(measured(&gate, &[elsewhere], &[]).is_empty(), "the group with that image is not for the node");
}

#[test]
fn a_warm_node_is_kept_until_it_has_its_labels_if_these_may_bring_another_group() {
    let (gate, warm) = (gate(600), with(2, 2, NodeState::Warm));
    let of = |may_grow, seconds| decide(&node(Some(5)), &[on_node(&gate, Some(&warm), may_grow)], at(seconds));
    assert_eq!(of(false, 6), NodeDecision::Free(Freed::Warm));
    assert!(matches!(of(true, 6), NodeDecision::Waits { until } if until == at(5) + LABELLING));
    assert_eq!(of(true, 25), NodeDecision::Free(Freed::Warm));
}

#[test]
fn a_startup_taint_that_comes_later_counts_no_image_twice() {
    let pods = [Pod::new(1, 2, "n").with([Fate::Held; 2]), Pod::new(2, 3, "n").with([Fate::Held; 2])];
    let later = tainted("n", &["ebs.csi.aws.com/agent-not-ready"]);
    assert_eq!(measured(&gate(600), &[later], &pods)["n"], with(4, 4, NodeState::Warm));
}

#[test]
fn only_the_taint_of_the_gate_is_removed_and_only_from_the_node_that_was_read() {
    let images = json!({"key": TAINT, "effect": "NoSchedule", "future": 1});
    let twice = json!({"key": TAINT, "value": "x", "effect": "NoExecute"});
    let other = json!({"key": "csi.example.com/agent-not-ready", "effect": "NoExecute"});
    let of = |taints: &[&Value]| {
        let taints: Vec<Value> = taints.iter().map(|it| (*it).clone()).collect();
        patch::removal("u", &taints, &key())
    };
    let patch = of(&[&images, &other, &twice]).expect("a patch");
    assert_eq!(patch[0], json!({"op": "test", "path": "/metadata/uid", "value": "u"}));
    assert_eq!(patch[1], json!({"op": "test", "path": "/spec/taints", "value": [images, other, twice]}));
    assert_eq!(patch[2], json!({"op": "replace", "path": "/spec/taints", "value": [other]}));
    assert_eq!(of(&[&images]).expect("a patch")[2], json!({"op": "remove", "path": "/spec/taints"}));
    assert_eq!(of(&[&other]), None);
}
