//! Everything that a plan depends on.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::generation::Generation;
use super::generation::holder_folder::Seed;
use super::generation::tag_check::TagCheck;
use crate::coverage::{Coverage, CoveringPod, Node};
use crate::list::Config;
use crate::naming::own_images::OwnImages;

/// How long the list must stay unedited before a rollout starts, so that two edits in a row start only one.
pub const SETTLING: SignedDuration = SignedDuration::from_secs(1);

/// Everything that a plan depends on.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The accepted list.
    pub list: AcceptedList<'a>,
    /// Older accepted versions of the list, for generations that were built from them.
    pub kept: &'a [&'a Config],
    /// When this controller process saw the list's last edit.
    pub edited_at: Option<Timestamp>,
    /// The value of the annotation that requests a refresh.
    pub refresh_request: Option<&'a str>,
    /// The list's DaemonSets.
    pub generations: &'a [Generation],
    /// The list's tag checks.
    pub tag_checks: &'a [TagCheck],
    /// The state of each image on each node.
    pub coverage: &'a Coverage,
    /// The same for pods of kubernetes-image-puller. Pods whose DaemonSet is not among the generations are ignored.
    pub adoptable: &'a Coverage,
    /// The cluster's nodes, or `None` if the controller may not read them.
    pub nodes: Option<&'a [Arc<Node>]>,
    /// Settings of the cluster and the installation.
    pub settings: &'a Settings,
    /// The current time.
    pub now: Timestamp,
}

impl<'a> Context<'a> {
    /// The pods of a generation.
    pub fn pods_of(&self, generation: &Generation) -> impl Iterator<Item = &'a CoveringPod> + use<'a> {
        self.coverage.pods_of_generation(self.list.label, &generation.name)
    }

    /// When [`SETTLING`] is over for the last edit, or `None` if it is over. An edit in the future means that the clock
    /// was set back since, so it delays nothing.
    pub fn settles_at(&self) -> Option<Timestamp> {
        let edited_at = self.edited_at.filter(|edited_at| *edited_at <= self.now)?;
        edited_at.checked_add(SETTLING).ok().filter(|settled_at| self.now < *settled_at)
    }
}

/// Settings of the cluster and the installation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// kube-prepull's own images, from which new generations install the holder.
    pub own_images: OwnImages,
    /// The ServiceAccount of pods whose group sets none.
    pub service_account_name: Option<String>,
    /// The kind of cluster.
    pub platform: Platform,
    /// The controller's Deployment, which owns what the controller creates: uninstalling it deletes everything.
    pub owner: Option<OwnerReference>,
    /// What the folders of new generations and tag checks are computed from: random in a controller.
    pub seed: Seed,
}

impl Settings {
    /// Those for another namespace than the controller's: there, nothing can be owned by it, and its ServiceAccounts do not exist.
    #[must_use]
    pub fn elsewhere(&self, namespace: &str) -> Self {
        Self { owner: None, service_account_name: None, seed: self.seed.within(namespace), ..self.clone() }
    }
}

/// The kinds of cluster that require different pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Platform {
    /// Pods set their own user ID.
    #[default]
    Kubernetes,
    /// The SecurityContextConstraints assign the user ID, from a range of the namespace.
    OpenShift,
}

/// A list's namespace, label and accepted content.
#[derive(Clone, Copy, Debug)]
pub struct AcceptedList<'a> {
    /// The namespace of the list and of all of its objects.
    pub namespace: &'a str,
    /// The value of the label [`labels::LIST`].
    pub label: &'a str,
    /// The parsed list.
    pub config: &'a Config,
}
