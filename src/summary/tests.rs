//! What a summary says about single nodes.

mod recount;
mod shards;
pub mod world;

use jiff::Timestamp;
use world::{Fate, Life, Pod, generations, node, summed_up, summed_up_of, taint};

use super::node_state::NodeState;
use super::{Behind, ImageSummary};
use crate::coverage::{Coverage, Node};
use crate::plan::Generation;
use crate::plan::generation::alteration::Alteration;
use crate::plan::generation::conditions::{Condition, Extent, ReportedCondition, StoredCause};
use crate::plan::generation::placement_hash;
use crate::plan::generation::scheduled::Scheduled;

fn covering(pods: &[Pod]) -> Coverage {
    let mut coverage = Coverage::default();
    pods.iter().for_each(|pod| coverage.apply(&pod.as_sent()));
    coverage
}

/// Inspects the image `b:1` of the group `p`.
fn inspect_image<T>(pods: &[Pod], nodes: Option<&[Node]>, inspect: impl FnOnce(ImageSummary) -> T) -> T {
    summed_up(&covering(pods), nodes, |summary| {
        let group = summary.groups().next().expect("the group p");
        inspect(group.images().nth(1).expect("the image b"))
    })
}

fn states(pods: &[Pod], nodes: &[Node]) -> Vec<(String, NodeState)> {
    inspect_image(pods, Some(nodes), |image| image.nodes.iter().map(|it| (it.node.to_owned(), it.state)).collect())
}

fn only_state(pods: &[Pod], node: Node) -> NodeState {
    let states = states(pods, &[node]);
    assert_eq!(states.len(), 1, "{states:?}");
    states[0].1
}

fn p3(fate: Fate) -> Pod {
    Pod::new(1, 2, "n").with([Fate::Held, fate])
}

#[test]
fn an_image_is_warm_where_any_generation_of_any_group_holds_it_in_any_spelling() {
    let other_group = Pod::new(2, 3, "n").with([Fate::Pulling, Fate::Held]);
    inspect_image(&[p3(Fate::Failed), other_group], Some(&[node("n")]), |image| {
        assert_eq!(image.nodes[0].state, NodeState::Warm);
        let held: Vec<_> = image.nodes[0].held.iter().map(|held| (held.generation, held.digest)).collect();
        assert_eq!(held, [("q-4", Some("sha256:4"))]);
        assert_eq!(image.digests(), [(Some("amd64"), [("sha256:4", 1)].into())].into());
    });
}

#[test]
fn what_an_older_generation_holds_and_the_newest_cannot_is_warm_and_reported_with_the_reason() {
    let kept = |newest: Fate| {
        let pods = [Pod::new(1, 0, "n").with([Fate::Held, Fate::Held]), Pod::new(2, 2, "n").with([newest, Fate::Held])];
        summed_up(&covering(&pods), Some(&[node("n")]), |summary| {
            let group = summary.groups().next().expect("the group p");
            let image = group.images().next().expect("the image a");
            assert_eq!(image.nodes[0].state, NodeState::Warm);
            image.kept().into_iter().map(|kept| (kept.state, kept.nodes.len())).collect::<Vec<_>>()
        })
    };
    assert_eq!(kept(Fate::Failed), [(NodeState::Failed, 1)]);
    assert_eq!(kept(Fate::Crashed), [(NodeState::CannotStart, 1)]);
    for newest in [Fate::Held, Fate::Pulling, Fate::Waiting] {
        assert_eq!(kept(newest), [], "{newest:?}");
    }
}

#[test]
fn what_the_newest_pod_with_the_image_says_is_its_state() {
    for (fate, expected) in [
        (Fate::Held, NodeState::Warm),
        (Fate::Pulling, NodeState::Pulling),
        (Fate::Waiting, NodeState::Waiting),
        (Fate::Failed, NodeState::Failed),
        (Fate::Crashed, NodeState::CannotStart),
    ] {
        assert_eq!(only_state(&[p3(fate)], node("n")), expected);
    }
}

