//! What the newest generation's own pods say their tags are.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::digests::{Digest, Digests};
use super::record::Looks;
use crate::coverage::{Hold, Node};
use crate::plan::generation::Generation;
use crate::plan::refresh::all_turns_have_come;
use crate::plan::rounds::Facts;

/// How long after the last node's turn a node may still be pulling for the round.
const PULLS: SignedDuration = SignedDuration::from_mins(5);

/// What the newest generation's own pods say.
pub struct Holders<'a> {
    /// The nodes on which they hold anything.
    pub nodes: BTreeSet<&'a str>,
    digests: Digests,
    /// Without those on nodes that joined after the generation was made.
    of_round: Digests,
}

impl<'a> Holders<'a> {
    /// What the pods of that generation say now. A pod on a node that is gone says nothing.
    pub fn of(facts: &Facts<'a>, newest: &Generation) -> Self {
        let known = facts.nodes.map(|nodes| nodes.iter().map(|node| (node.name.as_str(), node)));
        let known: Option<HashMap<&str, &Node>> = known.map(Iterator::collect);
        let epoch = newest.record.as_ref().map(|record| record.epoch);
        let joined_later = |node: &Node| node.created.zip(epoch).is_some_and(|(created, epoch)| epoch < created);
        let (mut nodes, mut said) = (BTreeSet::new(), BTreeSet::new());
        for pod in facts.coverage.pods_of(facts.list.label).filter(|pod| *pod.generation == *newest.name) {
            let Some(node) = pod.node.as_deref() else { continue };
            let (architecture, late) = match known.as_ref().map(|known| known.get(node)) {
                None => ("", false),
                Some(Some(node)) => (node.architecture().unwrap_or_default(), joined_later(node)),
                Some(None) => continue,
            };
            if pod.images.iter().any(|image| image.state.hold() == Hold::Running) {
                nodes.insert(node);
            }
            said.extend(pod.images.iter().map(|image| (&*image.name, architecture, late, &*image.image_id)));
        }
        let (mut digests, mut of_round) = (Digests::default(), Digests::default());
        for (image, architecture, late, image_id) in said {
            let Some(digest) = Digest::of_image_id(image_id) else { continue };
            if !late {
                of_round.add(image, architecture, digest.clone());
            }
            digests.add(image, architecture, digest);
        }
        Self { nodes, digests, of_round }
    }

    /// Whether every node has had the time to pull for the round; else when it will have.
    pub fn round_is_over(&self, facts: &Facts, newest: &Generation) -> Result<(), Timestamp> {
        let Some(record) = newest.record.as_ref().filter(|_| !newest.looks.holders_known) else { return Ok(()) };
        let over = all_turns_have_come(record.epoch, record.spread_seconds).checked_add(PULLS);
        let over = over.unwrap_or(Timestamp::MAX);
        if over <= facts.now { Ok(()) } else { Err(over) }
    }

    /// Takes into the known digests what they say: in their round all of it, else only of images and architectures of
    /// which nothing is known yet.
    pub fn take_into(&self, looks: &mut Looks, round_is_over: bool) {
        if !looks.holders_known {
            for (image, architecture, digest) in self.of_round.iter() {
                looks.known.add(image, architecture, digest.clone());
                looks.holders_known |= round_is_over;
            }
        }
        let unknown = |known: &Digests, image: &str, architecture: &str| known.of(image, architecture).is_empty();
        let first = self.digests.iter().filter(|(image, architecture, _)| unknown(&looks.known, image, architecture));
        for (image, architecture, digest) in first.collect::<Vec<_>>() {
            looks.known.add(image, architecture, digest.clone());
        }
    }
}
