//! A list as the user wrote it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::discover::found::Found;

/// The label whose value `"true"` makes a ConfigMap an image list.
pub const IMAGE_LIST_LABEL: &str = "kube-prepull.io/image-list";

/// The most bytes of data in a ConfigMap (the API server's limit is 1 MiB for all values).
pub const MAX_BYTES: usize = 1 << 20;

/// A list as it is in the cluster or in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListData {
    /// The ConfigMap's namespace.
    pub namespace: String,
    /// The ConfigMap's name.
    pub name: String,
    /// The ConfigMap's data.
    pub data: BTreeMap<String, String>,
    /// What was found in workloads, of an accepted version. Users write none.
    pub found: Option<Arc<Found>>,
}

impl ListData {
    /// About how many bytes it takes to keep.
    pub fn bytes(&self) -> usize {
        let written: usize = self.data.iter().map(|(key, value)| key.len() + value.len()).sum();
        written + self.found.as_deref().map_or(0, Found::bytes)
    }
}
