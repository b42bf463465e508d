//! A small simulated cluster: an API server that stores DaemonSets, a DaemonSet controller, kubelets and a registry,
//! each as simple as its contract allows.

mod daemon_sets;
mod pods;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub use daemon_sets::{alter, daemon_set_of_kip, generation, name, placement};
use daemon_sets::{is_processed, recount, reset_strategy, restore, scope_down, seal, status, stays_on};
use pods::Registry;
pub use pods::{Checking, Container, Pod, State};

use super::{accepted, at, named, settings};
use crate::coverage::{Coverage, Node};
use crate::list::Config;
use crate::list::config::RefreshMode;
use crate::naming::labels;
use crate::plan::adoption::adoption_patch;
use crate::plan::generation::tag_check::TagCheck;
use crate::plan::history::KEPT;
use crate::plan::{Action, Context, Generation, Plan, Settings, plan};

/// The list `tools`, its controller, and the cluster around them.
#[derive(Clone)]
pub struct Simulation {
    /// The controller's clock.
    pub now: Timestamp,
    /// How far the API server's clock is ahead of the controller's.
    pub server_ahead: SignedDuration,
    /// The accepted list.
    pub config: Config,
    /// When this controller process saw the list change.
    pub edited_at: Option<Timestamp>,
    /// The value of the annotation that requests a refresh.
    pub request: Option<String>,
    pub nodes: Vec<Node>,
    /// Whether the controller may read nodes.
    pub may_read_nodes: bool,
    pub daemon_sets: Vec<DaemonSet>,
    pub pods: Vec<Pod>,
    pub tag_checks: Vec<Checking>,
    /// The image ID that nodes report for a tag after pulling it; empty if missing.
    pub tags: BTreeMap<String, String>,
    /// Other image IDs that single nodes report, by node and tag.
    pub tags_on: BTreeMap<(String, String), String>,
    /// How many tag checks have been created in total.
    pub tag_checks_made: usize,
    /// References that the registry does not serve.
    pub unavailable: BTreeSet<String>,
    /// The nodes' disks: the image ID by node and reference.
    pub disks: BTreeMap<(String, String), String>,
    /// How often nodes asked the registry for an image.
    pub asked: BTreeMap<String, usize>,
    /// Whether the admission plugin AlwaysPullImages is enabled.
    pub always_pulls: bool,
    /// How many pods of the list a node has capacity for; unlimited if missing.
    pub capacity: BTreeMap<String, usize>,
    /// Pods that the kubelet evicted for lack of disk and that no longer exist: DaemonSet, node and time.
    pub evicted: Vec<(String, String, Timestamp)>,
    /// Whether a quota or admission refuses new pods.
    pub pods_refused: bool,
    /// Whether admission makes pods pull from a mirror.
    pub mirrored: bool,
    /// The controller's own image.
    pub holder_image: String,
    /// How many DaemonSets have been created in total.
    pub created: usize,
    /// How often a DaemonSet was restored.
    pub restored: usize,
    /// The stored versions of the list before the current one, newest first.
    pub kept: Vec<Config>,
    uids: usize,
    /// The pods of each DaemonSet when the DaemonSet controller processed it last, and whether each was being deleted.
    counted: BTreeMap<String, BTreeSet<(usize, bool)>>,
}

impl Simulation {
    /// A new list, and `nodes` empty nodes.
    pub fn new(images_yaml: &str, nodes: usize) -> Self {
        Self {
            now: at("2026-03-01T12:00:00.5Z"),
            server_ahead: SignedDuration::ZERO,
            config: accepted(images_yaml),
            edited_at: None,
            request: None,
            nodes: (0..nodes).map(node).collect(),
            may_read_nodes: true,
            daemon_sets: Vec::new(),
            pods: Vec::new(),
            tag_checks: Vec::new(),
            tags: BTreeMap::new(),
            tags_on: BTreeMap::new(),
            tag_checks_made: 0,
            unavailable: BTreeSet::new(),
            disks: BTreeMap::new(),
            asked: BTreeMap::new(),
            always_pulls: false,
            capacity: BTreeMap::new(),
            evicted: Vec::new(),
            pods_refused: false,
            mirrored: false,
            holder_image: settings().holder_image,
            created: 0,
            restored: 0,
            kept: Vec::new(),
            uids: 0,
            counted: BTreeMap::new(),
        }
    }

    /// The same at this time.
    pub fn at(now: &str, images_yaml: &str, nodes: usize) -> Self {
        Self { now: at(now), ..Self::new(images_yaml, nodes) }
    }

    /// The same after everything has been pulled.
    pub fn settled(images_yaml: &str, nodes: usize) -> Self {
        let mut simulation = Self::new(images_yaml, nodes);
        simulation.settle();
        simulation
    }

