//! What the watches have seen.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::Store;
use kube::runtime::watcher::Event;

use super::accepted_lists::AcceptedLists;
use super::affected_lists::NodeChange;
use super::daemon_sets_by_list::DaemonSetsByList;
use super::image_caches::ObservedImageCaches;
use super::observed_namespaces::ObservedNamespaces;
use super::observed_workloads::ObservedWorkloads;
use crate::coverage::{Coverage, ImagesReady, LabelPool, Node, NodeSet, PodChange, Sizes, SlimNode, SlimPod};
use crate::gate::CONDITION;
use crate::naming::labels;
use crate::plan::Generation;
use crate::plan::adoption::{self, Adoptable};
use crate::plan::generation::tag_check::TagCheck;
use crate::summary::node_state::NodeState;
use crate::summary::node_warm_ups::NodeWarmUps;

/// What the watches have seen. Each watch is a moment behind the cluster, and not all by the same amount.
#[derive(Clone)]
pub struct Observed {
    /// The lists: one store for the labelled ones, and one for each that was named.
    pub lists: Vec<Store<ConfigMap>>,
    /// The accepted versions of all lists.
    pub accepted: AcceptedLists,
    /// The DaemonSets of all lists.
    pub daemon_sets: DaemonSetsByList,
    /// The nodes, if the controller may read them.
    pub nodes: Option<ObservedNodes>,
    /// The pods of all lists' tag checks.
    pub tag_check_pods: Store<SlimPod>,
    /// Which images the lists' pods hold on which nodes.
    pub coverage: SharedCoverage,
    /// The DaemonSets that belong to no list.
    pub other_daemon_sets: Store<PartialObjectMeta<DaemonSet>>,
    /// What the pods of kubernetes-image-puller hold.
    pub adoptable_pods: SharedCoverage,
    /// The ImageCaches of all lists.
    pub image_caches: ObservedImageCaches,
    /// The workloads that lists may discover images in.
    pub workloads: ObservedWorkloads,
    /// The namespaces, whose labels lists may select them by.
    pub namespaces: ObservedNamespaces,
}

/// The nodes. Unknown before the first listing, and while the controller may not read them.
#[derive(Clone, Default)]
pub struct ObservedNodes(Arc<Mutex<Option<Nodes>>>);

/// All nodes of the cluster.
#[derive(Default)]
pub struct Nodes {
    nodes: NodeSet,
    labels: LabelPool,
    /// The image sizes that they have reported since the listing.
    sizes: Sizes,
    /// Those that joined after the first listing.
    node_warm_ups: NodeWarmUps,
    /// What gates need to know of the nodes, if there are any gates.
    gate_facts: Option<GateFactsByName>,
}

/// What gates need to know of nodes, by their names.
pub type GateFactsByName = HashMap<String, Arc<GateFacts>>;

/// What gates need to know of a node. No plan depends on it.
#[derive(Clone, Debug, PartialEq)]
pub struct GateFacts {
    /// The UID of the node.
    pub uid: String,
    /// When it was created: a later node may have the same name.
    pub created: Option<Timestamp>,
    /// What its condition says.
    pub condition: Option<ImagesReady>,
}

impl GateFacts {
    fn of(node: &SlimNode) -> Self {
        Self {
            uid: node.metadata.uid.clone().unwrap_or_default(),
            created: node.metadata.creation_timestamp.as_ref().map(|time| time.0),
            condition: ImagesReady::of(node, CONDITION),
        }
    }
}

impl Nodes {
    /// No nodes yet, of which gates need to know more, or nobody.
    pub fn new(with_gates: bool) -> Self {
        Self { gate_facts: with_gates.then(HashMap::new), ..Self::default() }
    }

    /// Records a node as it is now. Returns what changed, if plans may depend on it: nodes update their status every few seconds, and
    /// mostly that is irrelevant.
    pub fn apply(&mut self, node: &SlimNode) -> Option<NodeChange> {
        self.sizes.apply(node);
        let name = node.name_any();
        if let Some(facts) = &mut self.gate_facts {
            facts.insert(name.clone(), Arc::new(GateFacts::of(node)));
        }
        let before = self.nodes.get(&name).cloned();
        self.node_warm_ups.apply(node, before.is_none());
        let is_new = self.nodes.insert(Node::sharing(node, &mut self.labels));
        is_new.then(|| NodeChange { before, after: self.nodes.get(&name).cloned() })
    }
}

impl ObservedNodes {
    /// Replaces all nodes after a listing.
    pub fn replace(&self, nodes: Nodes) {
        let mut known = self.lock();
        let node_warm_ups = known.take().map(|before| {
            let was_there = |name: &str| before.nodes.get(name).is_some();
            before.node_warm_ups.go_on(nodes.node_warm_ups, was_there)
        });
        *known = Some(Nodes { node_warm_ups: node_warm_ups.unwrap_or_default(), ..nodes });
    }

    /// Forgets all nodes. Warm-ups in progress are no longer measured, and the next listing takes none of its nodes for one that
    /// just joined.
    pub fn forget(&self) {
        *self.lock() = None;
    }

    /// Records a node as it is now. Returns what changed, if plans may depend on it.
    pub fn apply(&self, node: &SlimNode) -> Option<NodeChange> {
        self.lock().as_mut()?.apply(node)
    }

    /// Records that a node was deleted. Returns the change, if it was known.
    pub fn delete(&self, name: &str) -> Option<NodeChange> {
        let mut nodes = self.lock();
        let nodes = nodes.as_mut()?;
        nodes.node_warm_ups.left(name);
        nodes.gate_facts.iter_mut().for_each(|facts| drop(facts.remove(name)));
        let before = nodes.nodes.get(name).cloned()?;
        nodes.nodes.remove(name);
        Some(NodeChange { before: Some(before), after: None })
    }

