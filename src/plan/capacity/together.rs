//! Old pods that leave a full node together, for several new ones.
//!
//! If a group is split, or images move between its shards, no single new pod has all images of an old one. Then the old pods of the group
//! leave the node together, but only if what they free is known to be enough for all new pods that wait there: otherwise an image that
//! is held could lose its place to a pod without it.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::super::generations::Retiring;
use super::super::retiring::HoldingPod;
use super::FullNodes;
use crate::coverage::requests::Requests;
use crate::coverage::{PodState, Shortage};

impl<'a> FullNodes<'_, 'a> {
    /// Whether these generations, all that the node needs of a group, may leave it together: several waiting pods have their images, will
    /// pull them, and fit into what is freed.
    pub(super) fn may_remove_together(&self, node: &str, retiring: &[&Retiring<'a>]) -> bool {
        let mut images = retiring.iter().filter_map(|it| it.needed.nodes.get(node)).flat_map(|images| images.iter());
        self.is_usable(node)
            && self.needs_several(node, retiring)
            && images.all(|image| self.waiting_on(node).any(|waiting| self.will_pull(waiting, image)))
            && self.is_enough(node, retiring)
    }

    /// Whether several new pods would replace these generations on the node, and what is freed is not known to be enough for them.
    pub(super) fn is_too_small(&self, node: &str, retiring: &[&Retiring<'a>]) -> bool {
        self.needs_several(node, retiring) && !self.is_enough(node, retiring)
    }

    /// Whether the waiting pods together have all images that the generations are needed for, but none has all of one of them.
    fn needs_several(&self, node: &str, retiring: &[&Retiring<'a>]) -> bool {
        let has = |waiting: &HoldingPod, image: &Rc<str>| waiting.images().any(|(form, _)| form == image);
        let needed = || retiring.iter().filter_map(|it| it.needed.nodes.get(node));
        let has_all = |waiting: &HoldingPod, images: &BTreeSet<Rc<str>>| images.iter().all(|image| has(waiting, image));
        needed().any(|images| !self.waiting_on(node).any(|waiting| has_all(waiting, images)))
            && needed()
                .all(|images| images.iter().all(|image| self.waiting_on(node).any(|waiting| has(waiting, image))))
    }

    /// Whether all pods that wait on the node fit into what these generations free there, as far as is known. At its pod limit, and
    /// without a free address, each takes what another had.
    fn is_enough(&self, node: &str, retiring: &[&Retiring<'a>]) -> bool {
        let leaves = |it: &&HoldingPod| {
            let is_of = |retiring: &&Retiring| *it.pod.generation == *retiring.generation.name;
            retiring.iter().any(is_of) && it.pod.node.is_some() && it.pod.state == PodState::Live
        };
        let is_newest =
            |it: &HoldingPod| self.generations.newest.iter().any(|newest| *newest.name == *it.pod.generation);
        let comes = |it: &&HoldingPod| it.pod.no_capacity.is_some() && it.holds_nothing() && is_newest(it);
        let takes_a_place = |it: &HoldingPod| {
            let shortage = it.pod.no_capacity.as_ref().map(|it| it.shortage);
            matches!(shortage, Some(Shortage::Pods | Shortage::Addresses))
        };
        let (freed, places) = total(self.need.on(node).filter(leaves));
        let (wanted, pods) = total(self.need.on(node).filter(comes));
        let is_short_of_places = self.need.on(node).filter(comes).any(takes_a_place);
        wanted.fits_into(freed) && (pods <= places || !is_short_of_places)
    }
}

/// What pods request together, and their number.
fn total<'n, 'a: 'n>(pods: impl Iterator<Item = &'n HoldingPod<'a>>) -> (Requests, usize) {
    pods.fold((Requests::default(), 0), |(sum, number), it| (sum + it.pod.requests, number + 1))
}
