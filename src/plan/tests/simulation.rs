//! A small simulated cluster: an API server that stores DaemonSets, a DaemonSet controller, kubelets and a registry,
//! each as simple as its contract allows.

mod controllers;
mod daemon_sets;
mod kubelets;
mod pods;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::DaemonSet;

pub use daemon_sets::{alter, as_live, daemon_set_of_kip, generation, name, placement};
use daemon_sets::{recount, reset_strategy, restore, scope_down, seal, template, tolerate};
pub use pods::{Checking, Container, Pod, State};

use super::{accepted, at, named, settings};
use crate::coverage::{Coverage, Node, NodeSet};
use crate::list::Config;
use crate::list::config::RefreshMode;
use crate::naming::labels;
use crate::naming::own_images::OwnImages;
use crate::plan::generation::holder_folder::Seed;
use crate::plan::generation::tag_check::TagCheck;
use crate::plan::patch::adoption_patch;
use crate::plan::versions::KEPT;
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
    /// For how many containers of the list a node has enough CPU; for all if missing.
    pub cpu: BTreeMap<String, usize>,
    /// Pods that the kubelet evicted for lack of disk and that no longer exist: DaemonSet, node and time.
    pub evicted: Vec<(String, String, Timestamp)>,
    /// Whether a quota or admission refuses new pods.
    pub pods_refused: bool,
    /// A policy refuses DaemonSets with these images.
    pub refused_images: BTreeSet<String>,
    /// The default node selector of the namespace, which admission adds to every pod.
    pub namespace_selector: BTreeMap<String, String>,
    /// Whether the DaemonSet controller knows it, as OpenShift's does.
    pub controller_knows_selector: bool,
    /// How many pods the DaemonSet controller creates each time it acts.
    pub pods_at_once: usize,
    /// Whether admission makes pods pull from a mirror.
    pub mirrored: bool,
    /// The image that the holder comes from.
    pub holder_image: String,
    /// The controller's image, if that one was not named by the user.
    pub controller_image: Option<String>,
    /// What only this process of the controller knows.
    pub seed: Seed,
    /// The nodes that cannot pull the controller's own image in this form: reference and node.
    pub without_own_image: BTreeSet<(String, String)>,
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
            cpu: BTreeMap::new(),
            evicted: Vec::new(),
            pods_refused: false,
            refused_images: BTreeSet::new(),
            namespace_selector: BTreeMap::new(),
            controller_knows_selector: false,
            pods_at_once: usize::MAX,
            mirrored: false,
            holder_image: settings().own_images.holder,
            controller_image: None,
            seed: Seed::default(),
            without_own_image: BTreeSet::new(),
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
        let patch = adoption_patch(&as_live(&daemon_set), "tools", None);
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

    /// From now on, these nodes cannot pull the controller's own image, which was set to this one.
    pub fn break_own_image(&mut self, image: &str, nodes: &[&str]) {
        image.clone_into(&mut self.holder_image);
        self.without_own_image.extend(nodes.iter().map(|node| (image.to_owned(), (*node).to_owned())));
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
        self.inspect(plan)
    }

    /// The list's generations.
    pub fn generations(&self) -> Vec<Generation> {
        self.daemon_sets.iter().filter_map(generation).collect()
    }

    /// Inspects everything that the current plan depends on.
    pub fn inspect<T>(&self, inspect: impl FnOnce(&Context) -> T) -> T {
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
        let nodes: NodeSet = self.nodes.iter().cloned().collect();
        let of_checks: Vec<_> = self.tag_checks.iter().map(Checking::metadata).collect();
        let check_pods: Vec<_> = self.tag_checks.iter().filter_map(Checking::pod_as_watched).collect();
        check_pods.iter().for_each(|pod| coverage.apply(pod));
        // All of them have the list's label, so one watch returns both kinds.
        assert!(
            of_checks.iter().all(|metadata| Generation::from_metadata(metadata).is_none()),
            "no tag check is a generation"
        );
        let generations = self.generations();
        let metadata = self.daemon_sets.iter().map(|daemon_set| &daemon_set.metadata).chain(&of_checks);
        let tag_checks: Vec<_> = metadata.filter_map(|it| TagCheck::from_metadata(it, &check_pods)).collect();
        inspect(&Context {
            list: named(&self.config),
            kept: &self.kept.iter().collect::<Vec<_>>(),
            edited_at: self.edited_at,
            refresh_request: self.request.as_deref(),
            generations: &generations,
            tag_checks: &tag_checks,
            coverage: &coverage,
            adoptable: &adoptable,
            nodes: self.may_read_nodes.then_some(&nodes),
            settings: &Settings {
                own_images: OwnImages { holder: self.holder_image.clone(), controller: self.controller_image.clone() },
                seed: self.seed.clone(),
                ..settings()
            },
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
            Action::Create { daemon_set, .. } if self.refuses(daemon_set) => {}
            Action::Create { daemon_set, .. } => self.store(daemon_set),
            Action::Restore { daemon_set, .. } => {
                restore(self.stored(&name(daemon_set)), daemon_set);
                self.restored += 1;
            }
            Action::ResetStrategy { name, restores, .. } => reset_strategy(self.stored(name), restores),
            Action::Adopt { .. } => unreachable!("the plan of a list adopts nothing"),
            Action::ScopeDown { name, node_scope, .. } => scope_down(self.stored(name), node_scope),
            Action::Seal { name, images, pulled_always, .. } => seal(self.stored(name), images, pulled_always),
            Action::Tolerate { name, taints, .. } => tolerate(self.stored(name), taints),
            Action::ReplacePod { uid, .. } => self.pods.retain(|pod| pod.uid.to_string() != *uid),
            Action::Recount { name, selections, .. } => recount(self.stored(name), selections),
            Action::Delete { name, .. } => self.daemon_sets.retain(|it| it.metadata.name.as_ref() != Some(name)),
            Action::CheckTags { daemon_set } => self.start_check(daemon_set),
            Action::EndTagCheck { uid, .. } => {
                let check = self.tag_checks.iter_mut().find(|it| it.uid.to_string() == *uid);
                check.expect("the tag check exists").deleting = true;
                self.run_checks();
            }
            Action::Note { daemon_set, tag_check_record, .. } => {
                self.annotate(daemon_set, labels::TAG_CHECKS, tag_check_record.to_text());
            }
            Action::NoteParallelPulls { daemon_set, parallel_pulls, .. } => {
                self.annotate(daemon_set, labels::PARALLEL_PULLS, parallel_pulls.to_string());
            }
            Action::Report(_) => {}
        }
    }

    fn refuses(&self, daemon_set: &DaemonSet) -> bool {
        let images = template(daemon_set).containers.iter().filter_map(|container| container.image.as_ref());
        images.into_iter().any(|image| self.refused_images.contains(image))
    }

    /// The stored DaemonSet of this name.
    pub fn stored(&mut self, wanted: &str) -> &mut DaemonSet {
        self.daemon_sets.iter_mut().find(|it| name(it) == *wanted).unwrap_or_else(|| panic!("{wanted} is gone"))
    }

    fn annotate(&mut self, daemon_set: &str, key: &str, text: String) {
        let metadata = &mut self.stored(daemon_set).metadata;
        metadata.annotations.get_or_insert_default().insert(key.to_owned(), text);
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
