//! The definition of the resource, which in a cluster of Alibaba Cloud is there already.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Client, ResourceExt};

use crate::image_cache::{ImageCache, resource};

const DEFINITION: &str = include_str!("../../../config/crd/imagecache.yaml");
/// An API server takes a second or two for a new kind.
const SOON: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// Defines ImageCaches in a cluster, and waits until its API server serves them. One that is there already stays.
///
/// # Errors
/// Where the definition is refused, or is not served soon.
pub async fn define(client: &Client) -> Result<()> {
    let definition: CustomResourceDefinition = serde_yaml::from_str(DEFINITION)?;
    let name = definition.name_any();
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let parameters = PatchParams::apply("eci-simulator").force();
    definitions.patch(&name, &parameters, &Patch::Apply(&definition)).await.context("cannot define ImageCaches")?;
    let established = await_condition(definitions, &name, is_crd_established());
    tokio::time::timeout(SOON, established).await.context("ImageCaches are not established")??;
    tokio::time::timeout(SOON, served(client)).await.context("ImageCaches are not served")?
}

/// Waits until ImageCaches can be listed: an API server serves a kind a moment after it has said that it is established.
async fn served(client: &Client) -> Result<()> {
    let image_caches = Api::<ImageCache>::all_with(client.clone(), &resource());
    let one = ListParams::default().limit(1);
    loop {
        match image_caches.list(&one).await {
            Err(kube::Error::Api(status)) if status.code == 404 => tokio::time::sleep(PAUSE).await,
            listed => return listed.map(drop).context("cannot list ImageCaches"),
        }
    }
}
