//! What a report says about clusters that are warm, half warm and broken, in all of its forms.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::rollout::{RolloutReport, RolloutState};
use super::{Filter, Layout, ListInput, ListState, Report, StatusInput, print};
use crate::coverage::{Coverage, Node, NodeSet, Sizes, SlimNode, SlimPod};
use crate::image_cache::Cache;
use crate::image_cache::ledger::{Entry, Ledger};
use crate::list::cache_platform::CachePlatform;
use crate::plan::Generation;
use crate::plan::generation::check_failure::{CheckFailure, CheckFailureCause};
use crate::plan::generation::placement_hash;
use crate::plan::generation::scheduled::Scheduled;
use crate::summary::node_state::NodeState;
use crate::summary::tests::world::{Fate, LIST, Life, Pod, config, config_of, generations, node};

fn input(pods: &[Pod], nodes: Option<Vec<Node>>) -> (StatusInput, Coverage) {
    facts_of(&pods.iter().map(Pod::as_sent).collect::<Vec<_>>(), nodes)
}

fn facts_of(pods: &[SlimPod], nodes: Option<Vec<Node>>) -> (StatusInput, Coverage) {
    let mut coverage = Coverage::default();
    pods.iter().for_each(|pod| coverage.apply(pod));
    let list = ListInput {
        name: "tools".to_owned(),
        state: ListState::Accepted,
        problems: Vec::new(),
        resource_version: None,
        refresh_request: None,
        data_hash: None,
        accepted_at: Some("2026-03-01T11:30:00Z".parse().expect("a time")),
        config: Some(Arc::new(config())),
        generations: begun(generations()),
        image_caches: Vec::new(),
        ledger: None,
    };
    let input = StatusInput {
        namespace: "prepull".to_owned(),
        lists: vec![list],
        nodes: nodes.map(NodeSet::from_iter),
        sizes: Sizes::default(),
        now: "2026-03-01T12:10:00Z".parse().expect("a time"),
    };
    (input, coverage)
}

/// The generations of [`input`], made ten minutes apart.
fn begun(mut generations: Vec<Generation>) -> Vec<Generation> {
    for (index, generation) in generations.iter_mut().enumerate() {
        let epoch = Timestamp::from_second(BEGUN + 600 * i64::try_from(index).expect("few")).expect("a time");
        generation.record.as_mut().expect("a record").epoch = epoch;
    }
    generations
}

/// 2026-03-01T11:30:00Z, when the first generation began.
const BEGUN: i64 = 1_772_364_600;

/// All pods of the newest generations, with requests as controllers write them.
pub(crate) fn warm() -> (StatusInput, Coverage) {
    let nodes = ["n0", "n1", "n2"];
    let pods = nodes.iter().enumerate().flat_map(|(index, name)| {
        [2, 3].map(|generation| {
            Pod::new(10 * index + generation, generation, name).with([Fate::Held, Fate::Held]).as_sent()
        })
    });
    let mut pods: Vec<SlimPod> = pods.collect();
    for container in pods.iter_mut().flat_map(|pod| &mut pod.spec.containers) {
        (container.resources.requests.cpu, container.resources.requests.memory) = ("1m".to_owned(), "1Mi".to_owned());
    }
    let (mut input, coverage) = facts_of(&pods, Some(nodes.map(node).to_vec()));
    let list = &mut input.lists[0];
    list.generations.retain(|generation| generation.revision() > 2);
    list.generations[0].tag_check_record.last_attempt = Some("2026-03-01T12:05:00Z".parse().expect("a time"));
    input.sizes.apply(&node_with_image("docker.io/library/a@sha256:3", 197_132_288));
    (input, coverage)
}

fn node_with_image(name: &str, bytes: u64) -> SlimNode {
    let images = json!([{"names": [name], "sizeBytes": bytes}]);
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n0"}, "spec": {}, "status": {"images": images}});
    serde_json::from_value(node).expect("a node")
}

