//! Whether an older generation is still needed.
//!
//! It is needed on a node as long as its pod there holds an image that is still on the list and that no newer generation's
//! pod holds there as firmly.

use std::collections::{HashMap, HashSet};

use super::generation::Generation;
use crate::coverage::{CoveringPod, Hold, Node};
use crate::list::Config;
use crate::list::reference::ImageReference;

/// The pods and the list, arranged for the question.
pub struct Need<'a> {
    pods: HashMap<&'a str, Vec<&'a CoveringPod>>,
    nodes: Option<HashMap<&'a str, &'a Node>>,
    config: &'a Config,
    /// The normal form of every reference in pods and list: the same image may be spelled in two ways.
    normal_forms: HashMap<&'a str, String>,
}

impl<'a> Need<'a> {
    /// Arranges pods by their nodes. `nodes` is `None` where the controller may not read them.
    pub fn new(config: &'a Config, pods: impl Iterator<Item = &'a CoveringPod>, nodes: Option<&'a [Node]>) -> Self {
        let mut by_node: HashMap<&str, Vec<&CoveringPod>> = HashMap::new();
        let mut normal_forms = HashMap::new();
        for pod in pods {
            for image in &pod.images {
                normal_forms.entry(&*image.reference).or_insert_with(|| normal_form(&image.reference));
            }
            if let Some(node) = &pod.node {
                by_node.entry(node).or_default().push(pod);
            }
        }
        Self {
            pods: by_node,
            nodes: nodes.map(|nodes| nodes.iter().map(|node| (node.name.as_str(), node)).collect()),
            config,
            normal_forms,
        }
    }

    /// The nodes on which `generation` is needed; `newer` are the generations that came after it.
    pub fn nodes_that_need(&self, generation: &Generation, newer: &[&Generation]) -> Vec<&'a str> {
        let newer: HashSet<&str> = newer.iter().map(|generation| generation.name.as_str()).collect();
        let mut needed: Vec<&str> = self
            .pods
            .iter()
            .filter(|(node, pods)| self.needed_on(node, pods, &generation.name, &newer))
            .map(|(node, _)| *node)
            .collect();
        needed.sort_unstable();
        needed
    }

    fn needed_on(&self, node: &str, pods: &[&CoveringPod], generation: &str, newer: &HashSet<&str>) -> bool {
        let listed = self.listed_on(node);
        let held = pods.iter().filter(|pod| &*pod.generation == generation && !pod.deleting);
        held.flat_map(|pod| &pod.images).any(|image| {
            let hold = image.state.hold();
            let normal = &self.normal_forms[&*image.reference];
            hold > Hold::None && listed.contains(normal) && self.held_by(pods, newer, normal) < hold
        })
    }

    /// How firmly newer generations hold the image.
    fn held_by(&self, pods: &[&CoveringPod], newer: &HashSet<&str>, normal: &str) -> Hold {
        let newer_pods = pods.iter().filter(|pod| newer.contains(&*pod.generation) && !pod.deleting);
        let same_image = |reference: &str| self.normal_forms[reference] == normal;
        newer_pods
            .flat_map(|pod| &pod.images)
            .filter(|image| same_image(&image.reference))
            .map(|image| image.state.hold())
            .max()
            .unwrap_or(Hold::None)
    }

    /// The images that the list wants on a node, in normal form. A node that is gone wants none.
    fn listed_on(&self, node: &str) -> HashSet<String> {
        let node = match &self.nodes {
            None => None,
            Some(nodes) => match nodes.get(node) {
                Some(node) => Some(*node),
                None => return HashSet::new(),
            },
        };
        let groups = self.config.groups.iter().filter(|group| node.is_none_or(|node| node.takes(&group.placement)));
        groups.flat_map(|group| &group.images).map(|image| image.reference.normal_form()).collect()
    }
}

fn normal_form(reference: &str) -> String {
    ImageReference::parse(reference).map_or_else(|_| reference.to_owned(), |reference| reference.normal_form())
}
