//! How much work a plan is.

use proptest::prelude::*;
use proptest::sample::Index;

use super::simulation::{Simulation, State};
use crate::plan::Generation;
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

/// A rollout of all of so many shards with an image each, on one node.
fn rollout_of_shards(shards: usize) -> Simulation {
    let images: Vec<String> = (0..shards).map(|image| format!("i:{image}")).collect();
    let list =
        |made: &str| format!("{{images: [{}], imagesPerPod: 1, podAnnotations: {{made: {made}}}}}", images.join(", "));
    let mut simulation = Simulation::settled(&list("a"), 2);
    simulation.edit(&list("b"));
    simulation.pass(jiff::SignedDuration::from_secs(2));
    simulation.act();
    simulation.place_pods();
    simulation
}

#[test]
fn an_image_is_looked_for_in_the_pods_of_its_shard_however_many_there_are() {
    let checked = |simulation: &Simulation| {
        simulation.inspect(|context| {
            let generations: Vec<&Generation> = context.generations.iter().collect();
            let need = Generations::of(context).need.expect("generations are retiring");
            (need.on("n0").count(), need.with_image("n0", "docker.io/library/i:0", &generations).1)
        })
    };
    assert_eq!(checked(&rollout_of_shards(3)), (6, 2));
    assert_eq!(checked(&rollout_of_shards(12)), (24, 2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn the_pods_with_an_image_are_those_that_a_look_at_all_pods_finds(
        gone in prop::collection::vec(any::<Index>(), 0..6),
        failed in prop::collection::vec((any::<Index>(), any::<Index>()), 0..6),
        newer in prop::collection::vec(any::<bool>(), 8),
    ) {
        let mut simulation = rollout_of_shards(4);
        for (pod, container) in failed {
            let pod = pod.index(simulation.pods.len());
            let containers = &mut simulation.pods[pod].containers;
            let container = container.index(containers.len());
            containers[container].state = State::Failed;
        }
        for pod in gone {
            let pod = pod.index(simulation.pods.len());
            simulation.pods.remove(pod);
        }
        simulation.inspect(|context| {
            let newer: Vec<&Generation> =
                context.generations.iter().zip(&newer).filter(|(_, is)| **is).map(|(it, _)| it).collect();
            let Some(need) = Generations::of(context).need else { return Ok(()) };
            for (node, image) in ["n0", "n1"].into_iter().flat_map(|node| (0..4).map(move |image| (node, image))) {
                let image = format!("docker.io/library/i:{image}");
                let is_newer = |name: &str| newer.iter().any(|it| it.name == name);
                let plain = need.on(node).filter(|it| is_newer(&it.pod.generation));
                let plain = plain.filter(|it| it.images().any(|(form, _)| **form == *image));
                let mut plain: Vec<&str> = plain.map(|it| &*it.pod.generation).collect();
                plain.sort_unstable();
                prop_assert_eq!(need.with_image(node, &image, &newer).0, plain);
            }
            Ok(())
        })?;
    }
}
