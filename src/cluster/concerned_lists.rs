//! Which lists a change concerns: those that it can give something to do.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::ResourceExt;

use super::accepted_lists::AcceptedVersion;
use super::affected_lists::{Changed, NodeChange};
use super::observed::Observed;
use crate::list::discover::Discover;
use crate::naming::labels::list_value;
use crate::plan::adoption;

/// The lists that a change concerns, by the values of their labels.
pub fn concerned(changed: &Changed, observed: &Observed) -> Vec<String> {
    match changed {
        Changed::List(list) | Changed::Edited(list) => vec![list.clone()],
        Changed::Node(change) => of_node(change, observed),
        Changed::Workloads(namespace) => discovering_in(namespace, observed),
        Changed::Namespaces => discovering(observed, |discover| discover.namespace_selector.is_some()),
        Changed::Adoptable(daemon_set) => of_adoptable(daemon_set, observed),
        Changed::Everything => every_list(observed),
    }
}

/// The lists that a node is meant for or was, and those that have pods there, maybe of an older generation. Of others, nothing that is
/// planned depends on the node: if they get a pod there, that is a change of its own.
fn of_node(change: &NodeChange, observed: &Observed) -> Vec<String> {
    let lists = observed.accepted.newest();
    let is_there = |label: &str| {
        let coverage = observed.coverage.lock();
        let name = Some(change.name());
        coverage.pods_of(label).any(|pod| pod.node.as_deref() == name || pod.target.as_deref() == name)
    };
    let concerned = lists.into_iter().filter(|(label, version)| {
        version.config().is_some_and(|config| change.is_selected_by(config)) || is_there(label)
    });
    concerned.map(|(label, _)| label).collect()
}

/// The lists that discover images in a namespace, which they name or select.
fn discovering_in(namespace: &str, observed: &Observed) -> Vec<String> {
    let labels = observed.namespaces.labels_of(namespace);
    discovering(observed, |discover| discover.asks_for(namespace, labels.as_deref()))
}

/// The lists of which a group discovers such images.
fn discovering(observed: &Observed, such: impl Fn(&Discover) -> bool) -> Vec<String> {
    let is_concerned = |version: &Arc<AcceptedVersion>| {
        let mut discoveries = version.config().into_iter().flat_map(|config| &config.discoveries);
        discoveries.any(|it| such(&it.discover))
    };
    let lists = observed.accepted.newest();
    lists.into_iter().filter(|(_, version)| is_concerned(version)).map(|(label, _)| label).collect()
}

/// The list that has adopted a DaemonSet, or else those that may, and the one that reports a DaemonSet that none adopts.
fn of_adoptable(name: &str, observed: &Observed) -> Vec<String> {
    if let Some(list) = observed.daemon_sets.list_of(name) {
        return vec![list];
    }
    let found = observed.adoptable().into_iter().find(|it| it.name == name);
    let lists = observed.accepted.newest();
    let name_of = |version: &Arc<AcceptedVersion>| version.revision.list.name.clone();
    let reports = lists.iter().filter(|(_, it)| it.config().is_some()).map(|(_, it)| name_of(it)).min();
    let may_adopt = |version: &Arc<AcceptedVersion>| {
        found.as_ref().zip(version.config()).is_some_and(|(found, config)| adoption::may_adopt(config, found))
    };
    let adopting = lists.iter().filter(|(_, version)| may_adopt(version)).map(|(label, _)| label.clone());
    let concerned: BTreeSet<String> = adopting.chain(reports.map(|name| list_value(&name))).collect();
    concerned.into_iter().collect()
}

