//! What lists may ask for: the choice of those who run the controller. Pure.
//!
//! Whoever may edit a ConfigMap decides what the pods of its list look like. A policy says how far that goes. It is given to the
//! controller and is no object of the namespace, so that nobody changes it by editing a list.
//!
//! - [`read`]: the text of a policy → [`Policy`], or every problem at once
//! - [`pattern`], [`repository`], [`tolerations`]: what is allowed, as patterns
//! - [`check`]: a policy and a list → what is not allowed
//! - [`place`]: where in the list that is

mod check;
mod pattern;
mod place;
mod read;
pub mod repository;
#[cfg(test)]
mod tests;
mod tolerations;

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

pub use check::{check, restrict_node_gate, violations, warn_of_namespaces};
use pattern::{Glob, PatternAnswer, Patterns};
pub use read::{IMAGE_CACHE_KEYS, KEYS, QUANTITY_KEYS, RESOURCES_KEYS, TOLERATION_KEYS, parse as parse_policy};
use repository::{Repository, RepositoryPattern};
use tolerations::TolerationRule;

use super::config::GateTaints;
use super::discover::DiscoveryScope;
use super::names::ResourceName;
use super::reference::ImageReference;

/// What lists may ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Registries and repositories of images.
    images: Patterns<RepositoryPattern>,
    /// ServiceAccounts of pods, in addition to the controller's default for them.
    service_accounts: Patterns<Glob>,
    /// Pull secrets, also of ImageCaches.
    image_pull_secrets: Patterns<Glob>,
    /// PriorityClasses of pods.
    priority_classes: Patterns<Glob>,
    /// RuntimeClasses of pods.
    runtime_classes: Patterns<Glob>,
    /// Tolerations of pods.
    tolerations: Vec<TolerationRule>,
    /// Keys of pod labels.
    pod_labels: Patterns<Glob>,
    /// Keys of pod annotations.
    pod_annotations: Patterns<Glob>,
    /// Keys of annotations of DaemonSets.
    daemon_set_annotations: Patterns<Glob>,
    /// The most that each container may request.
    requests: Ceilings,
    /// The highest limits of each container.
    limits: Ceilings,
    /// The most images of a list.
    max_images: Option<u32>,
    /// The most groups of a list.
    max_groups: Option<u32>,
    /// What ImageCaches are allowed.
    image_cache: ImageCacheRules,
    /// The controller's own ServiceAccount, which no list may use.
    controller_service_account: Option<String>,
    /// The ServiceAccount of pods whose group names none, which lists may name too.
    pod_service_account: Option<String>,
    /// The taints that gates may remove. A gate with another one has no effect, but the list is accepted: it may come from elsewhere.
    gate_taints: GateTaints,
    /// Whether lists are in another namespace than the controller.
    is_elsewhere: bool,
    /// The namespaces that images can be discovered in. A list that names another one is accepted too, and finds nothing there.
    discovery: DiscoveryScope,
}

/// The highest quantities; `None`: any.
#[derive(Clone, Debug, Default, PartialEq)]
struct Ceilings {
    cpu: Option<Quantity>,
    memory: Option<Quantity>,
    ephemeral_storage: Option<Quantity>,
}

/// What ImageCaches are allowed.
#[derive(Clone, Debug, PartialEq)]
struct ImageCacheRules {
    /// Whether lists may have one at all.
    allowed: bool,
    /// The largest size, in GiB.
    max_size: Option<u32>,
    /// The longest retention, in days.
    max_retention_days: Option<u32>,
    /// Keys of their annotations.
    annotations: Patterns<Glob>,
}

/// The default of `images`, `imagePullSecrets` and other keys of kubernetes-image-puller: whatever its lists say stays allowed.
pub const ANY: [&str; 1] = ["*"];
/// The default of `images`.
pub const ANY_REPOSITORY: [&str; 1] = ["**"];
/// The default of `priorityClasses`: all but those of Kubernetes itself, whose pods preempt all others.
pub const PRIORITY_CLASSES: [&str; 2] = ["*", "!system-*"];
/// The default of `podLabels`: switches of service meshes, and labels that say who pays. By other labels, a Service could send
/// requests to holders, or a webhook give their pods credentials.
pub const POD_LABELS: [&str; 11] = [
    "sidecar.istio.io/inject",
    "istio.io/rev",
    "istio.io/dataplane-mode",
    "kuma.io/sidecar-injection",
    "team",
    "owner",
    "department",
    "project",
    "cost-center",
    "cost-centre",
    "costcenter",
];
/// The default of `podAnnotations`: the same of annotations, and those of Prometheus. By other annotations, a webhook could put
/// containers of the user's choice into the pods.
pub const POD_ANNOTATIONS: [&str; 12] = [
    "sidecar.istio.io/inject",
    "linkerd.io/inject",
    "kuma.io/sidecar-injection",
    "consul.hashicorp.com/connect-inject",
    "prometheus.io/*",
    "team",
    "owner",
    "department",
    "project",
    "cost-center",
    "cost-centre",
    "costcenter",
];

