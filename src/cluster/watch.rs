//! The watches: what is in the cluster, and which lists a change concerns.
//!
//! - [`follow`]: follows the watches of lists and of what belongs to them
//! - [`nodes`]: the one watch that the controller can do without
//! - [`daemon_sets`]: whether plans depend on a change of a DaemonSet
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

use std::sync::Arc;

use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::task::JoinSet;

pub use follow::Listeners;
use follow::{ApisOfLists, Watches};
use listings::Listings;

use super::environment::Installation;
use super::image_caches::AllImageCaches;
use super::lease;
use super::observed_cluster::{ObservedCluster, SeenAtHome, SeenByAll};
use super::other_controllers::{OtherControllers, SlimLease};
use super::resources;
use crate::naming::labels;

/// Starts all watches on `tasks`.
pub fn start(
    client: &Client,
    installation: &Installation,
    may_read_nodes: bool,
    listeners: Listeners,
    tasks: &mut JoinSet<()>,
) -> ObservedCluster {
    let mut watches = Watches { listeners, listings: Listings::default(), tasks };
    let discovery = installation.policy.discovery();
    let with_gates = installation.policy.gate_taints().keys().next().is_some();
    let seen_by_all = SeenByAll {
        nodes: may_read_nodes.then(|| watches.nodes(Api::all_with(client.clone(), &resources::nodes()), with_gates)),
        other_controllers: watches.other_controllers(client, installation),
        image_caches: watches.image_caches(client, installation),
        workloads: watches.workloads(client, discovery),
        namespaces: watches.namespaces(client, discovery),
    };
    let cluster = ObservedCluster::new(seen_by_all, at_home(client, installation, &mut watches));
    watches.of_lists(&cluster, apis_of_lists(client, installation));
    cluster
}

/// Starts the watches of the controller's namespace only.
fn at_home(client: &Client, installation: &Installation, watches: &mut Watches<'_>) -> SeenAtHome {
    let namespace = installation.namespace.as_str();
    let home: Arc<str> = namespace.into();
    let named = installation.config_maps.iter().map(|name| {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        watches.named_list(Api::namespaced(client.clone(), namespace), config, &home)
    });
    let named_lists = named.collect();
    let adoptable = labels::ADOPTABLE_PODS.map(|(key, value)| format!("{key}={value}")).join(",");
    let pods = Api::namespaced_with(client.clone(), namespace, &resources::pods());
    let adoptable_pods = watches.adoptable_pods(pods, watcher::Config::default().labels(&adoptable), &home);
    let daemon_sets = Api::namespaced(client.clone(), namespace);
    let other_daemon_sets = watches.other_daemon_sets(daemon_sets, &adoptable_pods, &home);
    let gate_taints = installation.policy.gate_taints().clone();
    SeenAtHome { namespace: namespace.to_owned(), gate_taints, named_lists, other_daemon_sets, adoptable_pods }
}

fn apis_of_lists(client: &Client, installation: &Installation) -> ApisOfLists {
    let client = || client.clone();
    let (daemon_sets, pods) = (&resources::daemon_sets(), &resources::pods());
    match installation.watched_namespace() {
        Some(namespace) => ApisOfLists {
            lists: Api::namespaced(client(), namespace),
            revisions: Api::namespaced(client(), namespace),
            daemon_sets: Api::namespaced_with(client(), namespace, daemon_sets),
            pods: Api::namespaced_with(client(), namespace, pods),
        },
        None => ApisOfLists {
            lists: Api::all(client()),
            revisions: Api::all(client()),
            daemon_sets: Api::all_with(client(), daemon_sets),
            pods: Api::all_with(client(), pods),
        },
    }
}

impl Watches<'_> {
    /// Watches the Leases of other controllers, if lists may be anywhere.
    fn other_controllers(&mut self, client: &Client, installation: &Installation) -> OtherControllers {
        let others = OtherControllers::default();
        if installation.all_namespaces {
            let (seen, home) = (others.clone(), installation.namespace.clone());
            let of_controllers = watcher::Config::default().fields(&format!("metadata.name={}", lease::NAME));
            let stream = self.listings.watch(Api::<SlimLease>::all(client.clone()), of_controllers);
            self.follow("Leases", stream, move |event| seen.record(event, &home));
        }
        others
    }

    /// Watches the ImageCaches of lists, once a list asks for one.
    fn image_caches(&mut self, client: &Client, installation: &Installation) -> AllImageCaches {
        let image_caches = AllImageCaches::default();
        let namespace = installation.watched_namespace().map(str::to_owned);
        let changed = self.listeners.changed.clone();
        self.tasks.spawn(image_caches.clone().follow(client.clone(), namespace, changed));
        image_caches
    }
}