/// Every list that exists, has a history, or has something created from it.
fn every_list(observed: &Observed) -> Vec<String> {
    let named = observed.lists.iter().flat_map(|store| store.state()).map(|list| list_value(&list.name_any()));
    let lists: BTreeSet<String> = named
        .chain(observed.image_caches.lists())
        .chain(observed.accepted.labels())
        .chain(observed.daemon_sets.lists())
        .collect();
    lists.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::ControllerRevision;
    use kube::runtime::reflector::store;
    use kube::runtime::reflector::store::Writer;
    use kube::runtime::watcher::Event;
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::daemon_sets_by_list::DaemonSetsByList;
    use crate::cluster::image_caches::AllImageCaches;
    use crate::cluster::resources;
    use crate::coverage::{Node, SlimPod};
    use crate::plan::SlimDaemonSet;

    fn from<T: serde::de::DeserializeOwned>(object: Value) -> T {
        serde_json::from_value(object).expect("an object")
    }

    fn adopted(name: &str, list: &str) -> Event<SlimDaemonSet> {
        let labels = json!({"kube-prepull.io/list": list});
        Event::Apply(from(json!({"metadata": {"name": name, "namespace": "prepull", "labels": labels}, "spec": {}})))
    }

    /// Lists in effect, with DaemonSets of kubernetes-image-puller: `adopted` belongs to the list `c`.
    fn observed(lists: &[(&str, &str)]) -> Observed {
        let daemon_sets = DaemonSetsByList::default();
        daemon_sets.record(&adopted("adopted", "c"));
        let mut others = store().1;
        others.apply_watcher_event(&Event::Apply(from(
            json!({"metadata": {"name": "kip", "namespace": "prepull", "uid": "1"}}),
        )));
        let observed = Observed {
            lists: Vec::new(),
            accepted: Default::default(),
            daemon_sets,
            nodes: None,
            tag_check_pods: Writer::new(resources::pods()).as_reader(),
            coverage: Default::default(),
            other_daemon_sets: others.as_reader(),
            adoptable_pods: Default::default(),
            image_caches: AllImageCaches::default().of_namespace(&"prepull".into()),
            workloads: Default::default(),
            namespaces: Default::default(),
        };
        for (list, yaml) in lists {
            let version: ControllerRevision = from(json!({
                "revision": 1, "data": {"name": list, "data": {"images.yaml": yaml}},
                "metadata": {"name": list, "uid": list, "namespace": "prepull", "labels": {"kube-prepull.io/list": list}},
            }));
            observed.accepted.record(&Event::Apply(version));
        }
        observed
    }

    fn pod(labels: Value, daemon_set: &str, node: &str, image: &str) -> SlimPod {
        from(json!({
            "metadata": {
                "name": "pod", "uid": "pod", "namespace": "prepull", "labels": labels,
                "ownerReferences": [{
                    "apiVersion": "apps/v1", "kind": "DaemonSet", "name": daemon_set, "uid": "1", "controller": true,
                }],
            },
            "spec": {"nodeName": node, "containers": [{"name": "a", "image": image}]},
        }))
    }

    fn node(labels: &[(&str, &str)]) -> Node {
        let labels = labels.iter().chain(&[("kubernetes.io/os", "linux")]);
        let labels = labels.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Node { name: "n".to_owned(), labels, ..Node::default() }
    }

    fn concerned_by(observed: &Observed, before: Option<Node>, after: Option<Node>) -> Vec<String> {
        let change = NodeChange { before: before.map(Arc::new), after: after.map(Arc::new) };
        concerned(&Changed::Node(change), observed)
    }

    #[test]
    fn a_node_concerns_the_lists_that_select_it_before_or_after_a_change() {
        let observed = observed(&[
            ("all", "images: [a:1]"),
            ("cpu", "groups: [{name: g, images: [a:1], nodeSelector: {kind: cpu}}]"),
            ("gpu", "groups: [{name: g, images: [a:1], nodeSelector: {kind: gpu}}]"),
            ("none", "groups: [{name: g, images: [a:1], nodeSelector: {kind: none}}]"),
        ]);
        let of = |kind: &str| Some(node(&[("kind", kind)]));
        assert_eq!(concerned_by(&observed, None, of("gpu")), ["all", "gpu"]);
        assert_eq!(concerned_by(&observed, of("gpu"), of("cpu")), ["all", "cpu", "gpu"]);
        assert_eq!(concerned_by(&observed, of("cpu"), None), ["all", "cpu"]);
    }

    #[test]
    fn a_taint_or_a_lost_readiness_hides_no_list_from_its_node() {
        let observed = observed(&[("all", "images: [a:1]")]);
        let tainted =
            Node { taints: vec![from(json!({"key": "a", "effect": "NoSchedule"}))], unschedulable: true, ..node(&[]) };
        assert_eq!(concerned_by(&observed, Some(node(&[])), Some(tainted)), ["all"]);
    }

    #[test]
    fn a_node_concerns_a_list_that_has_pods_there_though_it_selects_other_nodes_now() {
        let observed = observed(&[("gpu", "groups: [{name: g, images: [a:1], nodeSelector: {kind: gpu}}]")]);
        assert!(concerned_by(&observed, Some(node(&[])), None).is_empty());
        observed.coverage.lock().apply(&pod(json!({"kube-prepull.io/list": "gpu"}), "gpu-1", "n", "a:1"));
        assert_eq!(concerned_by(&observed, Some(node(&[])), None), ["gpu"]);
    }

    #[test]
    fn workloads_concern_the_lists_that_name_their_namespace_or_select_it() {
        let observed = observed(&[
            ("named", "discover: {namespaces: [pay, shop]}"),
            ("none", "images: [a:1]"),
            ("other", "discover: {namespaces: [pay]}"),
            ("selecting", "discover: {namespaceSelector: {matchLabels: {team: shop}}}"),
        ]);
        let of_shop = || concerned(&Changed::Workloads("shop".to_owned()), &observed);
        assert_eq!(of_shop(), ["named"]);
        observed.namespaces.expect();
        observed.namespaces.apply("shop".to_owned(), [("team".to_owned(), "shop".to_owned())].into());
        assert_eq!(of_shop(), ["named", "selecting"]);
        assert_eq!(concerned(&Changed::Namespaces, &observed), ["selecting"], "it may have selected more before");
    }

    #[test]
    fn a_daemon_set_of_kubernetes_image_puller_concerns_who_has_adopted_it_or_may() {
        let labels: serde_json::Map<_, _> = crate::naming::labels::ADOPTABLE_PODS
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        let observed = observed(&[
            ("a", "images: [x:1]"),
            ("b", "images: [redis:7]"),
            ("c", "images: [x:1]"),
            ("kip", "images: [x:1]"),
        ]);
        let of = |daemon_set: &str| concerned(&Changed::Adoptable(daemon_set.to_owned()), &observed);
        assert_eq!(of("adopted"), ["c"]);
        assert_eq!(of("kip"), ["a"], "the list that reports what nobody adopts");
        observed.adoptable_pods.lock().apply(&pod(Value::Object(labels), "kip", "n", "redis:7"));
        assert_eq!(of("kip"), ["a", "b", "kip"], "and those that have its name or want its images");
    }
}