impl Default for Policy {
    /// What lists of kubernetes-image-puller can say is allowed; of what only newer keys can say, what gives nobody more rights.
    fn default() -> Self {
        Self {
            images: of(&ANY_REPOSITORY, |text| RepositoryPattern::parse(text).ok()),
            service_accounts: Patterns::default(),
            image_pull_secrets: names(&ANY),
            priority_classes: names(&PRIORITY_CLASSES),
            runtime_classes: names(&ANY),
            tolerations: vec![TolerationRule::everything()],
            pod_labels: names(&POD_LABELS),
            pod_annotations: names(&POD_ANNOTATIONS),
            daemon_set_annotations: names(&ANY),
            requests: Ceilings::default(),
            limits: Ceilings::default(),
            max_images: None,
            max_groups: None,
            image_cache: ImageCacheRules {
                allowed: true,
                max_size: None,
                max_retention_days: None,
                annotations: names(&ANY),
            },
            controller_service_account: None,
            pod_service_account: None,
            gate_taints: GateTaints::default(),
            is_elsewhere: false,
            discovery: DiscoveryScope::default(),
        }
    }
}

impl Policy {
    /// The same policy for a controller with this ServiceAccount, which gives its pods that one. The controller's own is refused
    /// whatever the policy says.
    pub fn of_installation(mut self, controller: Option<&str>, pods: Option<&str>) -> Self {
        let given = |name: Option<&str>| name.filter(|name| !name.is_empty()).map(str::to_owned);
        self.controller_service_account = given(controller).or(self.controller_service_account);
        self.pod_service_account = given(pods);
        self
    }

    /// The same policy for a controller that may remove these taints.
    pub fn with_gate_taints(self, gate_taints: GateTaints) -> Self {
        Self { gate_taints, ..self }
    }

    /// The taints that gates may remove.
    pub fn gate_taints(&self) -> &GateTaints {
        &self.gate_taints
    }

    /// The same policy for a controller that may read the workloads of these namespaces.
    pub fn with_discovery(self, discovery: DiscoveryScope) -> Self {
        Self { discovery, ..self }
    }

    /// The same policy for lists in another namespace than the controller's. They have no gates, because a gate keeps nodes from everybody,
    /// and discover images in their own namespace only: who may write them may not know what runs elsewhere.
    #[must_use]
    pub fn elsewhere(&self, namespace: &str) -> Self {
        let own = ResourceName::parse(namespace).ok().filter(|own| self.discovery.allows(own));
        Self {
            gate_taints: GateTaints::Only(BTreeSet::new()),
            is_elsewhere: true,
            discovery: DiscoveryScope::Namespaces(own.into_iter().collect()),
            pod_service_account: None,
            ..self.clone()
        }
    }

    /// The namespaces that images can be discovered in.
    pub fn discovery(&self) -> &DiscoveryScope {
        &self.discovery
    }

    /// Whether a list may have an image.
    pub fn allows_image(&self, reference: &ImageReference) -> bool {
        self.answer(&Repository::of(reference)) == PatternAnswer::Allowed
    }

    fn answer(&self, repository: &Repository) -> PatternAnswer<'_> {
        self.images.answer(|pattern| pattern.matches(repository))
    }
}

fn names(texts: &[&str]) -> Patterns<Glob> {
    of(texts, |text| Glob::of_name(text).ok())
}

/// The patterns of a constant.
fn of<P>(texts: &[&str], parse: impl Fn(&str) -> Option<P>) -> Patterns<P> {
    let mut patterns = Patterns::default();
    for text in texts {
        let added = patterns.add(text, |text| parse(text).ok_or(()));
        debug_assert!(added.is_ok(), "{text}");
    }
    patterns
}
