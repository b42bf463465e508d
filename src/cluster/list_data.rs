//! Writes the data of a list as a person would who edits it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Map, Value, json};

use crate::error::Error;

/// The field manager of edits by commands.
const MANAGER: &str = "kubectl-prepull";

/// Replaces the data of a list that was read before. Returns whether it was written: others may have changed the list, or deleted it.
///
/// # Errors
/// What the API server answered, or why it could not be reached.
pub async fn write(client: &Client, list: &ConfigMap, data: &BTreeMap<String, String>) -> Result<bool, Error> {
    let (name, namespace) = (list.name_any(), list.namespace().unwrap_or_default());
    let api = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
    let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    match api.patch_metadata(&name, &parameters, &Patch::Merge(patch(list, data))).await {
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => Ok(false),
        written => written.map(|_| true).map_err(|error| Error::new(format!("write the ConfigMap {name}"), error)),
    }
}

/// The change as a JSON merge patch (RFC 7386). It has only what changes, so that all other fields stay whose they are.
fn patch(list: &ConfigMap, data: &BTreeMap<String, String>) -> Value {
    let before = list.data.clone().unwrap_or_default();
    let removed = before.keys().filter(|key| !data.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = data.iter().filter(|(key, value)| before.get(*key) != Some(value));
    let changed = changed.map(|(key, value)| (key.clone(), json!(value)));
    let data: Map<String, Value> = removed.chain(changed).collect();
    json!({"metadata": {"uid": list.metadata.uid, "resourceVersion": list.metadata.resource_version}, "data": data})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_has_only_the_keys_that_change_and_the_version_that_was_read() {
        let data = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let mut list = ConfigMap { data: Some(data(&[("a", "1"), ("b", "2"), ("c", "3")])), ..ConfigMap::default() };
        list.metadata.resource_version = Some("7".to_owned());
        let patch = patch(&list, &data(&[("a", "1"), ("b", "other"), ("d", "4")]));
        assert_eq!(patch["data"], json!({"b": "other", "c": null, "d": "4"}));
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
    }
}