/// Nothing can be pulled, nodes are away, and the last edit was rejected.
pub(crate) fn broken() -> (StatusInput, Coverage) {
    const UNAUTHORIZED: &str = "Back-off pulling image \"a:1\": ErrImagePull: failed to pull and unpack image \"docker.io/library/a:1\": \
        failed to resolve reference \"docker.io/library/a:1\": unexpected status from HEAD request to \
        https://registry.example/v2/library/a/manifests/1: 401 Unauthorized";
    let pods = ["n0", "n1", "n2"].iter().enumerate().map(|(uid, name)| {
        let mut pod = Pod::new(uid, 2, name).with([Fate::Failed, Fate::Failed]).as_sent();
        for (index, status) in pod.status.iter_mut().flat_map(|status| &mut status.container_statuses).enumerate() {
            let waiting = status.state.waiting.get_or_insert_default();
            waiting.reason = if uid == 1 { "ErrImagePull" } else { "ImagePullBackOff" }.to_owned();
            waiting.message =
                if index == 0 { UNAUTHORIZED } else { "no match for platform in manifest: not found" }.to_owned();
        }
        pod
    });
    let mut nodes = ["n0", "n1", "n2", "n3", "n4"].map(node).to_vec();
    nodes[3].ready = false;
    nodes[4].unschedulable = true;
    let (mut input, coverage) = facts_of(&pods.collect::<Vec<_>>(), Some(nodes));
    let list = &mut input.lists[0];
    (list.state, list.problems) =
        (ListState::Rejected, vec!["images.yaml: images[0] (line 2): \"Bad\" is no reference".to_owned()]);
    let record = &mut list.generations[2].tag_check_record;
    record.last_attempt = Some("2026-03-01T12:05:00Z".parse().expect("a time"));
    record.retry_at = Some("2026-03-01T12:12:00Z".parse().expect("a time"));
    let failure = CheckFailure::new(CheckFailureCause::PullFailed, "401 Unauthorized");
    record.failed.insert("a".to_owned(), Some(failure));
    (input, coverage)
}

/// A first install whose own image cannot be pulled.
pub(crate) fn first_install() -> (StatusInput, Coverage) {
    let nodes = ["n0", "n1"];
    let pods = nodes.iter().enumerate().flat_map(|(index, name)| {
        [2, 3].map(|generation| Pod { life: Life::InitFailing, ..Pod::new(10 * index + generation, generation, name) })
    });
    let (mut input, coverage) = input(&pods.collect::<Vec<_>>(), Some(nodes.map(node).to_vec()));
    input.lists[0].generations.retain(|generation| generation.revision() > 2);
    (input, coverage)
}

pub(crate) fn report((input, coverage): &(StatusInput, Coverage)) -> Report {
    Report::new(input, coverage)
}

pub(crate) fn half_warm() -> (StatusInput, Coverage) {
    let pods = [
        Pod::new(1, 2, "n0").with([Fate::Held, Fate::Held]),
        Pod::new(2, 2, "n1").with([Fate::Held, Fate::Failed]),
        Pod { life: Life::NoCapacity, ..Pod::new(3, 2, "n2") },
        Pod::new(4, 3, "n0").with([Fate::Held, Fate::Held]),
        Pod::new(5, 3, "n1").with([Fate::Crashed, Fate::Failed]),
        Pod::new(6, 3, "n2").with([Fate::Pulling, Fate::Pulling]),
    ];
    let (mut input, coverage) = input(&pods, Some(["n0", "n1", "n2"].map(node).to_vec()));
    input.lists[0].image_caches = vec![image_cache(1, "Ready", "100%"), image_cache(2, "Creating", "40%")];
    let current = Entry { content: "2".to_owned(), serial: 2, ..Entry::default() };
    let ledger = Ledger { serial: 2, entries: vec![current], ..Ledger::default() };
    input.lists[0].ledger = Some(Ledger::of_all([(Some(CachePlatform::LinuxArm64), ledger)].into_iter()));
    (input, coverage)
}

