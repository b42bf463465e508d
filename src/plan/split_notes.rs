//! For how many parallel pulls a group is split, as stored on its generations.
//!
//! Only a change of the key `parallelPulls` splits or joins shards ([`super::sharding`]), and the generations show that it was changed. A
//! change that needs no other shards creates no generation, and nor does one for the shards that keep their images. So their number is
//! noted once all shards are as the list wants them. Otherwise a later edit of images would pass for a change of the key.

use super::context::Context;
use super::daemon_set;
use super::decision::Action;
use super::generation::Generation;
use super::generations::Generations;
use crate::list::config::Group;

/// The numbers to note. Nothing is split or joined for them, since all shards are as they should be.
pub fn notes(context: &Context, generations: &Generations) -> Vec<Action> {
    let shards = &context.list.config.groups;
    let is_current =
        |shard: &Group| generations.newest_of(shard).is_some_and(|newest| is_built_from(context, shard, newest));
    let is_settled = |group: &Group| context.list.config.shards_of(group.name.as_str()).all(is_current);
    let stale = shards.iter().filter_map(|shard| {
        let newest = generations.newest_of(shard)?;
        (newest.parallel_pulls != shard.parallel_pulls).then_some((shard, newest))
    });
    let notes = stale.filter(|(shard, _)| is_settled(shard)).map(|(shard, newest)| Action::NoteParallelPulls {
        daemon_set: newest.name.clone(),
        uid: newest.uid.clone(),
        parallel_pulls: shard.parallel_pulls,
    });
    notes.collect()
}

fn is_built_from(context: &Context, shard: &Group, newest: &Generation) -> bool {
    let record = newest.record.as_ref();
    record.is_some_and(|record| daemon_set::was_built_from(context.list, shard, newest, record))
}
