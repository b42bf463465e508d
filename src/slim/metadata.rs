//! What is kept of an object's metadata.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, OwnerReference, Time};
use kube::Resource;
use kube::core::ObjectMeta;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::json;

use crate::naming::labels::OUR_PREFIX;

/// Drops the managed fields of an object that is to be stored.
pub fn without_managed_fields<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

/// Decodes metadata, and skips what is not needed.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    Metadata::deserialize(deserializer).map(ObjectMeta::from)
}

/// The metadata that are kept, before they become what kube calls metadata.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub name: Option<String>,
    pub namespace: Option<String>,
    pub uid: Option<String>,
    pub resource_version: Option<String>,
    pub generation: Option<i64>,
    pub creation_timestamp: Option<Time>,
    pub deletion_timestamp: Option<Time>,
    pub labels: Option<BTreeMap<String, String>>,
    pub annotations: Option<Annotations>,
    pub owner_references: Option<Vec<OwnerReference>>,
    pub managed_fields: Option<Vec<FieldOwner>>,
}

impl From<Metadata> for ObjectMeta {
    fn from(it: Metadata) -> Self {
        let entries =
            it.managed_fields.map(|entries| entries.into_iter().filter_map(FieldOwner::kept).collect::<Vec<_>>());
        Self {
            name: it.name,
            namespace: it.namespace,
            uid: it.uid,
            resource_version: it.resource_version,
            generation: it.generation,
            creation_timestamp: it.creation_timestamp,
            deletion_timestamp: it.deletion_timestamp,
            labels: it.labels,
            annotations: it.annotations.map(|annotations| annotations.0),
            owner_references: it.owner_references,
            managed_fields: entries.filter(|entries| !entries.is_empty()),
            ..Self::default()
        }
    }
}

/// Annotations of kube-prepull. Others may be large: many tools keep a whole copy of the object in one.
#[derive(Default)]
pub(super) struct Annotations(BTreeMap<String, String>);

impl Annotations {
    /// Those of kube-prepull among all of an object's.
    pub fn ours_of(mut all: BTreeMap<String, String>) -> Self {
        all.retain(|key, _| key.starts_with(OUR_PREFIX));
        Self(all)
    }
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ours;

        impl<'de> Visitor<'de> for Ours {
            type Value = Annotations;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("annotations")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
                let mut ours = BTreeMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    if key.starts_with(OUR_PREFIX) {
                        ours.insert(key, map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Annotations(ours))
            }
        }

        deserializer.deserialize_map(Ours)
    }
}

/// An entry of the managed fields, without the names of the fields.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FieldOwner {
    pub manager: Option<String>,
    pub subresource: Option<String>,
    pub time: Option<Time>,
    pub fields_v1: OwnedFields,
}

impl FieldOwner {
    /// The time of the status, or who owns fields of the spec.
    fn kept(self) -> Option<ManagedFieldsEntry> {
        let Self { manager, subresource, time, fields_v1 } = self;
        let kept = fields_v1.of_spec || subresource.as_deref() == Some("status");
        let fields_v1 = fields_v1.of_spec.then(|| FieldsV1(json!({SPEC: {}})));
        kept.then(|| ManagedFieldsEntry { manager, subresource, time, fields_v1, ..ManagedFieldsEntry::default() })
    }
}

/// Whether some of the fields are of the spec.
#[derive(Default)]
pub(super) struct OwnedFields {
    of_spec: bool,
}

const SPEC: &str = "f:spec";

impl<'de> Deserialize<'de> for OwnedFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = OwnedFields;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("managed fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OwnedFields, A::Error> {
                let mut of_spec = false;
                while let Some(name) = map.next_key::<IsSpec>()? {
                    of_spec |= name.0;
                    map.next_value::<IgnoredAny>()?;
                }
                Ok(OwnedFields { of_spec })
            }

            fn visit_unit<E: de::Error>(self) -> Result<OwnedFields, E> {
                Ok(OwnedFields::default())
            }
        }

        deserializer.deserialize_any(Names)
    }
}

/// Whether a name is that of the spec.
struct IsSpec(bool);

impl<'de> Deserialize<'de> for IsSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = IsSpec;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("the name of a field")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<IsSpec, E> {
                Ok(IsSpec(name == SPEC))
            }
        }

        deserializer.deserialize_str(Name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn decoded(metadata: Value) -> ObjectMeta {
        deserialize(metadata).expect("metadata")
    }

    #[test]
    fn what_is_needed_is_as_the_api_server_sends_it() {
        let sent = json!({
            "name": "n", "namespace": "ns", "uid": "u", "resourceVersion": "7", "generation": 3,
            "creationTimestamp": "2026-03-01T12:00:00Z", "deletionTimestamp": "2026-03-01T12:05:00Z",
            "labels": {"a": "b"}, "annotations": {"kube-prepull.io/images": "x=y"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "e", "controller": true}],
        });
        let whole: ObjectMeta = serde_json::from_value(sent.clone()).expect("metadata");
        assert_eq!(decoded(sent), whole);
    }

    #[test]
    fn annotations_of_others_are_skipped() {
        let annotations =
            json!({"kubectl.kubernetes.io/last-applied-configuration": "{}", "kube-prepull.io/epoch": "e"});
        let kept = decoded(json!({"annotations": annotations})).annotations.unwrap_or_default();
        assert_eq!(kept.into_iter().collect::<Vec<_>>(), [("kube-prepull.io/epoch".to_owned(), "e".to_owned())]);
        assert_eq!(decoded(json!({"annotations": null})).annotations, None);
    }

    #[test]
    fn managed_fields_say_when_the_status_was_written_and_who_wrote_the_spec() {
        let time = "2026-03-01T12:00:00Z";
        let entry = |manager: &str, subresource: Option<&str>, fields: Value| {
            let entry = json!({"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields});
            match subresource {
                None => entry,
                Some(subresource) => {
                    let mut entry = entry;
                    entry["subresource"] = json!(subresource);
                    entry
                }
            }
        };
        let sent = json!([
            entry("kubectl", None, json!({"f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {"f:template": {"f:spec": {}}}})),
            entry("labeller", None, json!({"f:metadata": {"f:labels": {".": {}}}})),
            entry("kubelet", Some("status"), json!({"f:status": {"f:phase": {}, "k:{\"type\":\"Ready\"}": {".": {}}}})),
            {"manager": "odd", "fieldsV1": null},
        ]);
        let kept = decoded(json!({"managedFields": sent})).managed_fields.unwrap_or_default();
        let named: Vec<_> = kept.iter().map(|entry| entry.manager.as_deref().unwrap_or_default()).collect();
        assert_eq!(named, ["kubectl", "kubelet"]);
        assert_eq!(kept[0].fields_v1, Some(FieldsV1(json!({"f:spec": {}}))));
        assert_eq!((kept[1].subresource.as_deref(), &kept[1].fields_v1), (Some("status"), &None));
        let times: Vec<_> = kept.iter().filter_map(|entry| Some(entry.time.as_ref()?.0.to_string())).collect();
        assert_eq!(times, [time, time]);
    }
}
