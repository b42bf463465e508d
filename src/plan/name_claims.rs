//! Which list owns which DaemonSet names.
//!
//! A generation's name ends in a hash of list and group, so two lists never use the same name. But their names can have
//! the same prefix (because of `DAEMONSET_NAME`, or because list and group are joined), which would hide from users
//! which list a DaemonSet belongs to. So each prefix belongs to one list, and other lists that claim it are rejected.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::daemon_set::name_prefix;
use super::generation::Generation;
use crate::list::config::GroupName;
use crate::list::{Code, Config, Problem, Severity};

/// A list that claims name prefixes.
#[derive(Clone, Copy, Debug)]
pub struct Claimant<'a> {
    /// Name of its ConfigMap.
    pub list: &'a str,
    /// The parsed list.
    pub config: &'a Config,
    /// Whether this version is in effect, rather than an edit that is being validated.
    pub in_force: bool,
    /// Its DaemonSets.
    pub generations: &'a [Generation],
    /// When its ConfigMap was created.
    pub created: Option<Timestamp>,
}

/// The prefix of the DaemonSet names of each group of a list.
pub fn claims(config: &Config) -> impl Iterator<Item = (&GroupName, String)> {
    config.groups.iter().map(|group| (&group.name, name_prefix(config, group)))
}

/// The lists that claim a prefix of another list, with a problem for each such prefix.
///
/// A version in effect takes precedence, then the list with the oldest DaemonSet, then the one with the older ConfigMap,
/// then the one whose name sorts first. A list that cannot have all of its prefixes gets none, so it does not block
/// others. An edit and the version in effect of the same list never conflict.
pub fn rejections<'a>(claimants: &[Claimant<'a>]) -> BTreeMap<&'a str, Vec<Problem>> {
    let mut in_order = claimants.to_vec();
    in_order.sort_by_key(Claimant::seniority);
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    let mut rejected: BTreeMap<&str, Vec<Problem>> = BTreeMap::new();
    for claimant in in_order {
        let owner = |name: &String| owners.get(name).copied().filter(|owner| *owner != claimant.list);
        let taken = claims(claimant.config).filter_map(|(group, name)| Some(problem(group, &name, owner(&name)?)));
        let taken: Vec<Problem> = taken.collect();
        if taken.is_empty() {
            owners.extend(claims(claimant.config).map(|(_, name)| (name, claimant.list)));
        } else {
            rejected.entry(claimant.list).or_default().extend(taken);
        }
    }
    rejected
}

impl<'a> Claimant<'a> {
    /// A sort key that puts the strongest claim first.
    fn seniority(&self) -> impl Ord + use<'a> {
        let oldest = self.generations.iter().map(|generation| generation.created.unwrap_or(Timestamp::MAX)).min();
        let created = self.created.unwrap_or(Timestamp::MAX);
        (Reverse(self.in_force), oldest.is_none(), oldest, created, self.list)
    }
}

