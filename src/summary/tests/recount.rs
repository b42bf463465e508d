//! Over random histories the summary equals a recount of the cluster by hand, in whatever order its event arrives.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::world::{Fate, GENERATIONS, Life, Pod, node, summed_up, taint};
use crate::coverage::{Coverage, Node, SlimPod};
use crate::summary::node_state::NodeState;

const NODES: [&str; 3] = ["n0", "n1", "n2"];

#[derive(Clone, Debug)]
enum Change {
    PodComes(usize, usize),
    PodGoes(Index),
    PodIsDeleting(Index),
    PodLives(Index, Life),
    ImageFares(Index, usize, Fate),
    NodeComes(usize),
    NodeGoes(usize),
    NodeIs(usize, [bool; 5]),
}

fn change() -> impl Strategy<Value = Change> {
    let fate =
        prop::sample::select(vec![Fate::Waiting, Fate::Pulling, Fate::Held, Fate::Held, Fate::Failed, Fate::Crashed]);
    let life = prop::sample::select(vec![Life::Live, Life::InitFailing, Life::NoCapacity, Life::Evicted]);
    prop_oneof![
        6 => (0..GENERATIONS.len(), 0..NODES.len()).prop_map(|(generation, node)| Change::PodComes(generation, node)),
        1 => any::<Index>().prop_map(Change::PodGoes),
        1 => any::<Index>().prop_map(Change::PodIsDeleting),
        2 => (any::<Index>(), life).prop_map(|(pod, life)| Change::PodLives(pod, life)),
        9 => (any::<Index>(), 0usize..2, fate).prop_map(|(pod, image, fate)| Change::ImageFares(pod, image, fate)),
        3 => (0..NODES.len()).prop_map(Change::NodeComes),
        1 => (0..NODES.len()).prop_map(Change::NodeGoes),
        3 => (0..NODES.len(), any::<[bool; 5]>()).prop_map(|(node, is)| Change::NodeIs(node, is)),
    ]
}

/// What the API server tells.
#[derive(Clone)]
enum WatchEvent {
    Apply(Box<SlimPod>),
    Delete(Box<SlimPod>),
}

fn take_in(coverage: &mut Coverage, event: &WatchEvent) {
    match event {
        WatchEvent::Apply(pod) => coverage.apply(pod),
        WatchEvent::Delete(pod) => coverage.delete(pod),
    }
}

/// The cluster as it is.
#[derive(Default)]
struct World {
    nodes: BTreeMap<&'static str, Node>,
    pods: Vec<Pod>,
    uids: usize,
    version: u64,
}

impl World {
    fn change(&mut self, change: &Change) -> Option<WatchEvent> {
        self.version += 1;
        match change {
            Change::PodComes(generation, node) => {
                self.uids += 1;
                let pod = Pod { version: self.version, ..Pod::new(self.uids, *generation, NODES[*node]) };
                self.pods.push(pod.clone());
                return Some(WatchEvent::Apply(Box::new(pod.as_sent())));
            }
            Change::PodGoes(index) if !self.pods.is_empty() => {
                let pod = self.pods.remove(index.index(self.pods.len()));
                return Some(WatchEvent::Delete(Box::new(pod.as_sent())));
            }
            Change::PodIsDeleting(index) => return self.change_pod(*index, |pod| pod.deleting = true),
            Change::PodLives(index, life) => return self.change_pod(*index, |pod| pod.life = *life),
            Change::ImageFares(index, image, fate) => return self.change_pod(*index, |pod| pod.fates[*image] = *fate),
            Change::PodGoes(_) => {}
            Change::NodeComes(index) => drop(self.nodes.entry(NODES[*index]).or_insert_with(|| node(NODES[*index]))),
            Change::NodeGoes(index) => drop(self.nodes.remove(NODES[*index])),
            Change::NodeIs(index, [ready, cordoned, deleting, tainted, elsewhere]) => {
                if let Some(node) = self.nodes.get_mut(NODES[*index]) {
                    (node.ready, node.unschedulable, node.deleting) = (*ready, *cordoned, *deleting);
                    node.taints = tainted.then(taint).into_iter().collect();
                    let zone = if *elsewhere { "q" } else { "p" };
                    node.labels.insert("zone".to_owned(), zone.to_owned());
                }
            }
        }
        None
    }

    fn change_pod(&mut self, index: Index, change: impl FnOnce(&mut Pod)) -> Option<WatchEvent> {
        if self.pods.is_empty() {
            return None;
        }
        let index = index.index(self.pods.len());
        let pod = &mut self.pods[index];
        pod.version = self.version;
        change(pod);
        Some(WatchEvent::Apply(Box::new(pod.as_sent())))
    }