    /// Stores a DaemonSet of kubernetes-image-puller that the list has adopted, and lets it pull.
    pub fn adopt_kip_daemon_set(&mut self, images: &[&str]) {
        let mut daemon_set = daemon_set_of_kip("kubernetes-image-puller", images);
        let patch = adoption_patch(&daemon_set, "tools", None);
        let texts = |key: &str| serde_json::from_value(patch["metadata"][key].clone()).expect("texts");
        daemon_set.metadata.labels = texts("labels");
        daemon_set.metadata.annotations = texts("annotations");
        self.store(&daemon_set);
        // The patch changes the update strategy.
        self.stored("kubernetes-image-puller").metadata.generation = Some(2);
        self.created -= 1;
        self.place_pods();
        images.iter().for_each(|_| self.pull());
    }

    pub fn edit(&mut self, images_yaml: &str) {
        let before = std::mem::replace(&mut self.config, accepted(images_yaml));
        self.kept.insert(0, before);
        self.kept.truncate(KEPT - 1);
        self.edited_at = Some(self.now);
    }

    pub fn request(&mut self, value: &str) {
        self.request = Some(value.to_owned());
    }

    /// Requests a refresh of a list whose mode starts a rollout for it.
    pub fn request_rollout(&mut self, value: &str) {
        self.config.refresh.mode = RefreshMode::Always;
        self.request(value);
    }

    /// Adds a node with a new name.
    pub fn join(&mut self) {
        let index = 1 + self.nodes.iter().filter_map(|it| it.name[1..].parse().ok()).max().unwrap_or(0);
        self.nodes.push(node(index));
    }

    /// A new controller process has nothing in memory.
    pub fn restart_controller(&mut self) {
        self.edited_at = None;
    }

    pub fn pass(&mut self, time: SignedDuration) {
        self.now += time;
    }

    /// Sets the controller's clock; the API server's clock is not affected.
    pub fn jump(&mut self, by: SignedDuration) {
        self.now += by;
        self.server_ahead -= by;
    }

    /// The current plan, without carrying it out.
    pub fn plan(&self) -> Plan {
        let (mut coverage, mut adoptable) = (Coverage::default(), Coverage::default());
        for pod in &self.pods {
            let of = if pod.adoption { &mut adoptable } else { &mut coverage };
            of.apply(&pod.as_watched(self.now));
        }
        for (index, (daemon_set, node, time)) in self.evicted.iter().enumerate() {
            let pod = pods::evicted(&format!("evicted-{index}"), daemon_set, node, *time);
            coverage.apply(&pod);
            coverage.delete(&pod);
        }
        let of_checks: Vec<_> = self.tag_checks.iter().map(Checking::metadata).collect();
        let check_pods: Vec<_> = self.tag_checks.iter().filter_map(Checking::pod_as_watched).collect();
        check_pods.iter().for_each(|pod| coverage.apply(pod));
        // All of them have the list's label, so one watch returns both kinds.
        assert!(
            of_checks.iter().all(|metadata| Generation::from_metadata(metadata).is_none()),
            "no tag check is a generation"
        );
        let generations: Vec<Generation> = self.daemon_sets.iter().filter_map(generation).collect();
        let metadata = self.daemon_sets.iter().map(|daemon_set| &daemon_set.metadata).chain(&of_checks);
        let tag_checks: Vec<_> = metadata.filter_map(|it| TagCheck::from_metadata(it, &check_pods)).collect();
        plan(&Context {
            list: named(&self.config),
            kept: &self.kept.iter().collect::<Vec<_>>(),
            edited_at: self.edited_at,
            refresh_request: self.request.as_deref(),
            generations: &generations,
            tag_checks: &tag_checks,
            coverage: &coverage,
            adoptable: &adoptable,
            nodes: self.may_read_nodes.then_some(&self.nodes),
            settings: &Settings { holder_image: self.holder_image.clone(), ..settings() },
            now: self.now,
        })
    }

    /// Plans, and carries out the plan.
    pub fn act(&mut self) -> Plan {
        let plan = self.plan();
        plan.actions.iter().for_each(|action| self.apply(action));
        for condition_report in &plan.condition_reports {
            self.annotate(&condition_report.daemon_set, labels::CONDITIONS, condition_report.reported.to_text());
        }
        plan
    }