#[test]
fn a_pod_that_is_missing_or_evicted_or_has_no_capacity_is_distinguished() {
    assert_eq!(only_state(&[], node("n")), NodeState::Displaced);
    let evicted = Pod { life: Life::Evicted, ..p3(Fate::Held) };
    assert_eq!(only_state(std::slice::from_ref(&evicted), node("n")), NodeState::Displaced);
    let pending = Pod { uid: 9, life: Life::NoCapacity, ..p3(Fate::Waiting) };
    assert_eq!(only_state(&[evicted, pending.clone()], node("n")), NodeState::NoCapacity);
    inspect_image(&[pending], Some(&[node("n")]), |image| {
        let why = image.nodes[0].why.expect("a reason");
        assert_eq!((why.reason, why.message), ("Unschedulable", "Too many pods"));
    });
}

/// The state and the reason of the image `b:1` of the group `p` on the node, with a newest generation that is changed so.
fn without_pod(pods: &[Pod], node: Node, change: impl Fn(&mut Generation)) -> (NodeState, String) {
    let mut generations = generations();
    generations.iter_mut().for_each(change);
    summed_up_of(&generations, &covering(pods), Some(&[node]), |summary| {
        let group = summary.groups().next().expect("the group p");
        let image = group.images().nth(1).expect("the image b");
        let on = image.nodes.iter().find(|it| it.node == "n").expect("the node");
        (on.state, on.why.map_or_else(String::new, |why| why.reason.to_owned()))
    })
}

fn at(time: &str) -> Option<Timestamp> {
    Some(time.parse().expect("a time"))
}

#[test]
fn a_pod_that_cannot_have_come_yet_is_not_missing() {
    let not_created = (NodeState::Waiting, "PodNotCreated".to_owned());
    let missing = (NodeState::Displaced, "Missing".to_owned());
    let created = |time: &str| {
        let time = at(time);
        move |generation: &mut Generation| generation.created = time
    };
    // It is 12:10.
    let (just_now, long_ago) = ("2026-03-01T12:09:00Z", "2026-03-01T11:00:00Z");
    assert_eq!(without_pod(&[], node("n"), created(just_now)), not_created, "the DaemonSet is new");
    assert_eq!(without_pod(&[], node("n"), created(long_ago)), missing);
    let joined = Node { created: at(just_now), ..node("n") };
    assert_eq!(without_pod(&[], joined, created(long_ago)), not_created, "the node has just joined");
    let elsewhere = Pod { created: just_now, ..Pod::new(1, 2, "m") };
    assert_eq!(without_pod(&[elsewhere], node("n"), created(long_ago)), not_created, "pods keep coming");
    let scheduled = |complete| {
        move |generation: &mut Generation| {
            generation.created = at(long_ago);
            generation.scheduled = Some(Scheduled { desired: 1, misscheduled: 0, complete });
        }
    };
    assert_eq!(without_pod(&[], node("n"), scheduled(true)), not_created, "the DaemonSet controller has yet to see it");
    assert_eq!(without_pod(&[], node("n"), scheduled(false)), missing);
    let leaving = Pod { deleting: true, ..p3(Fate::Held) };
    assert_eq!(without_pod(&[leaving], node("n"), scheduled(false)), not_created, "the pod is being replaced");
    let refused = |generation: &mut Generation| {
        generation.created = at(just_now);
        let extents = [(String::new(), Extent::default())].into();
        let reported = ReportedCondition { at: Timestamp::UNIX_EPOCH, extents };
        generation.reported.conditions.insert(Condition::PodsRefused, reported);
    };
    assert_eq!(without_pod(&[], node("n"), refused), missing, "the controller has reported it");
}

