//! What the watches have seen of the lists of all namespaces. Lists of one namespace never depend on what is seen in another.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::store::{Store, Writer, store};
use kube::runtime::watcher::Event;

use super::accepted_lists::AcceptedLists;
use super::affected_lists::{Change, Changed};
use super::daemon_sets_by_list::DaemonSetsByList;
use super::image_caches::AllImageCaches;
use super::list_edits::Edits;
use super::observed::{Observed, ObservedNodes, SharedCoverage};
use super::observed_namespaces::ObservedNamespaces;
use super::observed_workloads::ObservedWorkloads;
use super::other_controllers::OtherControllers;
use super::resources;
use crate::coverage::{Coverage, PodChange, SlimPod};
use crate::list::Policy;
use crate::list::config::GateTaints;

/// What the lists of all namespaces see alike.
pub struct SeenByAll {
    /// The nodes, if the controller may read them.
    pub nodes: Option<ObservedNodes>,
    /// The namespaces that have a controller of their own.
    pub other_controllers: OtherControllers,
    /// The ImageCaches.
    pub image_caches: AllImageCaches,
    /// The workloads that lists may discover images in.
    pub workloads: ObservedWorkloads,
    /// The namespaces, whose labels lists may select them by.
    pub namespaces: ObservedNamespaces,
}

/// What the watches have seen. Clones share it.
#[derive(Clone)]
pub struct ObservedCluster {
    seen_by_all: Arc<SeenByAll>,
    namespaces: Arc<Mutex<BTreeMap<Arc<str>, Arc<WatchedNamespace>>>>,
    /// The namespace of the controller, which is always there.
    home: Arc<WatchedNamespace>,
    /// How many watches list what exists.
    listings: Arc<AtomicUsize>,
}

/// Records what one watch sees, in the namespaces that it is about.
pub struct Recorder {
    cluster: ObservedCluster,
    lists: bool,
}

impl Recorder {
    /// Records an event in the namespace of its object, or in all if it is about a listing. Returns what changed.
    pub fn record<K: ResourceExt>(
        &mut self,
        event: &Event<K>,
        mut record: impl FnMut(&WatchedNamespace, &Event<K>) -> Vec<Changed>,
    ) -> Vec<Change> {
        if matches!(event, Event::Init) && !std::mem::replace(&mut self.lists, true) {
            self.cluster.listings.fetch_add(1, Ordering::AcqRel);
        }
        let mut changes = Vec::new();
        for namespace in self.cluster.concerned(event) {
            let (namespace, changed) = self.record_in(namespace, event, &mut record);
            changes.extend(changed.into_iter().map(|it| Change::within(&namespace, it)));
        }
        if matches!(event, Event::InitDone) && std::mem::take(&mut self.lists) {
            self.cluster.listings.fetch_sub(1, Ordering::AcqRel);
        }
        changes
    }

    fn record_in<K>(
        &self,
        mut namespace: Arc<WatchedNamespace>,
        event: &Event<K>,
        record: &mut impl FnMut(&WatchedNamespace, &Event<K>) -> Vec<Changed>,
    ) -> (Arc<str>, Vec<Changed>) {
        loop {
            let kept = namespace.kept.read().unwrap_or_else(PoisonError::into_inner);
            if *kept {
                return (Arc::clone(&namespace.name), record(&namespace, event));
            }
            drop(kept);
            // It was forgotten at this very moment.
            namespace = self.cluster.get_or_add(&namespace.name);
        }
    }
}

/// What is watched in the controller's namespace only.
pub struct SeenAtHome {
    /// The namespace.
    pub namespace: String,
    /// Of gates, those with these taints count.
    pub gate_taints: GateTaints,
    /// The lists that need no label.
    pub named_lists: Vec<Store<ConfigMap>>,
    /// The DaemonSets that belong to no list.
    pub other_daemon_sets: Store<PartialObjectMeta<DaemonSet>>,
    /// What the pods of kubernetes-image-puller hold.
    pub adoptable_pods: SharedCoverage,
}