    pub fn apply(&mut self, action: &Action) {
        match action {
            Action::Create { daemon_set, .. } => self.store(daemon_set),
            Action::Restore { daemon_set, .. } => {
                restore(self.stored(&name(daemon_set)), daemon_set);
                self.restored += 1;
            }
            Action::ResetStrategy { name, restores, .. } => reset_strategy(self.stored(name), restores),
            Action::Adopt { .. } => unreachable!("the plan of a list adopts nothing"),
            Action::ScopeDown { name, node_scope, .. } => scope_down(self.stored(name), node_scope),
            Action::Seal { name, images, pulled_always, .. } => seal(self.stored(name), images, pulled_always),
            Action::ReplacePod { uid, .. } => self.pods.retain(|pod| pod.uid.to_string() != *uid),
            Action::Recount { name, selections, .. } => recount(self.stored(name), selections),
            Action::Delete { name, .. } => self.daemon_sets.retain(|it| it.metadata.name.as_ref() != Some(name)),
            Action::CheckTags { daemon_set } => self.start_check(daemon_set),
            Action::EndTagCheck { uid, .. } => {
                let check = self.tag_checks.iter_mut().find(|it| it.uid.to_string() == *uid);
                check.expect("what is ended is there").deleting = true;
                self.run_checks();
            }
            Action::Note { daemon_set, tag_check_record, .. } => {
                self.annotate(daemon_set, labels::TAG_CHECKS, tag_check_record.to_text());
            }
            Action::Report(_) => {}
        }
    }

    /// The stored DaemonSet of this name.
    pub fn stored(&mut self, wanted: &str) -> &mut DaemonSet {
        self.daemon_sets.iter_mut().find(|it| name(it) == *wanted).unwrap_or_else(|| panic!("{wanted} is gone"))
    }

    fn annotate(&mut self, daemon_set: &str, key: &str, text: String) {
        let metadata = &mut self.stored(daemon_set).metadata;
        metadata.annotations.get_or_insert_default().insert(key.to_owned(), text);
    }

    fn start_check(&mut self, daemon_set: &DaemonSet) {
        let taken = self.tag_checks.iter().map(|it| &it.daemon_set).chain(&self.daemon_sets).map(name);
        assert!(taken.into_iter().all(|taken| taken != name(daemon_set)), "the name is taken");
        let placement = placement(daemon_set);
        let nodes: Vec<&Node> = self.nodes.iter().filter(|node| node.takes(&placement)).collect();
        let node = match nodes[..] {
            [node] => node.name.clone(),
            // Without the right to read nodes, the controller does not know about taints.
            [] if !self.may_read_nodes => String::new(),
            _ => panic!("it is for {} nodes", nodes.len()),
        };
        let is_at_work = nodes.iter().all(|node| node.is_at_work());
        assert!(is_at_work || !self.may_read_nodes, "{node} cannot take it");
        let created = self.now + self.server_ahead;
        self.tag_checks_made += 1;
        let check =
            Checking { uid: self.uid(), daemon_set: daemon_set.clone(), created, node, deleting: false, pod: None };
        self.tag_checks.push(check);
        self.run_checks();
    }

    /// The DaemonSet controller and the garbage collector for tag checks. A deleted DaemonSet disappears after its pod,
    /// which stays as long as its node is lost.
    fn run_checks(&mut self) {
        let Self { tag_checks, nodes, pods_refused, .. } = self;
        for check in tag_checks.iter_mut() {
            match nodes.iter().find(|node| node.name == check.node) {
                None => check.pod = None,
                Some(node) if check.deleting && node.ready => check.pod = None,
                Some(_) if check.deleting => {}
                Some(node) if check.pod.is_none() && !*pods_refused && node.takes(&placement(&check.daemon_set)) => {
                    check.pod = Some(check.containers());
                }
                Some(_) => {}
            }
        }
        tag_checks.retain(|check| !check.deleting || check.pod.is_some());
    }

    fn store(&mut self, daemon_set: &DaemonSet) {
        assert!(self.daemon_sets.iter().all(|it| it.metadata.name != daemon_set.metadata.name), "the name is taken");
        let mut stored = daemon_set.clone();
        stored.metadata.uid = Some(self.uid().to_string());
        stored.metadata.generation = Some(1);
        stored.metadata.creation_timestamp = Some(Time(self.now + self.server_ahead));
        self.daemon_sets.push(stored);
        self.created += 1;
    }

    /// The DaemonSet controller and the garbage collector. A deleted pod on a node that is not ready stays until the
    /// node is back.
    pub fn place_pods(&mut self) {
        let Self { daemon_sets, nodes, pods, .. } = self;
        pods.retain_mut(|pod| {
            let daemon_set = daemon_sets.iter().find(|it| name(it) == pod.daemon_set);
            let Some(node) = nodes.iter().find(|node| node.name == pod.node) else { return false };
            pod.deleting |= !daemon_set.is_some_and(|daemon_set| stays_on(daemon_set, node));
            !(pod.deleting && node.ready)
        });
        for daemon_set in &self.daemon_sets.clone() {
            for node in &self.nodes.clone() {
                let there = self.pods.iter().any(|pod| pod.daemon_set == name(daemon_set) && pod.node == node.name);
                if !there && !self.pods_refused && node.takes(&placement(daemon_set)) {
                    let (uid, created) = (self.uid(), self.now + self.server_ahead);
                    let (mirrored, always_pulls) = (self.mirrored, self.always_pulls);
                    let pod = Pod { mirrored, always_pulls, ..Pod::waiting(daemon_set, &node.name, uid, created) };
                    self.pods.push(pod);
                }
            }
        }
        self.run_checks();
        self.count();
        self.schedule();
    }

