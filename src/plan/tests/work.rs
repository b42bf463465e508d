//! How much work a plan is.

use super::simulation::Simulation;
use crate::plan::generations::Generations;

const IMAGES: &str = "[a:1, b:1, c:1, d:1, e:1, f:1, g:1, h:1]";
const ONE_MORE: &str = "[a:1, b:1, c:1, d:1, e:1, f:1, g:1, h:1, i:1]";

/// How many sets of images a plan reads, and how many pods there are.
fn distinct_sets(simulation: &Simulation) -> (usize, usize) {
    let distinct = simulation.inspect(|context| Generations::of(context).need.map_or(0, |need| need.distinct));
    (distinct, simulation.pods.len())
}

#[test]
fn the_images_of_pods_that_look_alike_are_read_once_on_any_number_of_nodes() {
    let begun = |nodes| {
        let mut simulation = Simulation::settled(IMAGES, nodes);
        simulation.edit(ONE_MORE);
        simulation.pass(jiff::SignedDuration::from_secs(2));
        simulation.act();
        simulation.place_pods();
        simulation
    };
    let (few, many) = (begun(3), begun(60));
    assert_eq!(distinct_sets(&few).1, 6);
    assert_eq!(distinct_sets(&many).1, 120);
    assert_eq!(distinct_sets(&few).0, distinct_sets(&many).0);
    assert!(distinct_sets(&many).0 <= 2, "one set for each generation");
}

#[test]
fn nodes_that_need_the_same_images_of_an_older_generation_share_their_names() {
    let mut simulation = Simulation::settled(IMAGES, 60);
    simulation.edit(ONE_MORE);
    simulation.pass(jiff::SignedDuration::from_secs(2));
    simulation.act();
    simulation.place_pods();
    simulation.inspect(|context| {
        let generations = Generations::of(context);
        let needed = &generations.retiring[0].needed;
        assert_eq!((needed.nodes.len(), needed.images.len()), (60, 8));
        let first = needed.nodes.values().next().expect("a node");
        assert!(needed.nodes.values().all(|images| std::rc::Rc::ptr_eq(images, first)));
    });
}