    /// All nodes, if they are known.
    pub fn all(&self) -> Option<NodeSet> {
        self.lock().as_ref().map(|nodes| nodes.nodes.clone())
    }

    /// What gates need to know of the nodes with these names.
    pub fn gate_facts(&self, is_wanted: impl Fn(&str) -> bool) -> GateFactsByName {
        let nodes = self.lock();
        let facts = nodes.iter().flat_map(|nodes| nodes.gate_facts.iter().flatten());
        facts.filter(|(name, _)| is_wanted(name)).map(|(name, facts)| (name.clone(), Arc::clone(facts))).collect()
    }

    /// Whether any node has the condition.
    pub fn any_condition(&self) -> bool {
        let nodes = self.lock();
        let mut facts = nodes.iter().flat_map(|nodes| nodes.gate_facts.iter().flatten());
        facts.any(|(_, facts)| facts.condition.is_some())
    }

    /// The nodes that joined, are ready and are not known to be warm yet.
    pub fn warming_up(&self) -> Vec<Arc<Node>> {
        let nodes = self.lock();
        let nodes = nodes.iter().flat_map(|nodes| nodes.nodes.iter().map(|node| (node, &nodes.node_warm_ups)));
        nodes.filter(|(node, node_warm_ups)| node_warm_ups.awaits(&node.name)).map(|(node, _)| node.clone()).collect()
    }

    /// Records the states of images on such nodes. Returns how long the warm-up took for each node that is warm now.
    pub fn settle<'a>(
        &self,
        images: impl IntoIterator<Item = (&'a str, NodeState)>,
        now: Timestamp,
    ) -> Vec<SignedDuration> {
        self.lock().as_mut().map(|nodes| nodes.node_warm_ups.settle(images, now)).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Nodes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The coverage, which a watch of pods updates and the workers read.
#[derive(Clone, Default)]
pub struct SharedCoverage(Arc<Mutex<Coverage>>);

impl SharedCoverage {
    /// Locks the coverage. A panic of another holder does not leave it inconsistent, since every change is a single step.
    pub fn lock(&self) -> MutexGuard<'_, Coverage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records what a watch of pods saw. `listing` is what a listing has found so far; what was known before stays in use until it is
    /// complete. Returns how a pod changed; `None` if the event is about a listing.
    pub fn record(&self, event: &Event<SlimPod>, listing: &mut Coverage) -> Option<PodChange> {
        match event {
            Event::Init => *listing = Coverage::default(),
            Event::InitApply(pod) => listing.apply(pod),
            Event::InitDone => self.lock().replace(std::mem::take(listing)),
            Event::Apply(pod) => return Some(self.lock().apply_and_compare(pod)),
            Event::Delete(pod) => {
                self.lock().delete(pod);
                return Some(PodChange { matters: true, ..PodChange::default() });
            }
        }
        None
    }

    /// What is known of a list's pods now. Plans are made of this, because a watch has to wait for whoever holds the lock.
    pub fn snapshot_of(&self, list: &str) -> Coverage {
        self.lock().snapshot_of(list)
    }

    /// The same of all lists.
    pub fn snapshot(&self) -> Coverage {
        self.lock().snapshot()
    }
}

/// Whether a list of that name has that label. Only the label of a longer name differs from the name.
fn is_label(list: &str, name: &str) -> bool {
    name == list || (name.len() > list.len() && labels::list_value(name) == list)
}

impl Observed {
    /// The list whose label value is `list`.
    pub fn list(&self, list: &str) -> Option<Arc<ConfigMap>> {
        let is_of =
            |config_map: &ConfigMap| config_map.metadata.name.as_deref().is_some_and(|name| is_label(list, name));
        self.lists.iter().find_map(|store| store.find(is_of))
    }

    /// The generations of a list.
    pub fn generations(&self, list: &str) -> Vec<Generation> {
        self.daemon_sets.of(list).iter().filter_map(|daemon_set| Generation::from_daemon_set(daemon_set)).collect()
    }

    /// The tag checks of a list.
    pub fn tag_checks(&self, list: &str) -> Vec<TagCheck> {
        let pods = self.tag_check_pods.state();
        let pods = || pods.iter().map(|pod| &**pod);
        self.daemon_sets.of(list).iter().filter_map(|it| TagCheck::from_metadata(&it.metadata, pods())).collect()
    }

    /// The DaemonSets of kubernetes-image-puller that no list has adopted.
    pub fn adoptable(&self) -> Vec<Adoptable> {
        let others = self.other_daemon_sets.state();
        adoption::find(others.iter().map(|daemon_set| &daemon_set.metadata), &self.adoptable_pods.snapshot())
    }

    /// Whether all lists have been validated. Before that, it is unknown which list should adopt a DaemonSet of
    /// kubernetes-image-puller.
    pub fn all_validated(&self) -> bool {
        let lists = self.lists.iter().flat_map(Store::state);
        lists.into_iter().all(|list| list.labels().contains_key(labels::STATE))
    }

    /// The nodes, if the controller may read them.
    pub fn nodes(&self) -> Option<NodeSet> {
        self.nodes.as_ref()?.all()
    }

    /// How large images are, as far as nodes report it.
    pub fn sizes(&self) -> Sizes {
        let sizes = |nodes: &ObservedNodes| nodes.lock().as_ref().map(|nodes| nodes.sizes.clone());
        self.nodes.as_ref().and_then(sizes).unwrap_or_default()
    }
}