#[test]
fn a_node_that_admission_excludes_is_not_short_of_capacity() {
    let built_for_p = |generation: &mut Generation| {
        generation.placement = Some(placement_hash(&world::config().groups[0].placement));
        generation.created = at("2026-03-01T11:00:00Z");
    };
    const SELECTOR: &[(&str, &str)] = &[("zone", "p"), ("tier", "web")];
    let waiting = Pod { life: Life::Excluded, selector: SELECTOR, ..p3(Fate::Waiting) };
    let excluded = (NodeState::Excluded, "NodeSelector".to_owned());
    assert_eq!(without_pod(std::slice::from_ref(&waiting), node("n"), built_for_p), excluded);
    // OpenShift's DaemonSet controller creates no pod for it.
    let elsewhere = Pod { selector: SELECTOR, ..Pod::new(2, 2, "m") };
    assert_eq!(without_pod(std::slice::from_ref(&elsewhere), node("n"), built_for_p), excluded);
    let mut matching = node("n");
    matching.labels.insert("tier".to_owned(), "web".to_owned());
    assert_eq!(without_pod(&[elsewhere], matching, built_for_p).1, "Missing");
    let unschedulable = (NodeState::Unschedulable, "Unschedulable".to_owned());
    let own = Pod { selector: &[("zone", "p")], ..waiting.clone() };
    assert_eq!(without_pod(&[own], node("n"), built_for_p), unschedulable, "admission added nothing");
    assert_eq!(without_pod(&[waiting], node("n"), |_| {}), unschedulable, "built for another placement");
}

#[test]
fn whatever_else_keeps_the_scheduler_from_a_node_is_reported_in_its_own_words() {
    for (said, state) in [
        ("1 Too many pods", NodeState::NoCapacity),
        ("1 Insufficient cpu, 1 Insufficient memory", NodeState::NoCapacity),
        ("1 node(s) had untolerated taint(s)", NodeState::Tainted),
        ("1 node(s) didn't match pod topology spread constraints", NodeState::Unschedulable),
        ("1 node(s) had volume node affinity conflict", NodeState::Unschedulable),
        ("1 node(s) didn't match Pod's node affinity/selector", NodeState::Unschedulable),
    ] {
        let message = format!(
            "0/5 nodes are available: {said}, 4 node(s) didn't satisfy plugin(s) [NodeAffinity]. preemption: 0/5 nodes are \
             available: 1 Insufficient cpu."
        );
        let (found, why) = super::reported::unschedulable(&message);
        assert_eq!(found, state, "{said}");
        let words = said.split(", ").next().and_then(|said| said.split_once(' ')).expect("a number").1;
        assert_eq!(why.expect("a reason").message, words);
    }
}

#[test]
fn a_pod_that_is_missing_since_somebody_changed_the_daemon_set_names_whoever_did() {
    let why = |by: &[&str]| {
        let mut generations = generations();
        for generation in &mut generations {
            let by = by.iter().map(|name| (*name).to_owned()).collect();
            generation.altered = Some(Alteration { generation: 2, by });
        }
        summed_up_of(&generations, &Coverage::default(), Some(&[node("n")]), |summary| {
            let group = summary.groups().next().expect("the group p");
            let image = group.images().nth(1).expect("the image b");
            let why = image.nodes[0].why.expect("a reason");
            (why.reason.to_owned(), why.message.to_owned())
        })
    };
    assert_eq!(why(&["kubectl-patch", "helm"]), ("Altered".to_owned(), "kubectl-patch".to_owned()));
    assert_eq!(why(&[]), ("Altered".to_owned(), String::new()));
}

#[test]
fn nodes_that_are_not_ready_or_about_to_go_do_not_count_and_cordoned_ones_only_if_they_are_warm() {
    let (not_ready, going, cordoned) = (
        Node { ready: false, ..node("n") },
        Node { deleting: true, ..node("n") },
        Node { unschedulable: true, ..node("n") },
    );
    for (fate, warm_if_cordoned) in [(Fate::Held, NodeState::Warm), (Fate::Failed, NodeState::Cordoned)] {
        assert_eq!(only_state(&[p3(fate)], not_ready.clone()), NodeState::NotReady);
        assert_eq!(only_state(&[p3(fate)], going.clone()), NodeState::Deleting);
        assert_eq!(only_state(&[p3(fate)], cordoned.clone()), warm_if_cordoned);
    }
}