fn image_cache(serial: u32, phase: &str, progress: &str) -> Cache {
    let made = json!({"content": serial.to_string(), "platform": "linux/arm64", "serial": serial}).to_string();
    let labels = json!({"app.kubernetes.io/managed-by": "kube-prepull", "kube-prepull.io/list": "tools"});
    let status = json!({
        "phase": phase, "progress": progress, "imageCacheId": format!("imc-{serial}"), "expireDateTime": "2026-03-08T12:00:00Z",
    });
    let object = json!({
        "metadata": {"name": format!("prepull-tools-{serial}"), "uid": serial.to_string(), "labels": labels,
            "annotations": {"kube-prepull.io/made-from": made}},
        "spec": {"images": ["a:1", "b:1"]},
        "status": status,
    });
    Cache::from_object(&serde_json::from_value(object).expect("an ImageCache")).expect("one of a list")
}

/// Two of three nodes verify credentials, and the group `q` has pull secrets.
pub(crate) fn verified() -> (StatusInput, Coverage) {
    let (mut input, coverage) = warm();
    let nodes = [("n0", true), ("n1", false), ("n2", true)];
    input.nodes =
        Some(nodes.map(|(name, verifies)| Node { verifies_credentials: verifies, ..node(name) }).into_iter().collect());
    with_pull_secrets(&mut input, "q", "imagePullSecrets: [registry, nvcr], ");
    (input, coverage)
}

/// Adds pull secrets to a group of the list.
fn with_pull_secrets(input: &mut StatusInput, group: &str, secrets: &str) {
    let begin = format!("{{name: {group}, ");
    let config = config_of(&LIST.replace(&begin, &format!("{begin}{secrets}")));
    input.lists[0].config = Some(Arc::new(config));
}

fn printed(report: &Report) -> String {
    laid_out(report, Layout::default())
}

fn laid_out(report: &Report, layout: Layout) -> String {
    let mut output = anstream::StripStream::new(Vec::new());
    print(report, layout, &mut output).expect("a vector takes everything");
    String::from_utf8(output.into_inner()).expect("UTF-8")
}

const TERMINAL: Layout = Layout { width: Some(100), bars: true, wide: false, named: false };

#[test]
fn people_see_what_is_behind_and_why() {
    insta::assert_snapshot!(printed(&report(&half_warm())));
}

#[test]
fn a_cluster_that_is_warm() {
    insta::assert_snapshot!(laid_out(&report(&warm()), TERMINAL));
}

#[test]
fn a_cluster_that_is_half_warm() {
    insta::assert_snapshot!(laid_out(&report(&half_warm()), TERMINAL));
}

#[test]
fn a_cluster_that_is_broken() {
    insta::assert_snapshot!(laid_out(&report(&broken()), TERMINAL));
    insta::assert_snapshot!(laid_out(&report(&broken()), Layout { wide: true, ..TERMINAL }));
}

/// Three lists: one that is warm, one that is half warm and one that is rejected.
fn several() -> Report {
    let mut several = report(&warm());
    for (name, world) in [("half", half_warm()), ("wrong", warm())] {
        let mut list = report(&world).lists.swap_remove(0);
        list.name = name.into();
        several.lists.push(list);
    }
    several.lists[2].state = ListState::Rejected;
    several.lists[2].problems = vec!["Invalid images.yaml: images[0] 1: no image; write one".into()];
    several
}

#[test]
fn several_lists_begin_with_a_line_each_the_worst_first_and_those_that_are_warm_have_no_more() {
    let printed = laid_out(&several(), TERMINAL);
    let begin: Vec<&str> =
        printed.lines().take(4).map(|line| line.split_whitespace().next().unwrap_or_default()).collect();
    assert_eq!(begin, ["LIST", "prepull/wrong", "prepull/half", "prepull/tools"]);
    insta::assert_snapshot!(printed.lines().take(4).collect::<Vec<_>>().join("\n"));
    assert!(printed.contains("\nprepull/wrong: rejected") && printed.contains("\nprepull/half: accepted"), "{printed}");
    assert!(!printed.contains("\nprepull/tools: accepted"), "{printed}");
    for layout in [Layout { named: true, ..TERMINAL }, Layout { wide: true, ..TERMINAL }] {
        assert!(laid_out(&several(), layout).contains("\nprepull/tools: accepted"));
    }
}

