//! What kind of cluster this is, and what the controller itself belongs to.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::Error;
use crate::naming::labels;
use crate::plan::{Platform, Settings};

/// How the controller was installed, as its arguments say.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The namespace of its lists and DaemonSets.
    pub namespace: String,
    /// Lists that are named because their labels are not ours to set.
    pub config_maps: Vec<String>,
    /// kube-prepull's own image.
    pub holder_image: String,
    /// The ServiceAccount of the pods.
    pub pod_service_account: Option<String>,
    /// The controller's own Deployment.
    pub deployment: Option<String>,
    /// What kind of cluster this is, where the arguments say so.
    pub platform: Option<Platform>,
}

/// What this process is called among others of its kind: its pod's name, or the machine's.
pub fn instance() -> String {
    let name = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
    name.unwrap_or_else(|_| "kube-prepull".to_owned())
}

/// Finds out what the arguments do not say.
///
/// # Errors
/// Where the cluster cannot be asked.
pub async fn settings(client: &Client, installation: &Installation) -> Result<Settings, Error> {
    let platform = match installation.platform {
        Some(platform) => platform,
        None => detect_platform(client, &installation.namespace).await?,
    };
    let owner = match &installation.deployment {
        Some(name) => {
            let deployments = Api::namespaced(client.clone(), &installation.namespace);
            let owner = owner(&deployments, name).await;
            Some(owner.map_err(|error| Error::new(format!("read the controller's own Deployment {name}"), error))?)
        }
        None => None,
    };
    Ok(Settings {
        holder_image: installation.holder_image.clone(),
        service_account_name: installation.pod_service_account.clone(),
        platform,
        owner,
    })
}

/// OpenShift is known by the API group of its SecurityContextConstraints. Once seen it stays, as the generations say: a user
/// who is named where one is chosen keeps every pod out.
async fn detect_platform(client: &Client, namespace: &str) -> Result<Platform, Error> {
    let groups = client.list_api_groups().await.map_err(|error| Error::new("list the API groups", error))?;
    let is_openshift = groups.groups.iter().any(|group| group.name == "security.openshift.io");
    let openshift = is_openshift || was_openshift(client, namespace).await?;
    Ok(if openshift { Platform::OpenShift } else { Platform::Kubernetes })
}

async fn was_openshift(client: &Client, namespace: &str) -> Result<bool, Error> {
    let of_lists = ListParams::default().labels(labels::LIST);
    let generations = Api::<DaemonSet>::namespaced(client.clone(), namespace).list_metadata(&of_lists).await;
    let generations = generations.map_err(|error| Error::new("list the generations", error))?;
    let says_so = |annotations: &BTreeMap<String, String>| {
        annotations.get(labels::PLATFORM).is_some_and(|platform| platform == labels::OPENSHIFT)
    };
    Ok(generations.items.iter().any(|generation| says_so(generation.annotations())))
}

/// The controller's own Deployment as an owner.
///
/// Never with `blockOwnerDeletion`: OpenShift's admission refuses it without a right on the owner's finalizers.
pub async fn owner(deployments: &Api<Deployment>, name: &str) -> kube::Result<OwnerReference> {
    let deployment = deployments.get_metadata(name).await?;
    Ok(OwnerReference {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        name: name.to_owned(),
        uid: deployment.metadata.uid.unwrap_or_default(),
        block_owner_deletion: None,
        controller: None,
    })
}