    /// The DaemonSet controller updates the status of the DaemonSets that it processes, which it does whenever their
    /// pods change.
    fn count(&mut self) {
        let Self { daemon_sets, nodes, pods, counted, .. } = self;
        for daemon_set in daemon_sets {
            let own = pods.iter().filter(|pod| pod.daemon_set == name(daemon_set));
            let own = own.map(|pod| (pod.uid, pod.deleting)).collect();
            let before = counted.insert(name(daemon_set), own);
            if before.as_ref() != counted.get(&name(daemon_set)) || is_processed(daemon_set, nodes, pods) {
                daemon_set.status = Some(status(daemon_set, nodes, pods));
            }
        }
    }

    /// The scheduler.
    fn schedule(&mut self) {
        for node in &self.nodes {
            let capacity = self.capacity.get(&node.name).copied().unwrap_or(usize::MAX);
            let (bound, waiting): (Vec<_>, Vec<_>) =
                self.pods.iter_mut().filter(|pod| pod.node == node.name).partition(|pod| pod.bound);
            waiting.into_iter().take(capacity.saturating_sub(bound.len())).for_each(|pod| pod.bound = true);
        }
    }

    /// Every kubelet that is ready tries one more image of each pod, and retries those that failed.
    pub fn pull(&mut self) {
        let ready: BTreeSet<&str> = self.nodes.iter().filter(|it| it.ready).map(|it| it.name.as_str()).collect();
        let mut registry = Registry {
            unavailable: &self.unavailable,
            tags: &self.tags,
            tags_on: &self.tags_on,
            disks: &mut self.disks,
            asked: &mut self.asked,
        };
        for pod in self.pods.iter_mut().filter(|it| it.bound && ready.contains(it.node.as_str())) {
            let next = pod.containers.iter().position(|it| it.state == State::Waiting);
            for (index, container) in pod.containers.iter_mut().enumerate() {
                if matches!(container.state, State::Failed | State::Exited) || Some(index) == next {
                    container.start(&pod.node, &mut registry, pod.always_pulls);
                }
            }
        }
        for check in self.tag_checks.iter_mut().filter(|check| ready.contains(check.node.as_str())) {
            for container in check.pod.iter_mut().flatten().filter(|it| it.state != State::Running) {
                container.start(&check.node, &mut registry, false);
            }
        }
    }

    /// The node's power fails. When it is back, it has the same pods without containers.
    pub fn reboot(&mut self, node: &str) {
        for pod in self.pods.iter_mut().filter(|pod| pod.node == node) {
            pod.containers.iter_mut().for_each(Container::vanish);
        }
    }

    /// A second in which every component acts once.
    pub fn step(&mut self) -> Plan {
        self.pass(SignedDuration::from_secs(1));
        let plan = self.act();
        self.place_pods();
        self.pull();
        plan
    }

    /// Steps until nothing changes any more.
    pub fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..200 {
            let before = format!("{:?}", self.pods);
            let plan = self.step();
            quiet = if plan.actions.is_empty() && before == format!("{:?}", self.pods) { quiet + 1 } else { 0 };
            if quiet == 3 {
                return;
            }
        }
        panic!("it never settles: {:#?}", self.plan());
    }

    /// The images that run on a node.
    pub fn held_on(&self, node: &str) -> BTreeSet<&str> {
        let pods = self.pods.iter().filter(|pod| pod.node == node);
        pods.flat_map(|pod| pod.running()).collect()
    }

    /// Names of the DaemonSets, oldest first.
    pub fn names(&self) -> Vec<String> {
        self.daemon_sets.iter().map(name).collect()
    }

    /// Sets the state of a container in the DaemonSet's pods on all nodes, or on one.
    pub fn set(&mut self, daemon_set: &str, node: Option<&str>, image: &str, state: State) {
        let pods = self.pods.iter_mut().filter(|it| it.daemon_set == daemon_set);
        for pod in pods.filter(|it| node.is_none_or(|node| it.node == node)) {
            pod.containers.iter_mut().filter(|it| it.image == image).for_each(|it| it.state = state);
        }
    }

    fn uid(&mut self) -> usize {
        self.uids += 1;
        self.uids
    }
}

/// A Linux node in zone a or b.
pub fn node(index: usize) -> Node {
    let zone = if index.is_multiple_of(2) { "a" } else { "b" };
    Node {
        name: format!("n{index}"),
        labels: [("kubernetes.io/os", "linux"), ("zone", zone)].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        ready: true,
        ..Node::default()
    }
}