fn problem(group: &GroupName, name: &str, owner: &str) -> Problem {
    Problem {
        severity: Severity::Error,
        code: Code::DuplicateName,
        path: "data".into(),
        line: None,
        message: format!(
            "the DaemonSets of the group \"{group}\" would be called {name}-…, a name that the list \"{owner}\" has"
        )
        .into(),
        remedy: match group.is_default() {
            true => "set another DAEMONSET_NAME, or give the ConfigMap another name".into(),
            false => "give the group another name".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::{ListData, parse};

    fn list(name: &str, data: &[(&str, &str)]) -> Config {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let list = ListData { namespace: "prepull".to_owned(), name: name.to_owned(), data, found: None };
        parse(&list).config.unwrap_or_else(|| panic!("{list:?} is rejected"))
    }

    fn yaml(name: &str, text: &str) -> Config {
        list(name, &[("images.yaml", text)])
    }

    fn created_at(created: &str) -> Generation {
        Generation {
            name: "puller-bcdfghjklm".to_owned(),
            uid: "u".to_owned(),
            group: "default".to_owned(),
            shard: 0,
            parallel_pulls: 1,
            created: created.parse().ok(),
            deleting: false,
            altered: None,
            restores: None,
            record: None,
            tag_check_record: Default::default(),
            reported: Default::default(),
            images: BTreeMap::new(),
            pulled_always: Default::default(),
            template: None,
            node_scope: super::super::generation::node_scope::NodeScope::Everywhere,
            placement: None,
            absent_holder_image: None,
            counted_for: Default::default(),
            scheduled: None,
        }
    }

    fn claimant<'a>(list: &'a str, config: &'a Config) -> Claimant<'a> {
        Claimant { list, config, in_force: false, generations: &[], created: None }
    }

    /// The only claimant that is not rejected.
    fn winner<'a>(claimants: &[Claimant<'a>]) -> &'a str {
        let rejected = rejections(claimants);
        let mut accepted = claimants.iter().filter(|it| !rejected.contains_key(it.list));
        let (Some(winner), None) = (accepted.next(), accepted.next()) else { panic!("{rejected:?}") };
        winner.list
    }

    fn problems(claimants: &[Claimant], list: &str) -> String {
        let problems = rejections(claimants).remove(list).unwrap_or_default();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_list_claims_a_prefix_for_each_of_its_groups() {
        let config = yaml("tools", "{images: [a], groups: [{name: gpu, images: [b]}]}");
        let names: Vec<String> = claims(&config).map(|(_, name)| name).collect();
        assert_eq!(names, ["tools", "tools-gpu"]);
    }

    #[test]
    fn lists_that_claim_different_prefixes_do_not_conflict() {
        let (one, other) = (yaml("one", "[a]"), yaml("other", "[a]"));
        assert!(rejections(&[claimant("one", &one), claimant("other", &other)]).is_empty());
    }

    #[test]
    fn the_list_in_force_keeps_a_daemon_set_name_that_another_list_claims() {
        let flat = |name: &str| list(name, &[("IMAGES", "a=a:1"), ("DAEMONSET_NAME", "puller")]);
        let (first, second) = (flat("newcomer"), flat("in-force"));
        let in_force = Claimant { in_force: true, ..claimant("in-force", &second) };
        let claimants = [claimant("newcomer", &first), in_force];
        assert_eq!(winner(&claimants), "in-force");
        insta::assert_snapshot!(problems(&claimants, "newcomer"), @r#"data: the DaemonSets of the group "default" would be called puller-…, a name that the list "in-force" has; set another DAEMONSET_NAME, or give the ConfigMap another name"#);
    }

    #[test]
    fn list_and_group_joined_can_equal_another_lists_name() {
        let (group, other) = (yaml("a", "groups: [{name: b-c, images: [x]}]"), yaml("a-b-c", "[x]"));
        let claimants = [claimant("a", &group), Claimant { in_force: true, ..claimant("a-b-c", &other) }];
        insta::assert_snapshot!(problems(&claimants, "a"), @r#"data: the DaemonSets of the group "b-c" would be called a-b-c-…, a name that the list "a-b-c" has; give the group another name"#);
        assert_eq!(winner(&claimants), "a-b-c");
    }

    #[test]
    fn each_criterion_outweighs_the_next() {
        let config = list("x", &[("IMAGES", "a=a:1"), ("DAEMONSET_NAME", "puller")]);
        let (old, young) = ([created_at("2026-01-01T00:00:00Z")], [created_at("2026-02-01T00:00:00Z")]);
        let since = |time: &str| time.parse().ok();
        let (a, z) = (claimant("a", &config), claimant("z", &config));
        for (better, worse) in [
            (Claimant { in_force: true, ..z }, Claimant { generations: &old, ..a }),
            (Claimant { generations: &old, ..z }, Claimant { generations: &young, ..a }),
            (Claimant { generations: &young, ..z }, Claimant { created: since("2020-01-01T00:00:00Z"), ..a }),
            (
                Claimant { created: since("2026-01-01T00:00:00Z"), ..z },
                Claimant { created: since("2026-01-02T00:00:00Z"), ..a },
            ),
        ] {
            assert_eq!(winner(&[worse, better]), "z");
            assert_eq!(winner(&[better, worse]), "z");
        }
        assert_eq!(winner(&[z, a]), "a");
    }

    #[test]
    fn a_list_never_conflicts_with_itself() {
        let (before, edited) = (yaml("tools", "[a]"), yaml("tools", "[b]"));
        let in_force = Claimant { in_force: true, ..claimant("tools", &before) };
        assert!(rejections(&[claimant("tools", &edited), in_force]).is_empty());
    }

    #[test]
    fn a_rejected_list_blocks_no_other_list() {
        let both = yaml("a", "{images: [x], groups: [{name: b, images: [x]}]}");
        let (in_force, free) = (yaml("a-b", "[x]"), list("z", &[("IMAGES", "a=a:1"), ("DAEMONSET_NAME", "a")]));
        let claimants =
            [claimant("a", &both), Claimant { in_force: true, ..claimant("a-b", &in_force) }, claimant("z", &free)];
        assert_eq!(rejections(&claimants).into_keys().collect::<Vec<_>>(), ["a"]);
    }
}
