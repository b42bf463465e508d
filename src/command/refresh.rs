//! `refresh`: asks the controller to look at a list's tags again.

use anyhow::{Context, bail};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::Outcome;
use super::arguments::RefreshArguments;
use crate::cluster::connect::{self, ClusterArguments};
use crate::naming::labels;

/// Writes a new value into the annotation that asks for a refresh.
///
/// # Errors
/// Where there is no such list, or it cannot be written.
pub async fn refresh(arguments: RefreshArguments) -> anyhow::Result<Outcome> {
    let cluster = ClusterArguments { kubeconfig: arguments.cluster.kubeconfig, context: arguments.cluster.context };
    let (client, default_namespace) = connect::connect(&cluster).await?;
    let namespace = arguments.cluster.namespace.unwrap_or(default_namespace);
    let lists: Api<ConfigMap> = Api::namespaced(client, &namespace);
    let name = &arguments.list;
    let Some(list) = lists.get_metadata_opt(name).await.with_context(|| format!("cannot read the ConfigMap {name}"))?
    else {
        bail!("there is no ConfigMap {name} in the namespace {namespace}; choose another with --namespace");
    };
    // The uid keeps a list that is deleted meanwhile from being taken for its successor.
    let now = Timestamp::now().to_string();
    let request = json!({"metadata": {"uid": list.metadata.uid, "annotations": {labels::REFRESH_REQUESTED: now}}});
    let written = lists.patch_metadata(name, &PatchParams::default(), &Patch::Merge(request)).await;
    written.with_context(|| format!("cannot annotate the ConfigMap {name}"))?;
    println!(
        "asked for a refresh of {namespace}/{name}; `kubectl -n {namespace} describe configmap {name}` shows what comes of it"
    );
    Ok(Outcome::Good)
}
