//! Which lists claim a prefix of DaemonSet names, by prefix. So whether a list conflicts with others is found without going through
//! all lists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The prefixes that lists claim.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NameIndex {
    of_list: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    claimants: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
}

impl NameIndex {
    /// Replaces what a list claims. Returns the prefixes that it gave up or claims only now.
    pub fn set(&mut self, list: &str, prefixes: impl IntoIterator<Item = String>) -> BTreeSet<Arc<str>> {
        let prefixes: BTreeSet<Arc<str>> = prefixes.into_iter().map(Arc::from).collect();
        let (list, before) = self.of_list.remove_entry(list).unwrap_or_else(|| (Arc::from(list), BTreeSet::new()));
        for given_up in before.difference(&prefixes) {
            if let Some(claimants) = self.claimants.get_mut(given_up) {
                claimants.remove(&list);
                if claimants.is_empty() {
                    self.claimants.remove(given_up);
                }
            }
        }
        for new in prefixes.difference(&before) {
            self.claimants.entry(Arc::clone(new)).or_default().insert(Arc::clone(&list));
        }
        let changed = before.symmetric_difference(&prefixes).cloned().collect();
        if !prefixes.is_empty() {
            self.of_list.insert(list, prefixes);
        }
        changed
    }

    /// Forgets a list. Returns the prefixes that it claimed.
    pub fn remove(&mut self, list: &str) -> BTreeSet<Arc<str>> {
        self.set(list, [])
    }
}

/// The lists that claim one of these prefixes, those that share another prefix with one of them, and so on. Which of them is
/// rejected depends on no other list: [`super::name_claims::rejections`] of these alone says the same of them as that of all lists.
pub fn connected(indexes: &[&NameIndex], prefixes: impl IntoIterator<Item = Arc<str>>) -> BTreeSet<Arc<str>> {
    let mut known: BTreeSet<Arc<str>> = prefixes.into_iter().collect();
    let mut next: Vec<Arc<str>> = known.iter().cloned().collect();
    let mut lists = BTreeSet::new();
    while let Some(prefix) = next.pop() {
        for list in indexes.iter().filter_map(|index| index.claimants.get(&prefix)).flatten() {
            if !lists.insert(Arc::clone(list)) {
                continue;
            }
            for more in indexes.iter().filter_map(|index| index.of_list.get(list)).flatten() {
                if known.insert(Arc::clone(more)) {
                    next.push(Arc::clone(more));
                }
            }
        }
    }
    lists
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::list::{Config, ListData, parse};
    use crate::plan::name_claims::{Claimant, claims, rejections};

    /// A list of these groups; the first one is `default`.
    fn config(name: &str, prefix: &str, groups: &[&str]) -> Config {
        let groups =
            groups.iter().map(|group| format!("{{name: {group}, images: [b]}}")).collect::<Vec<_>>().join(", ");
        let data = [("images.yaml".to_owned(), format!("{{images: [a], groups: [{groups}]}}"))].into();
        let list = ListData { namespace: "prepull".to_owned(), name: prefix.to_owned(), data, found: None };
        parse(&list).config.unwrap_or_else(|| panic!("{name} {list:?} is rejected"))
    }

    fn prefixes(config: &Config) -> Vec<String> {
        claims(config).map(|(_, prefix)| prefix).collect()
    }

    fn claimant<'a>(list: &'a str, config: &'a Config) -> Claimant<'a> {
        Claimant { list, config, in_force: true, generations: &[], created: None }
    }

    fn strings(prefixes: &[&str]) -> Vec<String> {
        prefixes.iter().map(|prefix| (*prefix).to_owned()).collect()
    }

    fn names(lists: &BTreeSet<Arc<str>>) -> Vec<&str> {
        lists.iter().map(|list| &**list).collect()
    }

    #[test]
    fn prefixes_that_a_list_gives_up_or_claims_newly_are_what_changed() {
        let mut index = NameIndex::default();
        assert_eq!(names(&index.set("a", strings(&["x", "y"]))), ["x", "y"]);
        assert_eq!(names(&index.set("a", strings(&["y", "z"]))), ["x", "z"]);
        assert_eq!(names(&index.set("a", strings(&["y", "z"]))), [""; 0]);
        assert_eq!(names(&index.remove("a")), ["y", "z"]);
        assert_eq!(index, NameIndex::default(), "nothing of it is left");
    }

    #[test]
    fn lists_are_connected_by_each_prefix_that_they_share() {
        let (mut accepted, mut rejected) = (NameIndex::default(), NameIndex::default());
        accepted.set("a", strings(&["1", "2"]));
        rejected.set("b", strings(&["2", "3"]));
        accepted.set("c", strings(&["3"]));
        accepted.set("d", strings(&["4"]));
        let from = |prefix: &str| connected(&[&accepted, &rejected], [Arc::from(prefix)]);
        assert_eq!(names(&from("1")), ["a", "b", "c"]);
        assert_eq!(names(&from("4")), ["d"]);
        assert_eq!(names(&from("5")), [""; 0]);
    }

    proptest! {
        #[test]
        fn the_connected_lists_alone_decide_who_is_rejected(
            lists in prop::collection::vec(("(a|b|a-b|c)", prop::collection::btree_set("(a|b|b-c|d)", 0..3)), 1..8),
            own in ("(a|b|a-b|c)", prop::collection::btree_set("(a|b|b-c|d)", 0..3)),
            is_in_force: bool,
        ) {
            let of = |index: usize, (prefix, groups): &(String, BTreeSet<String>)| {
                let name = format!("list-{index}");
                let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
                (name.clone(), config(&name, prefix, &groups))
            };
            let others: Vec<_> = lists.iter().enumerate().map(|(index, list)| of(index * 2, list)).collect();
            let (name, config) = of(5, &own);
            let own = Claimant { in_force: is_in_force, ..claimant(&name, &config) };
            let all: Vec<_> = others.iter().map(|(name, config)| claimant(name, config)).chain([own]).collect();
            let mut index = NameIndex::default();
            others.iter().for_each(|(name, config)| drop(index.set(name, prefixes(config))));
            let rivals = connected(&[&index], prefixes(&config).into_iter().map(Arc::from));
            let few: Vec<_> = all.iter().copied().filter(|it| it.list == name || rivals.contains(it.list)).collect();
            prop_assert_eq!(rejections(&few).remove(name.as_str()), rejections(&all).remove(name.as_str()));
        }
    }
}
