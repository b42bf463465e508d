//! The sizes of images on disk, as nodes report them.
//!
//! A kubelet reports its largest images only, 50 by default (`nodeStatusMaxImages`). So an image may be on a node that does not
//! report it; then its size is unknown.

use std::collections::HashMap;
use std::sync::Arc;

use super::digest::digest;
use super::node::SlimNode;

/// The most names that are stored, so that memory is bounded. No cluster reports so many.
const MAX_NAMES: usize = 50_000;

/// The sizes of images, by digest and by name. A copy shares them with the original, until that changes.
#[derive(Clone, Debug, Default)]
pub struct Sizes(Arc<HashMap<Box<str>, u64>>);

impl Sizes {
    /// Adds a node's report. The largest size of a name counts: it may differ between nodes, for example by architecture.
    pub fn apply(&mut self, node: &SlimNode) {
        for image in node.status.iter().flat_map(|status| &status.images) {
            let bytes = u64::try_from(image.size_bytes).unwrap_or_default();
            for name in image.names.iter().flatten() {
                self.note(if name.contains('@') { digest(name).unwrap_or_default() } else { name }, bytes);
            }
        }
    }

    fn note(&mut self, name: &str, bytes: u64) {
        let is_new = match self.0.get(name) {
            Some(known) => bytes > *known,
            None => self.0.len() < MAX_NAMES && !name.is_empty(),
        };
        if is_new {
            Arc::make_mut(&mut self.0).insert(name.into(), bytes);
        }
    }

    /// The size in bytes of an image with one of these digests or, if none is known, with this name: an image's normal form.
    pub fn of<'a>(&self, digests: impl IntoIterator<Item = &'a str>, name: &str) -> Option<u64> {
        let by_digest = digests.into_iter().filter_map(|digest| self.0.get(digest)).max();
        by_digest.or_else(|| self.0.get(name)).copied()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sizes() -> Sizes {
        let mut sizes = Sizes::default();
        for bytes in [7, 9, 8] {
            let images = json!([
                {"names": ["docker.io/library/nginx@sha256:01", "docker.io/library/nginx:1.27"], "sizeBytes": bytes},
                {"names": null, "sizeBytes": 5},
                {"sizeBytes": -5},
            ]);
            let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "spec": {}, "status": {"images": images}});
            sizes.apply(&serde_json::from_value(node).expect("a node"));
        }
        sizes
    }

    #[test]
    fn an_image_is_known_by_its_digest_and_by_its_name() {
        let sizes = sizes();
        assert_eq!(sizes.of(["sha256:01"], "mirror.example/nginx:1.27"), Some(9));
        assert_eq!(sizes.of([], "docker.io/library/nginx:1.27"), Some(9));
        assert_eq!(sizes.of(["sha256:02"], "docker.io/library/redis:7"), None);
    }

    #[test]
    fn there_is_an_end_to_what_is_taken_in() {
        let mut sizes = sizes();
        (0..2 * MAX_NAMES).for_each(|number| sizes.note(&number.to_string(), 1));
        assert_eq!(sizes.0.len(), MAX_NAMES);
        assert_eq!(sizes.of(["sha256:01"], ""), Some(9));
    }
}