#[test]
fn a_first_install_whose_own_image_cannot_be_pulled() {
    insta::assert_snapshot!(laid_out(&report(&first_install()), Layout { width: Some(80), ..TERMINAL }));
}

#[test]
fn programs_see_which_pods_cannot_start_and_that_their_rollout_is_not_complete() {
    let report = serde_json::to_value(report(&first_install())).expect("JSON");
    let group = &report["lists"][0]["groups"][0];
    assert_eq!(group["rollout"]["complete"], false);
    let image = &group["images"][0];
    assert_eq!((&image["nodes"]["initFailed"], &image["nodes"]["total"]), (&json!(2), &json!(2)));
    let behind = &image["behind"][0];
    assert_eq!((&behind["state"], &behind["reason"]), (&json!("initFailed"), &json!("ImagePullBackOff")));
    let cause = behind["cause"].as_str().expect("a cause");
    assert!(cause.starts_with("kube-prepull's own image registry.example/kp:1 cannot be pulled: 401"), "{cause}");
    let remedy = behind["remedy"].as_str().expect("a remedy");
    assert!(remedy.starts_with("give the ServiceAccount holder a pull secret"), "{remedy}");
}

#[test]
fn a_pull_that_the_node_holds_back_is_pulling_with_the_cause() {
    let mut pod = Pod::new(1, 2, "n0").with([Fate::Held, Fate::Failed]).as_sent();
    let held_back = pod.status.iter_mut().flat_map(|status| &mut status.container_statuses).nth(1);
    let waiting = held_back.and_then(|status| status.state.waiting.as_mut()).expect("a container that waits");
    "pull QPS exceeded".clone_into(&mut waiting.message);
    let report = report(&facts_of(&[pod], Some(vec![node("n0")])));
    let behind = &report.lists[0].groups[0].images[1].behind[0];
    assert_eq!((behind.state, behind.reason.as_deref()), (NodeState::Pulling, Some("ErrImagePull")));
    let printed = laid_out(&report, TERMINAL);
    assert!(
        printed.contains("1 node: pulling: the node's kubelet limits its own pulls (registryPullQPS)"),
        "{printed}"
    );
    assert!(!printed.contains("ErrImagePull"), "nothing has failed: {printed}");
    assert_eq!(behind.remedy, None, "nothing has to be done yet");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for (width, input) in (40..120).flat_map(|width| {
        [(width, warm()), (width, half_warm()), (width, broken()), (width, first_install()), (width, verified())]
    }) {
        let printed = laid_out(&report(&input), Layout { width: Some(width), ..TERMINAL });
        // Words are not broken: a reference that is cut in two cannot be copied.
        let wider = printed.lines().find(|line| line.chars().count() > width && line.split_whitespace().count() > 2);
        assert_eq!(wider, None, "at {width} columns");
    }
}

#[test]
fn programs_see_the_same_as_numbers() {
    let report = serde_json::to_value(report(&half_warm())).expect("JSON");
    assert_eq!((&report["version"], &report["warm"], &report["nodesKnown"]), (&json!(1), &json!(false), &json!(true)));
    let image = &report["lists"][0]["groups"][0]["images"][1];
    assert_eq!(image["reference"], "b:1");
    assert_eq!(image["nodes"]["total"], 3);
    let of = |state: &str| image["nodes"][state].clone();
    assert_eq!([of("warm"), of("failed"), of("noCapacity"), of("pulling")], [1, 1, 0, 1].map(Value::from));
    assert_eq!(image["digests"], json!({"amd64": {"sha256:3": 1, "sha256:4": 1}}));
    let behind =
        json!({"state": "failed", "reason": "ErrImagePull", "message": "401", "cause": "401", "nodes": ["n1"]});
    assert_eq!(image["behind"][0], behind);
}

