//! Whether somebody else changed the spec of a generation's DaemonSet, and who.

use std::cmp::Reverse;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::core::ObjectMeta;

use crate::naming::labels;

/// A change of the spec that was not our last write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alteration {
    /// The `metadata.generation` that it left.
    pub generation: i64,
    /// Who did it, as far as that is known.
    pub by: Vec<String>,
}

impl Alteration {
    /// Reads a DaemonSet's metadata. The API server counts a generation more for each write that changes the spec, and ours
    /// note which one they left.
    pub fn of(metadata: &ObjectMeta) -> Option<Self> {
        let generation = metadata.generation?;
        let noted = metadata.annotations.as_ref().and_then(|annotations| annotations.get(labels::SPEC_GENERATION));
        let ours = noted.map_or(Some(1), |text| text.parse().ok());
        (ours != Some(generation)).then(|| Self { generation, by: changed_by(metadata) })
    }
}

/// The field managers other than ours that have set something in the spec, the newest first. None is known where fields were
/// only removed: nobody manages what is not there.
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
