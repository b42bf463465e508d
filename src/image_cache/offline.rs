//! The ImageCaches of a list as far as they are known without a cluster.

use super::cache::CreationRecord;
use super::content;
use super::creation;
use super::digests::Digests;
use super::object::ImageCacheObject;
use crate::plan::AcceptedList;

/// The ImageCaches that are created for a list if no node ever reports a digest or a size: their names depend on the digests. One
/// that exists is taken over by the controller, which learns the digests later.
pub fn offline(list: AcceptedList, name: &str) -> Vec<ImageCacheObject> {
    let Some(config) = &list.config.image_cache else { return Vec::new() };
    let shards = content::shards(list.namespace, list.config, config);
    let of_platform = shards.chunk_by(|one, next| one.platform == next.platform);
    let numbered = of_platform.flat_map(|shards| (1..).zip(shards));
    let build = |(serial, shard): (u32, &content::Shard)| {
        let base = shard.base();
        let creation = CreationRecord {
            content: content::hash(list.namespace, name, &base, &Digests::new()),
            base,
            platform: shard.platform,
            serial,
            attempt: 1,
            ..CreationRecord::default()
        };
        creation::object(list, name, config, shard, &creation, None)
    };
    numbered.map(build).collect()
}
