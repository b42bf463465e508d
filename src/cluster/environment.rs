//! What kind of cluster this is, and how the controller is installed in it.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use crate::error::Error;
use crate::list::Policy;
use crate::naming::labels;
use crate::naming::own_images::OwnImages;
use crate::plan::generation::holder_folder::Seed;
use crate::plan::{Platform, Settings};

/// How the controller was installed, as its arguments say.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Its own namespace. Unless lists may be anywhere, they are here.
    pub namespace: String,
    /// Whether lists may be in any namespace.
    pub all_namespaces: bool,
    /// Whether this is about another namespace than that in which the controller is installed.
    pub is_elsewhere: bool,
    /// Lists that need no label, for ConfigMaps whose labels the user cannot set.
    pub config_maps: Vec<String>,
    /// kube-prepull's own images.
    pub own_images: OwnImages,
    /// The ServiceAccount of the pods.
    pub pod_service_account: Option<String>,
    /// The controller's own Deployment.
    pub deployment: Option<String>,
    /// What kind of cluster this is, if the arguments name it.
    pub platform: Option<Platform>,
    /// What lists may ask for.
    pub policy: Policy,
    /// The port of the controller's status.
    pub status_port: u16,
    /// What nobody but this process knows, for the names of the holders' folders.
    pub seed: Seed,
}

impl Installation {
    /// The one namespace whose lists are kept warm; `None`: those of all.
    pub fn watched_namespace(&self) -> Option<&str> {
        (!self.all_namespaces).then_some(&*self.namespace)
    }

    /// How lists are kept warm in another namespace than the controller's. Nothing is owned there, and its ServiceAccounts are others.
    #[must_use]
    pub fn elsewhere(&self, namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            is_elsewhere: true,
            config_maps: Vec::new(),
            pod_service_account: None,
            deployment: None,
            policy: self.policy.elsewhere(namespace),
            ..self.clone()
        }
    }
}

/// The name of this process among several controllers: the name of its pod or machine.
pub fn instance() -> String {
    let name = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
    name.unwrap_or_else(|_| "kube-prepull".to_owned())
}

/// Finds out from the cluster what the arguments do not say.
///
/// # Errors
/// What the API server answered, or why it could not be reached.
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
        own_images: installation.own_images.clone(),
        service_account_name: installation.pod_service_account.clone(),
        platform,
        owner,
        seed: installation.seed.clone(),
    })
}

/// Recognises OpenShift by the API group of its SecurityContextConstraints, or by a generation that was created for it: the API
/// group may be missing for a moment, and OpenShift would refuse pods that name their own user.
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

/// An owner reference to the controller's own Deployment.
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
