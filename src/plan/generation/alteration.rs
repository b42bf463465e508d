//! Detects changes that another client made to the spec of a generation's DaemonSet.

use std::cmp::Reverse;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::core::ObjectMeta;

use crate::naming::labels;

/// A change of the spec that was not the controller's last write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alteration {
    /// The `metadata.generation` after the change.
    pub generation: i64,
    /// The field managers that made it, as far as they are known.
    pub by: Vec<String>,
}

impl Alteration {
    /// Reads a DaemonSet's metadata. The API server increments `metadata.generation` with each change of the spec, and
    /// the controller stores the value that each of its own writes results in.
    pub fn of(metadata: &ObjectMeta) -> Option<Self> {
        let generation = metadata.generation?;
        let noted = metadata.annotations.as_ref().and_then(|annotations| annotations.get(labels::SPEC_GENERATION));
        let ours = noted.map_or(Some(1), |text| text.parse().ok());
        (ours != Some(generation)).then(|| Self { generation, by: changed_by(metadata) })
    }
}

/// The field managers other than kube-prepull that own fields of the spec, latest first. The result is empty if fields
/// were only removed, because nobody owns a removed field.
pub fn changed_by(metadata: &ObjectMeta) -> Vec<String> {
    let has_set_some = |entry: &&ManagedFieldsEntry| {
        let fields = entry.fields_v1.as_ref().filter(|_| entry.subresource.is_none());
        fields.is_some_and(|fields| fields.0.get("f:spec").is_some())
    };
    let entries = metadata.managed_fields.iter().flatten().filter(has_set_some);
    let mut others: Vec<(&str, _)> = entries.filter_map(|it| Some((it.manager.as_deref()?, &it.time))).collect();
    others.retain(|(manager, _)| *manager != labels::PROGRAM);
    others.sort_by_key(|(_, time)| Reverse(time.as_ref().map(|time| time.0)));
    let mut names = Vec::new();
    for (manager, _) in others {
        if !names.iter().any(|known| known == manager) {
            names.push(manager.to_owned());
        }
    }
    names
}
