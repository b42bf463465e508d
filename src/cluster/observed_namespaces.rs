//! The namespaces, by whose labels lists select them, as the watch has seen them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::core::{Selector, SelectorExt};

use crate::discovery::KnownNamespaces;

/// The namespaces; unknown unless they are watched. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct ObservedNamespaces(Arc<Mutex<Option<KnownNamespaces>>>);

impl ObservedNamespaces {
    /// Announces a watch, which has seen nothing yet.
    pub fn expect(&self) {
        *self.lock() = Some(KnownNamespaces::default());
    }

    /// Replaces all namespaces after a listing.
    pub fn replace(&self, labels: BTreeMap<String, Arc<BTreeMap<String, String>>>) {
        *self.lock() = Some(KnownNamespaces { complete: true, labels });
    }

    /// Records the labels of a namespace as they are now. Returns whether they changed.
    pub fn apply(&self, name: String, labels: BTreeMap<String, String>) -> bool {
        let mut namespaces = self.lock();
        let Some(known) = namespaces.as_mut() else { return false };
        if known.labels.get(&name).is_some_and(|before| **before == labels) {
            return false;
        }
        known.labels.insert(name, Arc::new(labels));
        true
    }

    /// Records that a namespace was deleted. Returns whether it was known.
    pub fn delete(&self, name: &str) -> bool {
        self.lock().as_mut().is_some_and(|known| known.labels.remove(name).is_some())
    }

    /// Records that the watch failed. What it has seen stays, but may be outdated.
    pub fn failed(&self) {
        if let Some(known) = self.lock().as_mut() {
            known.complete = false;
        }
    }

    /// The labels of a namespace.
    pub fn labels_of(&self, name: &str) -> Option<Arc<BTreeMap<String, String>>> {
        self.lock().as_ref()?.labels.get(name).cloned()
    }

    /// What is known of the namespaces that one of these selectors matches; `None` if they are not watched.
    pub fn selected_by(&self, selectors: &[&Selector]) -> Option<KnownNamespaces> {
        let namespaces = self.lock();
        let known = namespaces.as_ref()?;
        let is_selected = |labels: &BTreeMap<String, String>| selectors.iter().any(|it| it.matches(labels));
        let selected = known.labels.iter().filter(|(_, labels)| is_selected(labels));
        let labels = selected.map(|(name, labels)| (name.clone(), Arc::clone(labels))).collect();
        Some(KnownNamespaces { complete: known.complete, labels })
    }

    fn lock(&self) -> MutexGuard<'_, Option<KnownNamespaces>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Expression;

    use super::*;

    fn team(name: &str) -> BTreeMap<String, String> {
        [("team".to_owned(), name.to_owned())].into()
    }

    fn of_team(name: &str) -> Selector {
        Expression::Equal("team".to_owned(), name.to_owned()).into()
    }

    /// The names of those that the selectors match, and whether these are all.
    fn selected(observed: &ObservedNamespaces, selectors: &[&Selector]) -> Option<(Vec<String>, bool)> {
        let known = observed.selected_by(selectors)?;
        Some((known.labels.into_keys().collect(), known.complete))
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn without_a_watch_no_namespace_is_known() {
        let observed = ObservedNamespaces::default();
        assert!(!observed.apply("shop".to_owned(), team("a")) && !observed.delete("shop"));
        observed.failed();
        assert_eq!(selected(&observed, &[&Selector::default()]), None);
        assert_eq!(observed.labels_of("shop"), None);
    }

    #[test]
    fn namespaces_are_complete_once_they_were_listed_and_until_the_watch_fails() {
        let observed = ObservedNamespaces::default();
        let all = Selector::default();
        observed.expect();
        assert_eq!(selected(&observed, &[&all]), Some((Vec::new(), false)));
        observed.replace([("shop".to_owned(), Arc::new(team("a")))].into());
        assert_eq!(selected(&observed, &[&all]), Some((names(&["shop"]), true)));
        observed.failed();
        assert_eq!(selected(&observed, &[&all]), Some((names(&["shop"]), false)), "what was seen stays");
        observed.replace(BTreeMap::new());
        assert_eq!(selected(&observed, &[&all]), Some((Vec::new(), true)));
    }

    #[test]
    fn only_labels_that_change_are_a_change() {
        let observed = ObservedNamespaces::default();
        observed.expect();
        assert!(observed.apply("shop".to_owned(), team("a")));
        assert!(!observed.apply("shop".to_owned(), team("a")), "its annotations have changed");
        assert!(observed.apply("shop".to_owned(), team("b")));
        assert_eq!(observed.labels_of("shop").as_deref(), Some(&team("b")));
        assert!(observed.delete("shop") && !observed.delete("shop"));
    }

    #[test]
    fn each_selector_selects_some() {
        let observed = ObservedNamespaces::default();
        observed.expect();
        for (name, of) in [("shop", "a"), ("pay", "b"), ("web", "c")] {
            observed.apply(name.to_owned(), team(of));
        }
        let (a, b) = (of_team("a"), of_team("b"));
        assert_eq!(selected(&observed, &[&a, &b]), Some((names(&["pay", "shop"]), false)));
        assert_eq!(selected(&observed, &[]), Some((Vec::new(), false)));
    }
}