#[test]
fn a_node_that_the_group_never_belonged_on_is_not_there_and_one_that_was_tainted_later_is_behind() {
    let tainted = Node { taints: vec![taint()], ..node("n") };
    let mut elsewhere = node("n");
    elsewhere.labels.insert("zone".to_owned(), "q".to_owned());
    let mut windows = node("n");
    windows.labels.insert("kubernetes.io/os".to_owned(), "windows".to_owned());
    for excluded in [tainted.clone(), elsewhere.clone(), windows] {
        assert_eq!(states(&[], &[excluded]), []);
    }
    assert_eq!(states(&[p3(Fate::Held)], &[elsewhere]), []);
    assert_eq!(only_state(&[p3(Fate::Failed)], tainted.clone()), NodeState::Tainted);
    assert_eq!(only_state(&[p3(Fate::Held)], tainted), NodeState::Warm);
}

#[test]
fn a_node_that_is_gone_is_not_counted_though_its_pod_is_still_there() {
    assert_eq!(states(&[p3(Fate::Held)], &[]), []);
}

#[test]
fn without_nodes_those_of_the_newest_generations_pods_count() {
    let old = Pod::new(2, 0, "gone").with([Fate::Held; 2]);
    let pods = [p3(Fate::Failed), Pod { uid: 3, node: "m".to_owned(), ..p3(Fate::Held) }, old];
    inspect_image(&pods, None, |image| {
        let states: Vec<_> = image.nodes.iter().map(|it| (it.node, it.state)).collect();
        assert_eq!(states, [("m", NodeState::Warm), ("n", NodeState::Failed)]);
        assert_eq!(image.digests(), [(None, [("sha256:3", 1)].into())].into());
    });
    summed_up(&Coverage::default(), None, |summary| assert!(!summary.nodes_known()));
}

#[test]
fn nodes_that_are_behind_are_grouped_by_reason_the_worst_first() {
    let on = |uid: usize, name: &str, fate: Fate| Pod { uid, node: name.to_owned(), ..p3(fate) };
    let pods = [on(1, "a", Fate::Pulling), on(2, "b", Fate::Failed), on(3, "c", Fate::Failed), on(4, "d", Fate::Held)];
    inspect_image(&pods, Some(&["a", "b", "c", "d"].map(node)), |image| {
        let behind = image.behind();
        let states: Vec<_> = behind.iter().map(|Behind { state, nodes, .. }| (*state, nodes.clone())).collect();
        assert_eq!(states, [(NodeState::Failed, vec!["b", "c"]), (NodeState::Pulling, vec!["a"])]);
        assert_eq!((image.counts().warm(), image.counts().total()), (1, 4));
    });
}

#[test]
fn a_holder_that_is_evicted_again_and_again_for_want_of_disk_is_reported() {
    let evicted = |uid: usize| Pod { uid, life: Life::Evicted, ..p3(Fate::Held) };
    let mut coverage = covering(&[evicted(1), evicted(2)]);
    let eviction_loops = |coverage: &Coverage| {
        summed_up(coverage, None, |summary| {
            let found: Vec<Vec<String>> = summary
                .groups()
                .map(|group| group.eviction_loops().iter().map(|it| format!("{} {}", it.node, it.generation)).collect())
                .collect();
            found
        })
    };
    assert_eq!(eviction_loops(&coverage), [vec![], Vec::<String>::new()]);
    // The DaemonSet controller deletes evicted pods, and a new listing has none of them.
    coverage.delete(&evicted(1).as_sent());
    coverage.replace(Coverage::default());
    coverage.apply(&evicted(3).as_sent());
    assert_eq!(eviction_loops(&coverage), [vec!["n p-3".to_owned()], vec![]]);
}

