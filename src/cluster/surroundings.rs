//! What kind of cluster this is, and what the controller itself belongs to.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Api, Client};

use super::Error;
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
        None => detect_platform(client).await?,
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

/// OpenShift is known by the API group of its SecurityContextConstraints.
async fn detect_platform(client: &Client) -> Result<Platform, Error> {
    let groups = client.list_api_groups().await.map_err(|error| Error::new("list the API groups", error))?;
    let openshift = groups.groups.iter().any(|group| group.name == "security.openshift.io");
    Ok(if openshift { Platform::OpenShift } else { Platform::Kubernetes })
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
