//! Manifests, and what an API server says to them.

use std::collections::BTreeMap;

use kube_prepull::list::ListData;
use serde_json::Value;

/// The objects of a text of YAML.
pub fn documents(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_yaml::from_multiple(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    all.into_iter().filter(|document| !document.is_null()).collect()
}

/// The only object of a kind and a name.
pub fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    let only = found.next().unwrap_or_else(|| panic!("no {kind} {name} in {objects:#?}"));
    assert!(found.next().is_none(), "several {kind} {name}");
    only
}

/// The kinds and names of objects.
pub fn names(objects: &[Value]) -> Vec<String> {
    let name = |object: &Value| {
        format!("{} {}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap())
    };
    objects.iter().map(name).collect()
}

/// A ConfigMap as the controller reads it.
pub fn list_data(config_map: &Value) -> ListData {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let data: BTreeMap<String, String> = serde_json::from_value(config_map["data"].clone()).unwrap();
    let metadata = &config_map["metadata"];
    ListData { namespace: text(&metadata["namespace"]), name: text(&metadata["name"]), data, found: None }
}