    /// What the state of an image of the group with that newest generation is on a node, straight from the rules.
    fn recount(&self, group: &str, newest: usize, spellings: [&str; 2], name: &str) -> Option<NodeState> {
        let node = self.nodes.get(name)?;
        let here: Vec<&Pod> = self.pods.iter().filter(|pod| pod.node == name && !pod.deleting).collect();
        let selected = group == "q" || node.labels.get("zone") == Some("p");
        let has_own_pod = here.iter().any(|pod| GENERATIONS[pod.generation].1 == group);
        if !selected || (!node.taints.is_empty() && !has_own_pod) {
            return None;
        }
        if node.deleting {
            return Some(NodeState::Deleting);
        }
        if !node.ready {
            return Some(NodeState::NotReady);
        }
        let fate = |pod: &Pod| {
            let position = pod.images().iter().position(|(_, image)| spellings.contains(image))?;
            Some(pod.fates[position])
        };
        if here.iter().any(|pod| pod.is_alive() && fate(pod) == Some(Fate::Held)) {
            return Some(NodeState::Warm);
        }
        if node.unschedulable {
            return Some(NodeState::Cordoned);
        }
        if !node.taints.is_empty() {
            return Some(NodeState::Tainted);
        }
        // Both newest generations have all images of their groups, so a pod of them, or of a later one, is there or missing.
        let reported = here.iter().filter(|pod| pod.generation >= newest && fate(pod).is_some());
        let best = reported.min_by_key(|pod| {
            let life = [Life::NoCapacity, Life::Evicted].iter().position(|life| *life == pod.life);
            (std::cmp::Reverse(pod.generation), life)
        });
        Some(match best.map(|pod| (pod.life, fate(pod), pod)) {
            // A pod that is being deleted is about to be replaced.
            None if self
                .pods
                .iter()
                .any(|it| it.node == name && it.deleting && GENERATIONS[it.generation].1 == group) =>
            {
                NodeState::Waiting
            }
            None => NodeState::Displaced,
            Some((Life::NoCapacity, ..)) => NodeState::NoCapacity,
            Some((Life::Evicted, ..)) => NodeState::Displaced,
            Some((Life::InitFailing, ..)) => NodeState::InitFailed,
            Some((Life::Live, Some(Fate::Failed), _)) => NodeState::Failed,
            Some((Life::Live, Some(Fate::Crashed), _)) => NodeState::CannotStart,
            Some((Life::Live, _, pod)) if pod.fates.contains(&Fate::Waiting) => NodeState::Waiting,
            Some(_) => NodeState::Pulling,
        })
    }

    /// Several pods of one generation on one node are never more than one that lives, as DaemonSets make it so.
    fn is_possible(&self) -> bool {
        self.pods.iter().all(|pod| {
            let same = |other: &&Pod| other.generation == pod.generation && other.node == pod.node && !other.deleting;
            self.pods
                .iter()
                .filter(same)
                .filter(|other| other.life == pod.life || other.is_alive() && pod.is_alive())
                .count()
                <= 1
        })
    }

    fn check(&self, coverage: &Coverage) {
        let nodes: Vec<Node> = self.nodes.values().cloned().collect();
        summed_up(coverage, Some(&nodes), |summary| {
            for group in summary.groups() {
                let (name, newest) = (group.group.name.as_str(), if group.group.name.as_str() == "p" { 2 } else { 3 });
                for image in group.images() {
                    let reference = image.image.reference.as_str();
                    let short = reference.trim_start_matches("docker.io/library/");
                    let spellings = [short, &format!("docker.io/library/{short}")];
                    let recount = |node: &&'static str| Some((*node, self.recount(name, newest, spellings, node)?));
                    let expected: Vec<_> = NODES.iter().filter_map(recount).collect();
                    let found: Vec<_> = image.nodes.iter().map(|it| (it.node, it.state)).collect();
                    assert_eq!(found, expected, "{name} {reference} {:#?}", self.pods);
                    let warm = expected.iter().filter(|(_, state)| *state == NodeState::Warm).count();
                    assert_eq!(image.counts().warm(), warm);
                }
            }
        });
    }
}

proptest! {
    #[test]
    fn at_every_step_the_summary_equals_a_recount_though_old_events_are_seen_again(
        changes in vec((change(), any::<Index>()), 1..40),
    ) {
        let (mut world, mut coverage, mut reported) = (World::default(), Coverage::default(), Vec::<WatchEvent>::new());
        for (change, again) in &changes {
            let event = world.change(change);
            event.iter().for_each(|event| take_in(&mut coverage, event));
            reported.extend(event);
            if !reported.is_empty() {
                take_in(&mut coverage, &reported[again.index(reported.len())]);
            }
            if world.is_possible() {
                world.check(&coverage);
            }
        }
    }

    #[test]
    fn in_the_end_it_does_not_matter_in_which_order_the_events_came(changes in vec((change(), any::<u32>()), 1..40)) {
        let mut world = World::default();
        let reported = changes.iter().filter_map(|(change, order)| Some((order, world.change(change)?)));
        let mut reported: Vec<_> = reported.collect();
        reported.sort_by_key(|(order, _)| **order);
        let mut coverage = Coverage::default();
        reported.iter().for_each(|(_, event)| take_in(&mut coverage, event));
        if world.is_possible() {
            world.check(&coverage);
        }
    }
}