#[test]
fn what_kubelets_do_not_repeat_between_two_attempts_is_known_from_what_was_reported() {
    let mut pod = p3(Fate::Failed).as_sent();
    let mut says = |message: &str| {
        if let Some(waiting) = &mut pod.status.as_mut().expect("a status").container_statuses[1].state.waiting {
            (waiting.reason, waiting.message) = ("ImagePullBackOff".to_owned(), message.to_owned());
        }
        let mut coverage = Coverage::default();
        coverage.apply(&pod);
        let mut generations = generations();
        let cause = StoredCause { reason: "ErrImagePull".into(), message: "503".into() };
        let extent = Extent { nodes: 1, cause: Some(cause), ..Extent::default() };
        let reported =
            ReportedCondition { at: jiff::Timestamp::UNIX_EPOCH, extents: [("b".to_owned(), extent)].into() };
        generations[2].reported.conditions.insert(Condition::Failing, reported);
        summed_up_of(&generations, &coverage, Some(&[node("n")]), |summary| {
            let group = summary.groups().next().expect("the group p");
            let image = group.images().nth(1).expect("the image b");
            image.nodes[0].why.map(|why| (why.reason.to_owned(), why.message.to_owned()))
        })
    };
    let words = |reason: &str, message: &str| Some((reason.to_owned(), message.to_owned()));
    assert_eq!(says("Back-off pulling image \"b:1\""), words("ErrImagePull", "503"));
    let other = "Back-off pulling image \"b:1\": ErrImagePull: 401";
    assert_eq!(says(other), words("ImagePullBackOff", other), "what the kubelet says comes first");
}

#[test]
fn a_pod_whose_init_container_fails_has_no_image_and_says_which_container_it_is() {
    for fate in [Fate::Waiting, Fate::Pulling, Fate::Failed, Fate::Crashed] {
        let failing = Pod { life: Life::InitFailing, ..p3(fate) };
        inspect_image(&[failing], Some(&[node("n")]), |image| {
            assert_eq!(image.nodes[0].state, NodeState::InitFailed, "{fate:?}");
            let failure = image.nodes[0].why.and_then(|why| why.init).expect("the container");
            assert_eq!((&*failure.image, failure.is_own()), ("registry.example/kp:1", true));
        });
    }
    let held = Pod { life: Life::InitFailing, ..p3(Fate::Held) };
    assert_eq!(only_state(&[held], node("n")), NodeState::Warm, "its container runs");
}

#[test]
fn the_cause_of_a_failing_init_container_that_its_kubelet_does_not_repeat_is_the_stored_one() {
    let mut pod = Pod { life: Life::InitFailing, ..p3(Fate::Waiting) }.as_sent();
    let status = pod.status.as_mut().expect("a status");
    let waiting = status.init_container_statuses[0].state.waiting.as_mut().expect("it waits");
    waiting.message = "Back-off pulling image \"registry.example/kp:1\"".to_owned();
    let mut coverage = Coverage::default();
    coverage.apply(&pod);
    let mut generations = generations();
    let cause = StoredCause { reason: "ErrImagePull".into(), message: "401".into() };
    let extent = Extent { nodes: 1, cause: Some(cause), ..Extent::default() };
    let extents = [("install-holder".to_owned(), extent)].into();
    let reported = ReportedCondition { at: jiff::Timestamp::UNIX_EPOCH, extents };
    generations[2].reported.conditions.insert(Condition::InitFailing, reported);
    summed_up_of(&generations, &coverage, Some(&[node("n")]), |summary| {
        let group = summary.groups().next().expect("the group p");
        let why = group.images().nth(1).expect("the image b").nodes[0].why.map(|why| why.message.to_owned());
        assert_eq!(why.as_deref(), Some("401"));
    });
}

#[test]
fn what_an_older_generation_holds_is_warm_and_reported_if_the_newest_pod_cannot_start() {
    let pods =
        [Pod::new(1, 0, "n").with([Fate::Held, Fate::Held]), Pod { life: Life::InitFailing, ..Pod::new(2, 2, "n") }];
    summed_up(&covering(&pods), Some(&[node("n")]), |summary| {
        let group = summary.groups().next().expect("the group p");
        let image = group.images().next().expect("the image a");
        assert_eq!(image.nodes[0].state, NodeState::Warm);
        let kept: Vec<_> = image.kept().into_iter().map(|kept| (kept.state, kept.nodes)).collect();
        assert_eq!(kept, [(NodeState::InitFailed, vec!["n"])]);
    });
}
