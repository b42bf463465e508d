//! The watches: what is in the cluster, and which lists a change concerns.
//!
//! - [`follow`]: follows one watch
//! - [`nodes`]: the one watch that the controller can do without
//! - [`daemon_sets`]: the DaemonSets of lists
//! - [`workloads`], [`namespaces`]: the workloads that lists discover images in, and the labels of their namespaces
//! - [`relisting`]: how both of these start again after a failure
//! - [`listings`]: how watches list what exists
//! - [`health`]: whether a watch works

mod daemon_sets;
mod follow;
mod health;
mod listings;
mod namespaces;
mod nodes;
mod relisting;
mod workloads;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::task::JoinSet;

pub use follow::Listeners;
use follow::{Watches, adoptable_of, list_of};
use listings::Listings;

use super::environment::Installation;
use super::image_caches::ObservedImageCaches;
use super::observed::Observed;
use super::resources;
use crate::list::IMAGE_LIST_LABEL;
use crate::naming::labels;

/// Starts all watches on `tasks`.
pub fn start(
    client: &Client,
    installation: &Installation,
    may_read_nodes: bool,
    listeners: Listeners,
    tasks: &mut JoinSet<()>,
) -> Observed {
    let mut watches = Watches { listeners, listings: Listings::default(), tasks };
    let namespace = installation.namespace.as_str();
    let config_maps = || Api::<ConfigMap>::namespaced(client.clone(), namespace);
    let labelled = watcher::Config::default().labels(&format!("{IMAGE_LIST_LABEL}=true"));
    let named =
        installation.config_maps.iter().map(|name| watcher::Config::default().fields(&format!("metadata.name={name}")));
    let lists = std::iter::once(labelled).chain(named).map(|config| watches.lists(config_maps(), config)).collect();
    let ours = watcher::Config::default().labels(labels::LIST);
    let revisions = watcher::Config::default().labels(labels::REVISIONS_OF_LISTS);
    let pods = || Api::namespaced_with(client.clone(), namespace, &resources::pods());
    let adoptable = labels::ADOPTABLE_PODS.map(|(key, value)| format!("{key}={value}")).join(",");
    let adoptable = watcher::Config::default().labels(&adoptable);
    let adoptable_pods = watches.pods("pods of kubernetes-image-puller", pods(), adoptable, adoptable_of);
    let with_gates = installation.policy.gate_taints().keys().next().is_some();
    let image_caches = ObservedImageCaches::default();
    let changed = watches.listeners.changed.clone();
    watches.tasks.spawn(image_caches.clone().follow(client.clone(), namespace.to_owned(), changed));
    Observed {
        image_caches,
        lists,
        accepted: watches.revisions(
            Api::namespaced(client.clone(), namespace),
            revisions,
            installation.policy.gate_taints(),
        ),
        daemon_sets: watches
            .daemon_sets(Api::namespaced_with(client.clone(), namespace, &resources::daemon_sets()), ours.clone()),
        nodes: may_read_nodes.then(|| watches.nodes(Api::all_with(client.clone(), &resources::nodes()), with_gates)),
        tag_check_pods: watches.tag_check_pods(
            pods(),
            watcher::Config::default().labels(&format!("{},{}", labels::LIST, labels::TAG_CHECK)),
        ),
        coverage: watches.pods("pods", pods(), ours, |pod| list_of(&pod.metadata)),
        other_daemon_sets: watches.other_daemon_sets(Api::namespaced(client.clone(), namespace), &adoptable_pods),
        adoptable_pods,
        workloads: watches.workloads(client, installation.policy.discovery()),
        namespaces: watches.namespaces(client, installation.policy.discovery()),
    }
}