#[test]
fn programs_see_rollouts_refreshes_and_what_is_reserved() {
    let (mut input, coverage) = half_warm();
    let record = &mut input.lists[0].generations[2].tag_check_record;
    record.last_attempt = Some("2026-03-01T12:05:00Z".parse().expect("a time"));
    let failure = CheckFailure::new(CheckFailureCause::PullFailed, "429 Too Many Requests");
    record.failed.insert("b".to_owned(), Some(failure));
    let report = serde_json::to_value(Report::new(&input, &coverage)).expect("JSON");
    let group = &report["lists"][0]["groups"][0];
    assert_eq!(
        group["rollout"],
        json!({
            "generation": "p-3", "startedAt": "2026-03-01T11:50:00Z", "startDelaysEndAt": "2026-03-01T11:50:00Z", "spreadSeconds": 0,
            "complete": false, "state": "inProgress", "nodes": 3, "nodesWithAll": 1,
        })
    );
    assert_eq!(
        group["refresh"],
        json!({
            "mode": "OnChange", "schedule": "every 1h", "due": false, "nextAt": "2026-03-01T12:50:00Z",
            "lastCheckAt": "2026-03-01T12:05:00Z", "lastSuccessAt": "2026-03-01T11:50:00Z", "outcome": "deferred",
            "deferred": [{"name": "b", "reference": "b:1", "reason": "429 Too Many Requests"}],
        })
    );
    let nothing = json!({"cpuMillis": 0, "memoryBytes": 0});
    assert_eq!(group["requests"], json!({"perNode": nothing, "total": nothing}));
    assert_eq!(group["images"][0]["sizeBytes"], Value::Null, "unknown");
}

/// The rollout of the group `p`, and its line in the table.
fn rollout_of((mut input, coverage): (StatusInput, Coverage), only_newest: bool) -> (RolloutReport, String) {
    input.lists[0].generations.retain(|generation| generation.name == "p-3" || !only_newest);
    let report = Report::new(&input, &coverage);
    let table = printed(&report);
    let line = table.lines().find(|line| line.starts_with("group p:")).expect("the group").to_owned();
    (report.lists[0].groups[0].rollout.clone().expect("a rollout"), line)
}

#[test]
fn a_rollout_is_complete_when_nothing_older_is_left_and_all_nodes_have_all_images() {
    let on = |uid, node: &str, b| Pod::new(uid, 2, node).with([Fate::Held, b]);
    let nodes = || Some(["n0", "n1"].map(node).to_vec());
    for (b, state, words) in [
        ([Fate::Held, Fate::Held], RolloutState::Complete, "started 20m ago, complete"),
        ([Fate::Held, Fate::Pulling], RolloutState::InProgress, "in progress"),
        ([Fate::Failed, Fate::Pulling], RolloutState::InProgress, "in progress"),
        ([Fate::Held, Fate::Failed], RolloutState::Stalled, "stalled: 1 of 2 nodes has all images"),
        ([Fate::Failed, Fate::Crashed], RolloutState::Stalled, "stalled: 0 of 2 nodes have all images"),
    ] {
        let (rollout, line) = rollout_of(input(&[on(1, "n0", b[0]), on(2, "n1", b[1])], nodes()), true);
        assert_eq!((rollout.state, rollout.complete), (state, state == RolloutState::Complete), "{b:?}");
        assert!(line.ends_with(words), "{line}");
    }
    let all_held = || [on(1, "n0", Fate::Held), on(2, "n1", Fate::Held)];
    assert_eq!(
        rollout_of(input(&all_held(), nodes()), false).0.state,
        RolloutState::InProgress,
        "an older one is left"
    );
}

