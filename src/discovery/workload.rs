//! Workloads: the fields of theirs that are needed, and the images that they name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kube::core::ObjectMeta;
use serde::Deserialize;

use crate::list::discover::WorkloadKind;
use crate::list::discover::found::FoundImage;
use crate::list::names::ResourceName;
use crate::naming::labels;
use crate::slim::{Skipped, Slim};

/// A workload, decoded without the fields that discovery does not need.
pub type SlimWorkload = Slim<WorkloadSpec, Skipped>;

/// The part of a workload's spec that is needed, of any kind.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadSpec {
    /// The template of its pods, unless it is a `CronJob`.
    pub template: PodTemplate,
    /// The template of a `CronJob`'s Jobs.
    pub job_template: JobTemplate,
}

/// The template of Jobs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct JobTemplate {
    /// The part of their spec that is needed.
    pub spec: JobSpec,
}

/// The part of a Job's spec that is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct JobSpec {
    /// The template of its pods.
    pub template: PodTemplate,
}

/// The template of pods.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodTemplate {
    /// The part of their spec that is needed.
    pub spec: TemplateSpec,
}

/// The part of a template's pod spec that is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TemplateSpec {
    /// Its containers.
    pub containers: Vec<TemplateContainer>,
    /// Its init containers.
    pub init_containers: Vec<TemplateContainer>,
    /// Its pull secrets.
    pub image_pull_secrets: Vec<TemplatePullSecret>,
}

/// A container of a template.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TemplateContainer {
    /// Its image; the API allows it to be empty.
    pub image: String,
}

/// A pull secret of a template.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TemplatePullSecret {
    /// The name; the API allows it to be empty.
    pub name: String,
}

impl WorkloadSpec {
    fn pods(&self, kind: WorkloadKind) -> &TemplateSpec {
        match kind {
            WorkloadKind::CronJob => &self.job_template.spec.template.spec,
            WorkloadKind::DaemonSet | WorkloadKind::Deployment | WorkloadKind::Job | WorkloadKind::StatefulSet => {
                &self.template.spec
            }
        }
    }
}

/// A workload and the images that it names. The order is that of kind, namespace and name, because these differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Workload {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The images that it names, as it spells them; at most [`Workload::MAX_IMAGES`].
    pub images: BTreeSet<String>,
    /// The pull secrets of its pods; at most as many as are stored of an image.
    pub pull_secrets: BTreeSet<String>,
}

impl Workload {
    /// The most images that one workload contributes.
    pub const MAX_IMAGES: usize = 200;
    /// The longest reference in bytes; no valid one is longer.
    pub const MAX_REFERENCE: usize = 1024;

    /// What a workload names. `None` for one that needs no discovery: a Job of a `CronJob`, which names the images
    /// already, and what kube-prepull runs itself, since no list may hold images only because it holds them.
    pub fn of(kind: WorkloadKind, object: &SlimWorkload) -> Option<Self> {
        let metadata = &object.metadata;
        let labels = metadata.labels.clone().unwrap_or_default();
        if labels::are_ours(&labels) || is_of_cron_job(metadata) {
            return None;
        }
        let pods = object.spec.pods(kind);
        Some(Self {
            kind,
            namespace: metadata.namespace.clone()?,
            name: metadata.name.clone()?,
            labels,
            images: images(pods, metadata),
            pull_secrets: pull_secrets(pods),
        })
    }

    /// The namespace in the text that a workload is displayed as.
    pub fn namespace_in(displayed: &str) -> Option<&str> {
        let (_, place) = displayed.split_once(' ')?;
        place.split_once('/').map(|(namespace, _)| namespace)
    }
}

/// For example `Deployment shop/web`.
impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.name(), self.namespace, self.name)
    }
}

fn is_of_cron_job(metadata: &ObjectMeta) -> bool {
    let mut owners = metadata.owner_references.iter().flatten();
    owners.any(|owner| owner.kind == "CronJob" && owner.api_version.starts_with("batch/"))
}

/// Those of containers come first: they are what pods of the workload need.
fn images(pods: &TemplateSpec, metadata: &ObjectMeta) -> BTreeSet<String> {
    let of_containers = pods.containers.iter().chain(&pods.init_containers).map(|container| container.image.as_str());
    let annotation = metadata.annotations.as_ref().and_then(|annotations| annotations.get(labels::IMAGES));
    let separates = |letter: char| letter == ',' || letter.is_whitespace();
    let annotated = annotation.into_iter().flat_map(|annotation| annotation.split(separates));
    let named = of_containers.chain(annotated);
    let mut images = BTreeSet::new();
    for image in named.filter(|image| !image.trim().is_empty() && image.len() <= Workload::MAX_REFERENCE) {
        if images.len() == Workload::MAX_IMAGES {
            break;
        }
        images.insert(image.to_owned());
    }
    images
}

/// The first ones by name. No secret can have a name that is not valid.
fn pull_secrets(pods: &TemplateSpec) -> BTreeSet<String> {
    let names = pods.image_pull_secrets.iter().map(|secret| secret.name.as_str());
    let valid: BTreeSet<&str> = names.filter(|name| ResourceName::parse_subdomain(name).is_ok()).collect();
    valid.into_iter().take(FoundImage::MAX_NAMED).map(str::to_owned).collect()
}
