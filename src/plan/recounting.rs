//! When the DaemonSet controller has to recount the nodes of a retiring generation ([`super::deselection`]).

use super::decision::Action;
use super::generations::Generations;

/// Recounts that have to precede the decision where generations are needed.
pub fn recounts(generations: &Generations) -> impl Iterator<Item = Action> {
    generations.retiring.iter().filter_map(|it| {
        let selections = generations.need.as_ref()?.uncounted(it.generation, &it.needed)?;
        let (name, uid) = (it.generation.name.clone(), it.generation.uid.clone());
        Some(Action::Recount { name, uid, selections })
    })
}