impl ObservedCluster {
    /// Nothing is seen yet.
    pub fn new(seen_by_all: SeenByAll, at_home: SeenAtHome) -> Self {
        let home = Arc::new(WatchedNamespace::new(&seen_by_all, at_home));
        let namespaces = BTreeMap::from([(Arc::clone(&home.name), Arc::clone(&home))]);
        let namespaces = Arc::new(Mutex::new(namespaces));
        Self { seen_by_all: Arc::new(seen_by_all), namespaces, home, listings: Arc::default() }
    }

    /// Records what one watch sees.
    pub fn recorder(&self) -> Recorder {
        Recorder { cluster: self.clone(), lists: false }
    }

    /// What the lists of all namespaces see alike.
    pub fn seen_by_all(&self) -> &SeenByAll {
        &self.seen_by_all
    }

    /// What to call a list: by its name, and in another namespace than the controller's by that, too.
    pub fn part(&self, namespace: &str, list: &str) -> String {
        if *namespace == *self.home.name { list.to_owned() } else { format!("{namespace}/{list}") }
    }

    /// The namespace of the controller.
    pub fn home(&self) -> &Arc<WatchedNamespace> {
        &self.home
    }

    /// All namespaces with something of lists, by name. Of one that was deleted, ImageCaches may be left, which are in none.
    pub fn all(&self) -> Vec<Arc<WatchedNamespace>> {
        for namespace in self.seen_by_all.image_caches.namespaces() {
            self.get_or_add(&namespace);
        }
        self.lock().values().cloned().collect()
    }

    /// A namespace, if something of lists is there.
    pub fn get(&self, namespace: &str) -> Option<Arc<WatchedNamespace>> {
        self.lock().get(namespace).cloned()
    }

    /// Forgets a namespace if nothing of lists is left there. Returns whether it is forgotten.
    pub fn forget_if_empty(&self, name: &str) -> bool {
        // What a listing has found so far is known to nobody but the watch.
        if *self.home.name == *name || self.listings.load(Ordering::Acquire) > 0 {
            return false;
        }
        let mut namespaces = self.lock();
        let Some(namespace) = namespaces.get(name).cloned() else { return true };
        // Something is being recorded there.
        let Ok(mut kept) = namespace.kept.try_write() else { return false };
        if !namespace.is_empty() {
            return false;
        }
        *kept = false;
        namespaces.remove(name);
        true
    }

    fn concerned<K: ResourceExt>(&self, event: &Event<K>) -> Vec<Arc<WatchedNamespace>> {
        let of = |object: &K| object.namespace().unwrap_or_default();
        match event {
            Event::Init | Event::InitDone => self.all(),
            Event::InitApply(object) | Event::Apply(object) => vec![self.get_or_add(&of(object))],
            Event::Delete(object) => self.get(&of(object)).into_iter().collect(),
        }
    }

    fn get_or_add(&self, namespace: &str) -> Arc<WatchedNamespace> {
        let mut namespaces = self.lock();
        if let Some(known) = namespaces.get(namespace) {
            return Arc::clone(known);
        }
        let added = Arc::new(WatchedNamespace::new(&self.seen_by_all, SeenAtHome::elsewhere(namespace)));
        namespaces.insert(Arc::clone(&added.name), Arc::clone(&added));
        added
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<WatchedNamespace>>> {
        lock(&self.namespaces)
    }
}

impl SeenAtHome {
    /// What other namespaces have of it: nothing.
    fn elsewhere(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            gate_taints: Policy::default().elsewhere(namespace).gate_taints().clone(),
            named_lists: Vec::new(),
            other_daemon_sets: store().0,
            adoptable_pods: SharedCoverage::default(),
        }
    }
}

/// A namespace with lists, or with something that was created from lists.
pub struct WatchedNamespace {
    /// Its name.
    pub name: Arc<str>,
    /// What the watches have seen there.
    pub observed: Observed,
    lists: Mutex<(Writer<ConfigMap>, Edits)>,
    tag_check_pods: Mutex<Writer<SlimPod>>,
    /// What a listing of pods has found so far. What was known before stays in use until it is complete.
    listing: Mutex<Coverage>,
    /// Whether it is not forgotten. Read while something is recorded.
    kept: RwLock<bool>,
}

