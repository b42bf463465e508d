//! Asks the controller to check a list's tags: the one write that a user's command makes.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use crate::error::Error;
use crate::naming::labels;

/// Writes a new value into the annotation that requests a refresh. Returns whether there is such a ConfigMap.
///
/// # Errors
/// What the API server answered, or why it could not be reached.
pub async fn request_refresh(client: &Client, namespace: &str, name: &str) -> Result<bool, Error> {
    let lists: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let list = lists.get_metadata_opt(name).await;
    let Some(list) = list.map_err(|error| Error::new(format!("read the ConfigMap {name}"), error))? else {
        return Ok(false);
    };
    // With the uid, the API server refuses the request if the list is deleted and recreated in between.
    let now = Timestamp::now().to_string();
    let request = json!({"metadata": {"uid": list.metadata.uid, "annotations": {labels::REFRESH_REQUESTED: now}}});
    let written = lists.patch_metadata(name, &PatchParams::default(), &Patch::Merge(request)).await;
    written.map(|_| true).map_err(|error| Error::new(format!("annotate the ConfigMap {name}"), error))
}
