//! Tag checks in the mode `OnChange`: what starts a rollout and what does not.

use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::PodSpec;

use super::accepted;
use super::simulation::{Simulation, alter, node};
use super::{note, waits_for};
use crate::coverage::Node;
use crate::plan::generation::Generation;
use crate::plan::{Action, Finding, Plan, RolloutCause};

pub const HOURLY: &str = "{images: [a:1, b:1], refresh: {every: 1h}}";

pub fn digest(number: u8) -> String {
    format!("registry.test/some@sha256:{}", format!("{number:02x}").repeat(32))
}

/// A list that was pulled on two nodes an hour ago, with these digests.
pub fn arrived(list: &str, tags: &[(&str, u8)]) -> Simulation {
    let mut simulation = Simulation::new(list, 2);
    moved(&mut simulation, tags);
    simulation.settle();
    simulation.pass(SignedDuration::from_mins(10));
    drop(checked(&mut simulation));
    simulation.pass(SignedDuration::from_mins(50));
    simulation
}

pub fn moved(simulation: &mut Simulation, tags: &[(&str, u8)]) {
    simulation.tags.extend(tags.iter().map(|(tag, number)| ((*tag).to_owned(), digest(*number))));
}

/// Ten seconds, which are enough for a tag check and the start of a rollout. Returns the actions.
pub fn checked(simulation: &mut Simulation) -> Vec<Action> {
    (0..10).flat_map(|_| simulation.step().actions).collect()
}

pub fn causes(actions: &[Action]) -> Vec<RolloutCause> {
    let cause = |action: &Action| match action {
        Action::Create { cause, .. } => Some(*cause),
        _ => None,
    };
    actions.iter().filter_map(cause).collect()
}

pub fn findings(actions: &[Action]) -> Vec<&Finding> {
    let mut findings = Vec::new();
    for action in actions {
        if let Action::Report(finding) = action {
            findings.push(finding);
        }
    }
    findings
}

pub fn checks(plan: &Plan) -> Vec<&DaemonSet> {
    let mut checks = Vec::new();
    for action in &plan.actions {
        if let Action::CheckTags { daemon_set } = action {
            checks.push(&**daemon_set);
        }
    }
    checks
}

fn pod_spec(check: &DaemonSet) -> &PodSpec {
    check.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()).expect("a pod template")
}

pub fn newest(simulation: &Simulation) -> Generation {
    let metadata = simulation.daemon_sets.iter().map(|it| &it.metadata);
    let generations = metadata.filter_map(Generation::from_metadata);
    generations.max_by_key(Generation::revision).expect("a generation")
}

/// Lets hours pass with a controller that sleeps until the plan wakes it up. Returns the actions.
pub fn hours(simulation: &mut Simulation, hours: i64) -> Vec<Action> {
    let end = simulation.now + SignedDuration::from_hours(hours);
    let mut actions = Vec::new();
    while simulation.now < end {
        let plan = simulation.step();
        let wake_at = simulation.plan().wake_at.unwrap_or(end).min(end);
        if plan.actions.is_empty() && simulation.now < wake_at {
            simulation.now = wake_at;
        }
        actions.extend(plan.actions);
    }
    actions
}

#[test]
fn a_refresh_that_finds_nothing_new_costs_one_tag_check_and_changes_nothing_on_any_node() {
    let mut simulation = arrived(HOURLY, &[("a:1", 1), ("b:1", 2)]);
    let before = simulation.daemon_sets.clone();
    let actions = checked(&mut simulation);
    let kinds: Vec<_> = actions.iter().map(|action| format!("{action:?}")[..4].to_owned()).collect();
    assert_eq!(kinds, ["Chec", "Note", "EndT"]);
    assert_eq!(simulation.names().len(), before.len());
    assert_eq!(simulation.daemon_sets[0].spec, before[0].spec);
    assert_eq!(simulation.tag_checks.len(), 0);
    let next = simulation.plan().wake_at.expect("the next refresh");
    let checked_at = newest(&simulation).tag_check_record.last_success.expect("a tag check");
    assert_eq!(next.duration_since(checked_at), SignedDuration::from_hours(1), "it counts from the tag check");
}

