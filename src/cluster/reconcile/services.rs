//! Reads the namespace's Services, once for each accepted edit of a list. The right to do so is optional: without it there is one
//! warning less.

use k8s_openapi::api::core::v1::Service;
use kube::api::ListParams;
use kube::{Api, Client};
use tracing::debug;

/// The most Services that are read: a warning is not worth more requests.
const MAX_SERVICES: u32 = 1000;

/// Reads Services.
pub struct Services(Api<Service>);

impl Services {
    /// Prepares to read those of a namespace.
    pub fn new(client: &Client, namespace: &str) -> Self {
        Self(Api::namespaced(client.clone(), namespace))
    }

    /// Those of the namespace; none if they cannot be read.
    pub async fn list(&self) -> Vec<Service> {
        match self.0.list(&ListParams::default().limit(MAX_SERVICES)).await {
            Ok(services) => services.items,
            Err(error) => {
                debug!(%error, "cannot read Services, so none is reported that selects pods of lists");
                Vec::new()
            }
        }
    }
}
