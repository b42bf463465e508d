//! The cluster's nodes.

use std::ops::Deref;
use std::sync::Arc;

use super::node::Node;

/// The cluster's nodes, by name. A copy shares everything with the original, which may change meanwhile.
#[derive(Clone, Debug, Default)]
pub struct NodeSet(Arc<Vec<Arc<Node>>>);

impl NodeSet {
    /// The node of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Node>> {
        self.place_of(name).ok().map(|place| &self.0[place])
    }

    /// Records a node as it is now. Returns whether that is new.
    pub fn insert(&mut self, node: Node) -> bool {
        match self.place_of(&node.name) {
            Ok(place) if *self.0[place] == node => return false,
            Ok(place) => Arc::make_mut(&mut self.0)[place] = Arc::new(node),
            Err(place) => Arc::make_mut(&mut self.0).insert(place, Arc::new(node)),
        }
        true
    }

    /// Removes a node. Returns whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let place = self.place_of(name);
        place.map(|place| Arc::make_mut(&mut self.0).remove(place)).is_ok()
    }

    fn place_of(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|node| node.name.as_str().cmp(name))
    }
}

impl Deref for NodeSet {
    type Target = [Arc<Node>];

    fn deref(&self) -> &[Arc<Node>] {
        &self.0
    }
}

impl FromIterator<Node> for NodeSet {
    fn from_iter<I: IntoIterator<Item = Node>>(nodes: I) -> Self {
        let mut nodes: Vec<Arc<Node>> = nodes.into_iter().map(Arc::new).collect();
        nodes.sort_by(|one, other| one.name.cmp(&other.name));
        Self(Arc::new(nodes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, ready: bool) -> Node {
        Node { name: name.to_owned(), ready, ..Node::default() }
    }

    #[test]
    fn nodes_are_found_by_name_and_a_copy_stays_as_it_is() {
        let mut nodes: NodeSet = ["c", "a"].into_iter().map(|name| node(name, true)).collect();
        let copy = nodes.clone();
        assert!(nodes.insert(node("b", true)) && nodes.insert(node("a", false)) && nodes.remove("c"));
        assert!(!nodes.insert(node("b", true)) && !nodes.remove("c"));
        let names = |nodes: &NodeSet| nodes.iter().map(|node| node.name.clone()).collect::<Vec<_>>();
        assert_eq!((names(&nodes), names(&copy)), (vec!["a".into(), "b".into()], vec!["a".into(), "c".into()]));
        assert_eq!((nodes.get("a").map(|it| it.ready), copy.get("a").map(|it| it.ready)), (Some(false), Some(true)));
    }
}
