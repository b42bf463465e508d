//! What a change in the cluster concerns.

/// Which lists have to be reconciled after something changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// One list, by the value of its label.
    List(String),
    /// One list, by the value of its label, because the list itself was edited.
    Edited(String),
    /// All lists.
    Everything,
}