#[test]
fn a_rollout_is_not_complete_where_nothing_is_warm() {
    let pod = |life| Pod { life, ..Pod::new(1, 2, "n0") };
    let one_node = |pods: &[Pod]| input(pods, Some(vec![node("n0")]));
    let not_ready = Node { ready: false, ..node("n0") };
    for (what, input, words) in [
        ("no capacity", one_node(&[pod(Life::NoCapacity)]), "stalled: 0 of 1 node have all images"),
        ("unschedulable", one_node(&[pod(Life::Excluded)]), "stalled: 0 of 1 node have all images"),
        ("evicted", one_node(&[pod(Life::Evicted)]), "stalled: 0 of 1 node have all images"),
        ("no pod", one_node(&[]), "stalled: 0 of 1 node have all images"),
        ("not ready", input(&[pod(Life::Live)], Some(vec![not_ready])), "no node counts"),
        ("no node", input(&[], Some(Vec::new())), "no node counts"),
    ] {
        let (rollout, line) = rollout_of(input, true);
        assert!(!rollout.complete, "{what}");
        assert!(line.ends_with(words), "{what}: {line}");
    }
}

#[test]
fn without_nodes_a_rollout_is_not_complete_before_the_daemon_set_has_all_pods() {
    let state = |pods: &[Pod], complete: Option<bool>| {
        let (mut input, coverage) = input(pods, None);
        for generation in &mut input.lists[0].generations {
            generation.scheduled = complete.map(|complete| Scheduled { desired: 2, misscheduled: 0, complete });
        }
        rollout_of((input, coverage), true).0.state
    };
    let held = [Pod::new(1, 2, "n0").with([Fate::Held, Fate::Held])];
    assert_eq!(state(&held, Some(false)), RolloutState::InProgress);
    assert_eq!(state(&held, Some(true)), RolloutState::Complete);
    assert_eq!(state(&[], None), RolloutState::InProgress, "the DaemonSet controller has not processed it");
    assert_eq!(state(&[], Some(true)), RolloutState::NoNodes);
}

/// Two nodes that admission excludes, and one that waits for its pod.
pub(crate) fn excluded() -> (StatusInput, Coverage) {
    const SELECTOR: &[(&str, &str)] = &[("node-role.kubernetes.io/worker", "")];
    let excluded = |uid, node: &str| Pod {
        life: Life::Excluded,
        selector: SELECTOR,
        created: "2026-03-01T12:09:50Z",
        ..Pod::new(uid, 2, node)
    };
    let mut worker = node("n2");
    worker.labels.insert("node-role.kubernetes.io/worker".to_owned(), String::new());
    let (mut input, coverage) =
        input(&[excluded(1, "n0"), excluded(2, "n1")], Some(vec![node("n0"), node("n1"), worker]));
    let list = &mut input.lists[0];
    list.generations.retain(|generation| generation.name == "p-3" || generation.name == "q-4");
    list.generations[0].placement = Some(placement_hash(&config().groups[0].placement));
    (input, coverage)
}

#[test]
fn nodes_that_wait_for_their_pod_or_are_excluded_at_80_columns() {
    insta::assert_snapshot!(laid_out(&report(&excluded()), Layout { width: Some(80), ..TERMINAL }));
}

#[test]
fn a_rollout_is_about_all_nodes_and_images_whatever_is_shown() {
    let on = |uid, node: &str, b| Pod::new(uid, 2, node).with([Fate::Held, b]);
    let pods = [on(1, "n0", Fate::Held), on(2, "n1", Fate::Failed)];
    let (mut input, coverage) = input(&pods, Some(["n0", "n1"].map(node).to_vec()));
    input.lists[0].generations.retain(|generation| generation.name == "p-3");
    let shown = |images: &[&str], nodes: &[&str]| {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let filter = Filter { images: texts(images), nodes: texts(nodes).into_iter().collect() };
        let report = Report::of(&[(&input, &coverage)], &filter);
        report.lists[0].groups[0].rollout.clone().expect("a rollout").state
    };
    assert_eq!([shown(&["a:1"], &[]), shown(&[], &["n0"])], [RolloutState::Stalled; 2]);
}