#[test]
fn moved_tags_start_one_rollout_together_and_none_at_later_refreshes() {
    let mut simulation = arrived(HOURLY, &[("a:1", 1), ("b:1", 2)]);
    moved(&mut simulation, &[("a:1", 11), ("b:1", 12)]);
    let actions = checked(&mut simulation);
    assert_eq!(causes(&actions), [RolloutCause::Moved { images: 2 }]);
    let [found] = findings(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!(
        note(found),
        "group default: the tag a:1 moved from 010101010101 to 0b0b0b0b0b0b; the tag b:1 moved from 020202020202 to 0c0c0c0c0c0c"
    );
    assert_eq!(simulation.daemon_sets.len(), 1);
    assert_eq!(causes(&hours(&mut simulation, 10)), []);
    assert!((10..=12).contains(&simulation.tag_checks_made), "{} tag checks", simulation.tag_checks_made);
    moved(&mut simulation, &[("a:1", 1)]);
    assert_eq!(causes(&hours(&mut simulation, 3)), [RolloutCause::Moved { images: 1 }], "moving back is a move too");
}

#[test]
fn a_request_starts_a_tag_check_and_is_answered_once() {
    let mut simulation = arrived(HOURLY, &[("a:1", 1)]);
    checked(&mut simulation);
    simulation.request("one");
    assert_eq!(checks(&simulation.plan()).len(), 1);
    checked(&mut simulation);
    let before = simulation.tag_checks_made;
    simulation.restart_controller();
    checked(&mut simulation);
    assert_eq!(simulation.tag_checks_made, before);
    moved(&mut simulation, &[("a:1", 2)]);
    simulation.request("two");
    assert_eq!(causes(&checked(&mut simulation)), [RolloutCause::Moved { images: 1 }]);
    assert_eq!(simulation.tag_checks_made, before + 1);
    simulation.config = accepted("{images: [a:1, b:1], refresh: {every: 1h, mode: Always}}");
    assert_eq!(causes(&checked(&mut simulation)), [], "another mode does not answer it again");
}

#[test]
fn a_failing_registry_changes_nothing_is_reported_once_and_retried_with_backoff() {
    let mut simulation = arrived(HOURLY, &[("a:1", 1), ("b:1", 2)]);
    simulation.unavailable = ["a:1".to_owned(), "b:1".to_owned()].into();
    let before = simulation.tag_checks_made;
    let actions = hours(&mut simulation, 10);
    assert_eq!(causes(&actions), []);
    let [deferred @ Finding::RefreshDeferred { .. }] = findings(&actions)[..] else {
        panic!("{:?}", findings(&actions))
    };
    let note = note(deferred);
    let beginning = "group default: the tags of 2 of 2 images could not be checked and will be checked again at ";
    assert!(note.starts_with(beginning), "{note}");
    assert!(note.contains("a:1 on n") && note.ends_with(": ImagePullBackOff"), "{note}");
    let tries = simulation.tag_checks_made - before;
    assert!((12..25).contains(&tries), "{tries} tries in ten hours");
    assert_eq!(newest(&simulation).tag_check_record.failures, u32::try_from(tries).expect("few"));
    simulation.unavailable.clear();
    let actions = hours(&mut simulation, 2);
    assert_eq!(causes(&actions), [], "the registry is back and has nothing new");
    assert!(matches!(findings(&actions)[..], [Finding::RefreshRecovered { .. }]), "{:?}", findings(&actions));
    assert_eq!(newest(&simulation).tag_check_record.failures, 0);
}

#[test]
fn a_moved_tag_starts_a_rollout_and_only_failed_images_are_retried() {
    let mut simulation = arrived(HOURLY, &[("a:1", 1), ("b:1", 2)]);
    moved(&mut simulation, &[("a:1", 11)]);
    simulation.unavailable.insert("b:1".to_owned());
    let actions = checked(&mut simulation);
    assert_eq!(causes(&actions), [RolloutCause::Moved { images: 1 }]);
    assert!(matches!(findings(&actions)[..], [Finding::TagsMoved { .. }, Finding::RefreshDeferred { .. }]));
    simulation.pass(SignedDuration::from_secs(30));
    let plan = simulation.plan();
    let [check] = checks(&plan)[..] else { panic!("{plan:?}") };
    let asked: Vec<_> = pod_spec(check).containers.iter().map(|it| it.image.as_deref()).collect();
    assert_eq!(asked, [Some("b:1")]);
    simulation.unavailable.clear();
    assert_eq!(causes(&hours(&mut simulation, 5)), []);
}

#[test]
fn pinned_images_are_not_checked() {
    let digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let pinned = arrived(&format!("{{images: [\"p@sha256:{digest}\"], refresh: {{every: 1h}}}}"), &[]);
    assert_eq!((pinned.plan().actions, pinned.tag_checks_made), (Vec::new(), 0));
    let some = arrived(&format!("{{images: [\"p@sha256:{digest}\", a:1], refresh: {{every: 1h}}}}"), &[]);
    let plan = some.plan();
    assert_eq!(pod_spec(checks(&plan)[0]).containers.len(), 1);
}

pub fn of_architecture(index: usize, architecture: &str) -> Node {
    let mut node = node(index);
    node.labels.insert("kubernetes.io/arch".to_owned(), architecture.to_owned());
    node
}

#[test]
fn each_architecture_is_checked_and_compared_separately() {
    let mut simulation = Simulation::new(HOURLY, 0);
    simulation.nodes = vec![of_architecture(0, "amd64"), of_architecture(1, "arm64"), of_architecture(2, "amd64")];
    moved(&mut simulation, &[("a:1", 1)]);
    simulation.tags_on.insert(("n1".to_owned(), "a:1".to_owned()), digest(2));
    simulation.settle();
    simulation.pass(SignedDuration::from_hours(1));
    assert_eq!(checks(&simulation.plan()).len(), 2);
    assert_eq!(causes(&hours(&mut simulation, 3)), []);
    moved(&mut simulation, &[("a:1", 2)]);
    let actions = hours(&mut simulation, 2);
    assert_eq!(causes(&actions), [RolloutCause::Moved { images: 1 }], "known on arm64, new on amd64");
}

#[test]
fn nodes_that_report_a_tag_differently_start_no_rollout() {
    let mut simulation = Simulation::new(HOURLY, 4);
    moved(&mut simulation, &[("a:1", 1)]);
    for (node, id) in [("n1", "0123abcd"), ("n2", "docker-pullable://x@sha256:1"), ("n3", "")] {
        simulation.tags_on.insert((node.to_owned(), "a:1".to_owned()), id.to_owned());
    }
    simulation.settle();
    assert_eq!(causes(&hours(&mut simulation, 20)), []);
}

#[test]
fn a_node_that_joined_with_the_new_image_does_not_hide_the_move() {
    let mut simulation = arrived(HOURLY, &[("a:1", 1)]);
    checked(&mut simulation);
    moved(&mut simulation, &[("a:1", 2)]);
    simulation.nodes.push(node(2));
    simulation.place_pods();
    checked(&mut simulation);
    assert_eq!(causes(&hours(&mut simulation, 3)), [], "the other nodes are updated without a rollout");
    assert!(simulation.pods.iter().all(|pod| pod.containers[0].image_id == digest(2)));
}

#[test]
fn a_tag_that_moves_during_its_rollout_is_updated_on_nodes_that_pulled_before() {
    for request in ["one", "two", "three", "four"] {
        let mut simulation = arrived(HOURLY, &[("a:1", 1)]);
        checked(&mut simulation);
        moved(&mut simulation, &[("a:1", 2)]);
        simulation.pods.retain(|pod| pod.node != "n1");
        simulation.place_pods();
        checked(&mut simulation);
        simulation.request(request);
        assert_eq!(causes(&checked(&mut simulation)), []);
        assert_eq!(causes(&hours(&mut simulation, 4)), []);
        assert!(simulation.pods.iter().all(|pod| pod.containers[0].image_id == digest(2)));
    }
}

#[test]
fn a_tag_check_that_is_no_longer_awaited_is_deleted() {
    let mut simulation = arrived(HOURLY, &[("a:1", 1)]);
    simulation.act();
    assert_eq!(simulation.tag_checks.len(), 1);
    simulation.edit("{images: [a:2, b:1], refresh: {every: 1h}}");
    simulation.pass(SignedDuration::from_secs(1));
    simulation.act();
    assert_eq!(simulation.tag_checks.len(), 0, "the edit starts its own rollout");
    let mut simulation = arrived(HOURLY, &[("a:1", 1)]);
    simulation.act();
    simulation.config = accepted("{images: [a:1, b:1], refresh: {every: 5h}}");
    simulation.act();
    assert_eq!(simulation.tag_checks.len(), 0, "it is no longer due");
}

#[test]
fn no_tag_check_starts_while_three_generations_move() {
    let list = |images: &str| format!("{{images: [{images}], refresh: {{every: 1h}}}}");
    let mut simulation = Simulation::settled(&list("a:1, b:1"), 2);
    for images in ["a:2, b:1", "a:2, b:1, c:1"] {
        simulation.place_pods();
        simulation.pull();
        simulation.edit(&list(images));
        simulation.pass(SignedDuration::from_secs(1));
        simulation.act();
    }
    simulation.place_pods();
    simulation.pass(SignedDuration::from_hours(5));
    let plan = simulation.plan();
    assert_eq!(checks(&plan).len(), 0);
    assert_eq!(plan.waiting, [waits_for(3, true)]);
}

#[test]
fn a_restore_keeps_the_results_of_tag_checks() {
    let mut simulation = arrived(HOURLY, &[("a:1", 1)]);
    checked(&mut simulation);
    let known = newest(&simulation).tag_check_record;
    alter(&mut simulation.daemon_sets[0], "kubectl-patch");
    let plan = simulation.act();
    assert!(matches!(plan.actions.as_slice(), [Action::Restore { .. }]), "{plan:?}");
    assert_eq!(newest(&simulation).tag_check_record, known);
}

#[test]
fn a_tag_check_runs_the_groups_pod_on_one_node_and_is_no_generation() {
    const LIST: &str = r#"
groups:
- name: gpu
  images: ["a:1", "b@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        nodeSelectorTerms:
        - matchExpressions: [{key: zone, operator: In, values: [a, b]}]
        - {}
  tolerations: [{key: gpu, operator: Exists}]
  imagePullSecrets: [nvcr]
  serviceAccountName: puller
"#;
    let mut simulation = Simulation::settled(LIST, 1);
    simulation.pass(SignedDuration::from_hours(1));
    let plan = simulation.plan();
    let [check] = checks(&plan)[..] else { panic!("{plan:?}") };
    insta::assert_yaml_snapshot!(check);
    let spec = |daemon_set: &DaemonSet| daemon_set.spec.clone().expect("a spec");
    let selector = |daemon_set| spec(daemon_set).selector.match_labels.expect("labels");
    let labels = |daemon_set| spec(daemon_set).template.metadata.and_then(|it| it.labels).expect("labels");
    let selects = |one, other| selector(one).iter().all(|(key, value)| labels(other).get(key) == Some(value));
    let generation = &simulation.daemon_sets[0];
    assert!(selects(check, check) && selects(generation, generation));
    assert!(!selects(check, generation) && !selects(generation, check));
    assert_eq!(Generation::from_metadata(&check.metadata), None);
}

/// No pod is forgotten by the policy that takes the network away from holders.
#[test]
fn the_pods_of_generations_and_of_tag_checks_are_selected_by_the_network_policy_of_the_installs() {
    let policies = include_str!("../../../deploy/kustomize/networkpolicies.yaml");
    let policies: Vec<serde_json::Value> = serde_yaml::from_multiple(policies).expect("manifests");
    let holder = policies.iter().find(|it| it["metadata"]["name"] == "kube-prepull-holder").expect("the holder's");
    let selector = &holder["spec"]["podSelector"]["matchExpressions"];
    assert_eq!(*selector, serde_json::json!([{"key": crate::naming::labels::LIST, "operator": "Exists"}]));
    let simulation = arrived(HOURLY, &[("a:1", 1), ("b:1", 2)]);
    let plan = simulation.plan();
    let checks = checks(&plan);
    assert!(!checks.is_empty() && !simulation.daemon_sets.is_empty());
    for daemon_set in checks.into_iter().chain(&simulation.daemon_sets) {
        let template = &daemon_set.spec.as_ref().expect("a spec").template;
        let labels = template.metadata.as_ref().and_then(|it| it.labels.as_ref()).expect("labels");
        assert!(labels.contains_key(crate::naming::labels::LIST), "{labels:?}");
    }
}
