//! The labels of nodes. Most of them are the same on many nodes, so each is kept once.

use std::sync::Arc;

use super::pool::Pool;

/// The labels of a node. A copy takes next to nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeLabels(Arc<[Arc<NodeLabel>]>);

/// One label.
#[derive(Debug, PartialEq, Eq, Hash)]
struct NodeLabel {
    key: Box<str>,
    value: Box<str>,
}

impl NodeLabel {
    fn new((key, value): (&str, &str)) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

impl NodeLabels {
    /// The value of a label.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.place_of(key).ok().map(|place| &*self.0[place].value)
    }

    fn place_of(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|label| (*label.key).cmp(key))
    }
}

impl FromIterator<(String, String)> for NodeLabels {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(labels: I) -> Self {
        let labels =
            labels.into_iter().map(|(key, value)| Arc::new(NodeLabel { key: key.into(), value: value.into() }));
        let mut labels: Vec<_> = labels.collect();
        labels.sort_by(|one, other| one.key.cmp(&other.key));
        Self(labels.into())
    }
}

impl<const N: usize> From<[(String, String); N]> for NodeLabels {
    fn from(labels: [(String, String); N]) -> Self {
        labels.into_iter().collect()
    }
}

/// Labels that many nodes have in common.
#[derive(Debug, Default)]
pub struct LabelPool(Pool<NodeLabel>);

impl LabelPool {
    /// The labels of a node, as far as possible those that other nodes have too. They are sorted by their keys.
    pub fn share<'l>(&mut self, labels: impl Iterator<Item = (&'l str, &'l str)>) -> NodeLabels {
        NodeLabels(labels.map(|label| self.0.share(NodeLabel::new(label))).collect())
    }
}

#[cfg(test)]
impl NodeLabels {
    /// Sets a label.
    pub fn insert(&mut self, key: String, value: String) {
        let label = Arc::new(NodeLabel { key: key.into(), value: value.into() });
        let mut labels = self.0.to_vec();
        match self.place_of(&label.key) {
            Ok(place) => labels[place] = label,
            Err(place) => labels.insert(place, label),
        }
        self.0 = labels.into();
    }

    /// Removes a label.
    pub fn remove(&mut self, key: &str) {
        let others = self.0.iter().filter(|label| *label.key != *key);
        self.0 = others.cloned().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned((key, value): (&str, &str)) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn labels_are_found_by_their_keys() {
        let mut labels = NodeLabels::from([("b", "2"), ("a", "1"), ("c", "")].map(owned));
        let found = |labels: &NodeLabels| ["a", "b", "c", "d"].map(|key| labels.get(key).map(str::to_owned));
        assert_eq!(found(&labels), [Some("1".into()), Some("2".into()), Some(String::new()), None]);
        labels.insert("d".to_owned(), "4".to_owned());
        labels.insert("a".to_owned(), "0".to_owned());
        labels.remove("b");
        assert_eq!(found(&labels), [Some("0".into()), None, Some(String::new()), Some("4".into())]);
    }

    #[test]
    fn a_label_that_many_nodes_have_is_kept_once() {
        let mut pool = LabelPool::default();
        let of = |pool: &mut LabelPool, name: &str| pool.share([("arch", "amd64"), ("hostname", name)].into_iter());
        let (one, other) = (of(&mut pool, "a"), of(&mut pool, "b"));
        assert!(Arc::ptr_eq(&one.0[0], &other.0[0]));
        assert_eq!((one.get("hostname"), other.get("hostname")), (Some("a"), Some("b")));
        assert_eq!(pool.0.len(), 3);
    }
}
