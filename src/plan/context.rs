//! All that the plan is made from.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::generation::Generation;
use super::generation::tag_check::TagCheck;
use crate::coverage::{Coverage, Node};
use crate::list::Config;

/// How long an edit must have stood before it begins a rollout, so that two edits in a row begin one.
pub const SETTLING: SignedDuration = SignedDuration::from_secs(1);

/// All that the plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The list as accepted.
    pub list: AcceptedList<'a>,
    /// Accepted forms of the list that are kept, for generations that were made of an earlier one.
    pub kept: &'a [&'a Config],
    /// When the list was last edited.
    pub edited_at: Option<Timestamp>,
    /// The value of the annotation that asks for a refresh.
    pub refresh_request: Option<&'a str>,
    /// The list's DaemonSets.
    pub generations: &'a [Generation],
    /// The list's tag checks.
    pub tag_checks: &'a [TagCheck],
    /// Who has what.
    pub coverage: &'a Coverage,
    /// What pods of kubernetes-image-puller have; those of DaemonSets that are not among the generations do not count.
    pub adoptable: &'a Coverage,
    /// The cluster's nodes; `None` where the controller may not read them.
    pub nodes: Option<&'a [Node]>,
    /// What the cluster and the installation are like.
    pub settings: &'a Settings,
    /// Now.
    pub now: Timestamp,
}

impl Context<'_> {
    /// When the last edit will have stood long enough; `None` where it has. An edit in the future says that the clock was set
    /// back since: nobody waits for that.
    pub fn settles_at(&self) -> Option<Timestamp> {
        let edited_at = self.edited_at.filter(|edited_at| *edited_at <= self.now)?;
        edited_at.checked_add(SETTLING).ok().filter(|settled_at| self.now < *settled_at)
    }
}

/// What the cluster and the installation are like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// The image that new generations take the holder from: kube-prepull's own.
    pub holder_image: String,
    /// The ServiceAccount of pods whose group names none.
    pub service_account_name: Option<String>,
    /// What kind of cluster this is.
    pub platform: Platform,
    /// The controller's Deployment; what it owns goes with it.
    pub owner: Option<OwnerReference>,
}

/// The kinds of cluster that want different pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Platform {
    /// Pods name their own user.
    #[default]
    Kubernetes,
    /// The user is left to the SecurityContextConstraints, which give every namespace a range of its own.
    OpenShift,
}

/// A list's namespace, name and accepted form.
#[derive(Clone, Copy, Debug)]
pub struct AcceptedList<'a> {
    /// The namespace of the list and of everything made from it.
    pub namespace: &'a str,
    /// The value of the label [`labels::LIST`].
    pub label: &'a str,
    /// What it asks for.
    pub config: &'a Config,
}