#[test]
fn a_list_is_warm_only_if_it_is_accepted_and_nothing_is_behind() {
    let held = |uid, generation| Pod::new(uid, generation, "n0").with([Fate::Held, Fate::Held]);
    let mut input = input(&[held(1, 2), held(2, 3)], Some(vec![node("n0")]));
    assert!(report(&input).warm);
    input.0.lists[0].problems = vec!["images[0]: a has no tag".to_owned()];
    assert!(printed(&report(&input)).contains("\n  warning: images[0]: a has no tag"));
    input.0.lists[0].state = ListState::Rejected;
    input.0.lists[0].problems = vec!["images[0]: no such\u{1b}[31m thing".to_owned()];
    let report = report(&input);
    assert!(!report.warm);
    let printed = printed(&report);
    assert!(printed.contains("rejected; the version accepted at 2026-03-01T11:30:00Z stays in effect"), "{printed}");
    assert!(printed.contains("problem: images[0]: no such thing"), "control characters stay out: {printed}");
}

#[test]
fn a_list_of_which_no_version_was_accepted_claims_none_to_be_in_effect() {
    let mut input = input(&[], Some(vec![node("n0")]));
    let list = &mut input.0.lists[0];
    (list.state, list.config, list.accepted_at, list.generations) = (ListState::Rejected, None, None, Vec::new());
    let rejected = printed(&report(&input));
    assert_eq!(rejected.lines().next(), Some("prepull/tools: rejected; no version of it was accepted before"));
    input.0.lists[0].state = ListState::Empty;
    let empty = report(&input);
    assert!(empty.warm, "nothing is behind");
    assert_eq!(printed(&empty).lines().next(), Some("prepull/tools: no images yet: nothing to do until you add some"));
    assert_eq!(serde_json::to_value(&empty).expect("JSON")["lists"][0]["state"], "empty");
}

#[test]
fn people_see_which_pull_secrets_workloads_need_and_on_how_many_nodes() {
    let note = "  note: nodes with Kubernetes 1.35 or later verify image pull credentials: give workloads the same pull secrets as group q \
                (registry, nvcr; 2 such nodes); see docs/private-images.md";
    let second = |report: &Report| printed(report).lines().nth(1).map(str::to_owned);
    assert_eq!(second(&report(&verified())).as_deref(), Some(note));
    let (input, coverage) = verified();
    let on = |node: &str| Filter { nodes: [node.to_owned()].into(), ..Filter::default() };
    let on_n0 = second(&Report::of(&[(&input, &coverage)], &on("n0"))).expect("a line");
    assert!(on_n0.contains("; 1 such node)"), "{on_n0}");
    assert!(!printed(&Report::of(&[(&input, &coverage)], &on("n1"))).contains("note"));
}

#[test]
fn programs_see_pull_secrets_only_of_groups_with_nodes_that_verify_them() {
    let of = |(input, coverage): &(StatusInput, Coverage)| {
        let report = serde_json::to_value(Report::new(input, coverage)).expect("JSON");
        [0, 1].map(|group| report["lists"][0]["groups"][group]["credentialVerification"].clone())
    };
    let mut world = verified();
    assert_eq!(of(&world), [Value::Null, json!({"nodes": 2, "pullSecrets": ["registry", "nvcr"]})]);
    world.0.nodes = Some(["n0", "n1", "n2"].map(node).into_iter().collect());
    assert_eq!(of(&world), [Value::Null, Value::Null], "older kubelets");
    world.0.nodes = None;
    assert_eq!(of(&world), [Value::Null, Value::Null], "nodes are not known");
    let (mut world, coverage) = verified();
    with_pull_secrets(&mut world, "q", "");
    assert_eq!(of(&(world, coverage)), [Value::Null, Value::Null], "no pull secrets");
}

#[test]
fn without_nodes_it_says_so() {
    let report = report(&input(&[Pod::new(1, 2, "n0")], None));
    assert!(!report.nodes_known);
    assert!(printed(&report).contains("Not allowed to list nodes"));
}