impl WatchedNamespace {
    fn new(seen_by_all: &SeenByAll, at_home: SeenAtHome) -> Self {
        let (labelled, lists) = store();
        let tag_check_pods = Writer::new(resources::pods());
        let name: Arc<str> = at_home.namespace.into();
        let observed = Observed {
            lists: std::iter::once(labelled).chain(at_home.named_lists).collect(),
            accepted: AcceptedLists::new(&at_home.gate_taints),
            daemon_sets: DaemonSetsByList::default(),
            nodes: seen_by_all.nodes.clone(),
            tag_check_pods: tag_check_pods.as_reader(),
            coverage: SharedCoverage::default(),
            other_daemon_sets: at_home.other_daemon_sets,
            adoptable_pods: at_home.adoptable_pods,
            image_caches: seen_by_all.image_caches.of_namespace(&name),
            workloads: seen_by_all.workloads.clone(),
            namespaces: seen_by_all.namespaces.clone(),
        };
        Self {
            name,
            observed,
            lists: Mutex::new((lists, Edits::default())),
            tag_check_pods: Mutex::new(tag_check_pods),
            listing: Mutex::default(),
            kept: RwLock::new(true),
        }
    }

    /// Records what the watch of labelled lists saw. Returns which lists that concerns.
    pub fn record_list(&self, event: &Event<ConfigMap>) -> Vec<Changed> {
        let (writer, edits) = &mut *lock(&self.lists);
        writer.apply_watcher_event(event);
        edits.of(event)
    }

    /// Records what the watch of tag checks' pods saw.
    pub fn record_tag_check_pod(&self, event: &Event<SlimPod>) {
        lock(&self.tag_check_pods).apply_watcher_event(event);
    }

    /// Records what the watch of pods saw. Returns how a pod changed; `None` if the event is about a listing.
    pub fn record_pod(&self, event: &Event<SlimPod>) -> Option<PodChange> {
        self.observed.coverage.record(event, &mut lock(&self.listing))
    }

    fn is_empty(&self) -> bool {
        let observed = &self.observed;
        let nothing_created = observed.daemon_sets.lists().is_empty() && observed.coverage.lock().is_empty();
        let no_lists = observed.lists.iter().all(|store| store.is_empty()) && observed.accepted.labels().is_empty();
        no_lists && nothing_created && observed.image_caches.lists().is_empty()
    }
}

