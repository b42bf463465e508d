//! Where an older generation is still needed.
//!
//! A node needs it as long as its pod there holds an image that is still on the list and that no newer generation's pod
//! holds there as firmly. Newer generations that are to be deleted do not count, nor do pods that are removed by
//! scoping down.

mod absent;
mod generation_numbers;
mod holding;
mod needed;
mod on_node;
mod pod_images;

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::generation::Generation;
use crate::coverage::Hold;
pub use holding::{HoldingPod, Need};
use holding::{KnownNodes, of_generation};
use needed::NeededSoFar;
pub use needed::{Blocker, Needed};
use on_node::{Newer, OnNode};

impl<'a> Need<'a> {
    /// Where `generation` is needed. `staying` are the newer generations that stay.
    pub fn of(&self, generation: &Generation, staying: &[&Generation]) -> Needed<'a> {
        let newer = Newer::new(staying, self);
        let mut needed = NeededSoFar::of_pods_on(self.nodes_of(generation));
        if let Some(number) = self.number_of(generation) {
            for (node, pods) in &self.pods {
                let on = OnNode::new(self, node, pods, &newer);
                of_generation(pods, number)
                    .iter()
                    .for_each(|own| self.add_pod(node, own, generation, &on, &mut needed));
            }
        }
        self.add_absent(generation, staying, &newer, &mut needed);
        needed.total(&self.forms)
    }

    fn add_pod(
        &self,
        node: &'a str,
        own: &HoldingPod<'a>,
        generation: &Generation,
        on: &OnNode<'_, 'a>,
        needed: &mut NeededSoFar<'a>,
    ) {
        for it in &own.images.all {
            // Keep an image that may be on the disk until the pod has tried it.
            let hold = match it.image.state.hold() {
                Hold::None if generation.deserves_try(own.pod, it.image) => Hold::Exited,
                Hold::None => continue,
                hold => hold,
            };
            let wanting = || self.wanting(node, own, it.number);
            if wanting().next().is_some() && !on.is_held(it.number, hold) {
                needed.add(node, it.number, on.blocker(it.number, wanting()));
            }
        }
    }

    /// The selections of groups after which a generation's nodes have to be recounted before it is known where it is
    /// needed.
    pub fn uncounted(&self, generation: &Generation, needed: &Needed) -> Option<BTreeSet<String>> {
        let KnownNodes::Unreadable(deselection) = &self.nodes else { return None };
        let groups_of = |image: &str| self.forms.find(image).into_iter().flat_map(|image| self.groups_with(image));
        // Nodes share the sets of images that they need, and most images of a set are wanted by the same groups.
        let mut wanting: HashMap<*const BTreeSet<Rc<str>>, BTreeSet<Vec<usize>>> = HashMap::new();
        for images in needed.nodes.values() {
            let of_set = || images.iter().map(|image| groups_of(image).collect()).collect();
            wanting.entry(Rc::as_ptr(images)).or_insert_with(of_set);
        }
        let of_node = |images: &Rc<BTreeSet<Rc<str>>>| wanting.get(&Rc::as_ptr(images)).into_iter().flatten();
        let needed = needed.nodes.iter().flat_map(|(node, images)| of_node(images).map(|groups| (*node, groups)));
        let needed = needed.map(|(node, groups)| (node, groups.iter().map(|group| &self.config.groups[*group])));
        deselection.uncounted(generation, needed)
    }

    /// Whether a generation was built with any image that another one is needed for.
    pub fn was_built_with_any_of(&self, generation: &Generation, needed: &Needed) -> bool {
        let images = self.built_with.get(generation.name.as_str());
        let with =
            |image: &Rc<str>| self.forms.find(image).zip(images).is_some_and(|(it, images)| images.contains(&it));
        needed.images.iter().any(with)
    }
}