/// Every change is complete before another can be seen, so a panic of a holder leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::naming::labels;
    use crate::plan::SlimDaemonSet;

    fn from<T: serde::de::DeserializeOwned>(object: Value) -> T {
        serde_json::from_value(object).expect("an object")
    }

    fn cluster() -> ObservedCluster {
        let seen_by_all = SeenByAll {
            nodes: None,
            other_controllers: OtherControllers::default(),
            image_caches: AllImageCaches::default(),
            workloads: ObservedWorkloads::default(),
            namespaces: ObservedNamespaces::default(),
        };
        let at_home = SeenAtHome { gate_taints: GateTaints::Unknown, ..SeenAtHome::elsewhere("prepull") };
        ObservedCluster::new(seen_by_all, at_home)
    }

    fn list(namespace: &str, data: &str) -> ConfigMap {
        from(json!({"metadata": {"name": "tools", "namespace": namespace}, "data": {"images.yaml": data}}))
    }

    fn daemon_set(namespace: &str) -> SlimDaemonSet {
        let labels = json!({ labels::LIST: "tools" });
        from(json!({"metadata": {"name": "tools-1", "namespace": namespace, "labels": labels}, "spec": {}}))
    }

    fn see(cluster: &ObservedCluster, event: &Event<ConfigMap>) -> Vec<Change> {
        cluster.recorder().record(event, WatchedNamespace::record_list)
    }

    fn see_daemon_set(cluster: &ObservedCluster, event: &Event<SlimDaemonSet>) {
        let record = |it: &WatchedNamespace, event: &Event<_>| {
            it.observed.daemon_sets.record(event);
            Vec::new()
        };
        assert!(cluster.recorder().record(event, record).is_empty());
    }

    fn names(cluster: &ObservedCluster) -> Vec<String> {
        cluster.all().iter().map(|namespace| namespace.name.to_string()).collect()
    }

    fn data(cluster: &ObservedCluster, namespace: &str) -> Option<String> {
        let list = cluster.get(namespace)?.observed.list("tools")?;
        list.data.as_ref()?.get("images.yaml").cloned()
    }

    #[test]
    fn lists_of_the_same_name_are_seen_in_their_own_namespaces_only() {
        let cluster = cluster();
        let changes = see(&cluster, &Event::Apply(list("shop", "a")));
        let [Change { namespace: Some(namespace), what: Changed::Edited(label) }] = &changes[..] else {
            panic!("one edit: {changes:?}")
        };
        assert_eq!((&**namespace, label.as_str()), ("shop", "tools"));
        see(&cluster, &Event::Apply(list("checkout", "b")));
        assert_eq!(names(&cluster), ["checkout", "prepull", "shop"]);
        assert_eq!(data(&cluster, "shop").as_deref(), Some("a"));
        assert_eq!(data(&cluster, "checkout").as_deref(), Some("b"));
        assert_eq!(data(&cluster, "prepull"), None);
    }

    #[test]
    fn a_namespace_is_forgotten_once_nothing_of_lists_is_left_there_and_the_controllers_own_never() {
        let cluster = cluster();
        see(&cluster, &Event::Apply(list("shop", "a")));
        see_daemon_set(&cluster, &Event::Apply(daemon_set("shop")));
        assert!(!cluster.forget_if_empty("shop"));
        see(&cluster, &Event::Delete(list("shop", "a")));
        assert!(!cluster.forget_if_empty("shop"), "it has a DaemonSet");
        see_daemon_set(&cluster, &Event::Delete(daemon_set("shop")));
        assert!(cluster.forget_if_empty("shop"));
        assert!(!cluster.forget_if_empty("prepull"));
        assert_eq!(names(&cluster), ["prepull"]);
        see(&cluster, &Event::Apply(list("shop", "b")));
        assert_eq!(data(&cluster, "shop").as_deref(), Some("b"));
    }

    #[test]
    fn what_goes_in_a_namespace_that_is_not_known_changes_nothing() {
        let cluster = cluster();
        assert!(see(&cluster, &Event::Delete(list("gone", "a"))).is_empty());
        assert_eq!(names(&cluster), ["prepull"]);
    }

    #[test]
    fn a_list_that_is_missing_in_a_listing_is_gone() {
        let cluster = cluster();
        let mut recorder = cluster.recorder();
        let mut see = |event| drop(recorder.record(&event, WatchedNamespace::record_list));
        see(Event::Apply(list("shop", "a")));
        see(Event::Init);
        see(Event::InitApply(list("checkout", "b")));
        assert_eq!(data(&cluster, "shop").as_deref(), Some("a"), "until the listing is complete");
        assert!(!cluster.forget_if_empty("checkout"), "what was listed so far is not forgotten");
        see(Event::InitDone);
        assert_eq!((data(&cluster, "shop"), data(&cluster, "checkout").as_deref()), (None, Some("b")));
        assert!(cluster.forget_if_empty("shop") && !cluster.forget_if_empty("checkout"));
    }

    proptest! {
        #[test]
        fn each_namespace_has_what_was_seen_of_it_last(
            events in prop::collection::vec(("[abc]", prop::option::of("[xyz]"), any::<bool>()), 0..30),
        ) {
            let (cluster, mut plain) = (cluster(), BTreeMap::new());
            for (namespace, content, forget) in events {
                match &content {
                    Some(content) => drop(see(&cluster, &Event::Apply(list(&namespace, content)))),
                    None => drop(see(&cluster, &Event::Delete(list(&namespace, "")))),
                }
                if forget {
                    cluster.forget_if_empty(&namespace);
                }
                plain.insert(namespace, content);
                for (namespace, content) in &plain {
                    prop_assert_eq!(&data(&cluster, namespace), content);
                }
            }
        }
    }
}
