use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::core::{Expression, Selector};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{KnownNamespaces, NamespaceWorkloads, NextFound, SlimWorkload, Unknown, Workload, Workloads, next};
use crate::list::config::GroupName;
use crate::list::discover::found::{Found, FoundImage, GroupFound};
use crate::list::discover::{Discover, Discovery, WorkloadKind};
use crate::list::names::ResourceName;
use crate::list::policy::repository::RepositoryPattern;
use crate::list::reference::ImageReference;

const HOUR: i64 = 3600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).expect("a time")
}

fn texts(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// A Deployment, such as `shop/web`.
fn workload(place: &str, images: &[&str]) -> Workload {
    let (namespace, name) = place.split_once('/').expect("a namespace and a name");
    Workload {
        kind: WorkloadKind::Deployment,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        labels: BTreeMap::new(),
        images: texts(images),
        pull_secrets: BTreeSet::new(),
    }
}

/// Everything of the namespaces `shop` and `pay`, and nothing of others.
fn seen(workloads: &[Workload]) -> Workloads {
    let mut seen = Workloads::default();
    for namespace in ["shop", "pay"] {
        seen.by_namespace.insert(namespace.to_owned(), NamespaceWorkloads { complete: true, workloads: Vec::new() });
    }
    for workload in workloads {
        let known = seen.by_namespace.entry(workload.namespace.clone()).or_default();
        known.workloads.push(Arc::new(workload.clone()));
    }
    seen
}

fn without(mut seen: Workloads, namespace: &str, why: Unknown) -> Workloads {
    match why {
        Unknown::NotWatched => drop(seen.by_namespace.remove(namespace)),
        Unknown::NotListed => drop(seen.by_namespace.insert(namespace.to_owned(), NamespaceWorkloads::default())),
        Unknown::NoWorkloads => {
            let nothing = NamespaceWorkloads { complete: true, workloads: Vec::new() };
            drop(seen.by_namespace.insert(namespace.to_owned(), nothing));
        }
        Unknown::NamespacesNotWatched => seen.namespaces = None,
        Unknown::NamespacesNotListed => seen.namespaces = Some(KnownNamespaces::default()),
    }
    seen
}

/// The same where the namespaces have these values of the label `team`, and others do not exist.
fn labelled(seen: Workloads, teams: &[(&str, &str)]) -> Workloads {
    let labels = teams.iter().map(|(namespace, team)| {
        let labels = BTreeMap::from([("team".to_owned(), (*team).to_owned())]);
        ((*namespace).to_owned(), Arc::new(labels))
    });
    Workloads { namespaces: Some(KnownNamespaces { complete: true, labels: labels.collect() }), ..seen }
}

/// All images of the namespaces `shop` and `pay`, each for an hour longer.
fn discovery() -> Discovery {
    Discovery {
        group: GroupName::default_group(),
        discover: Discover {
            namespaces: ["shop", "pay"].map(|name| ResourceName::parse(name).expect("a name")).into(),
            namespace_selector: None,
            selector: Selector::default(),
            kinds: WorkloadKind::ALL.map(|(_, kind)| kind).into(),
            exclude: Vec::new(),
            keep_for: SignedDuration::from_secs(HOUR),
            max: Discover::MAX,
            settle: Discover::SETTLE,
        },
        own: BTreeSet::new(),
    }
}

fn with_max(max: u32) -> Discovery {
    let Discovery { discover, .. } = discovery();
    Discovery { discover: Discover { max, ..discover }, ..discovery() }
}

/// All images of the namespaces with these names, and of those whose label `team` has the value `a`.
fn selecting(names: &[&str]) -> Discovery {
    let Discovery { discover, .. } = discovery();
    let namespaces = names.iter().map(|name| ResourceName::parse(name).expect("a name")).collect();
    let namespace_selector = Some(Expression::Equal("team".to_owned(), "a".to_owned()).into());
    Discovery { discover: Discover { namespaces, namespace_selector, ..discover }, ..discovery() }
}

fn step(before: Option<&NextFound>, discovery: &Discovery, seen: &Workloads, seconds: i64) -> NextFound {
    let is_allowed = |reference: &ImageReference| !reference.as_str().contains("forbidden");
    next(before.map(|it| &it.found), std::slice::from_ref(discovery), seen, &is_allowed, at(seconds))
}

fn group(next: &NextFound) -> GroupFound {
    next.found.0.get(GroupName::DEFAULT).cloned().unwrap_or_default()
}

fn image(next: &NextFound, reference: &str) -> FoundImage {
    group(next).images.remove(reference).unwrap_or_else(|| panic!("no {reference} in {next:?}"))
}

/// The references; those that no workload names with a question mark.
fn images(next: &NextFound) -> Vec<String> {
    let mark = |image: &FoundImage| if image.unnamed_since.is_some() { "?" } else { "" };
    group(next).images.iter().map(|(reference, image)| format!("{reference}{}", mark(image))).collect()
}

#[test]
fn images_are_found_with_the_workloads_that_name_them() {
    let workloads = [workload("shop/web", &["nginx:1", "app:1"]), workload("pay/api", &["nginx:1"])];
    let found = step(None, &discovery(), &seen(&workloads), 0);
    assert_eq!(images(&found), ["app:1", "nginx:1"]);
    assert_eq!(image(&found, "nginx:1").by, texts(&["Deployment pay/api", "Deployment shop/web"]));
    assert_eq!(image(&found, "app:1").by, texts(&["Deployment shop/web"]));
    assert_eq!((found.unknown.len(), found.wake_at), (0, None));
}

#[test]
fn only_workloads_that_the_group_asks_for_count() {
    let labelled = Workload { labels: [("a".to_owned(), "b".to_owned())].into(), ..workload("shop/web", &["a:1"]) };
    let job = Workload { kind: WorkloadKind::Job, ..workload("shop/job", &["b:1"]) };
    let seen = seen(&[labelled, job, workload("other/web", &["c:1"])]);
    let all = discovery();
    assert_eq!(images(&step(None, &all, &seen, 0)), ["a:1", "b:1"]);
    let kinds = [WorkloadKind::Job].into();
    let of_kind = Discovery { discover: Discover { kinds, ..all.discover.clone() }, ..all.clone() };
    assert_eq!(images(&step(None, &of_kind, &seen, 0)), ["b:1"]);
    let selector = Selector::from(Expression::Equal("a".to_owned(), "b".to_owned()));
    let with_label = Discovery { discover: Discover { selector, ..all.discover.clone() }, ..all };
    assert_eq!(images(&step(None, &with_label, &seen, 0)), ["a:1"]);
}

#[test]
fn two_spellings_are_one_image_in_the_spelling_of_before_or_the_smallest() {
    let both = seen(&[workload("shop/web", &["nginx:1", "docker.io/nginx:1"]), workload("shop/api", &["nginx:1"])]);
    let found = step(None, &discovery(), &both, 0);
    assert_eq!(images(&found), ["docker.io/nginx:1"]);
    assert_eq!(image(&found, "docker.io/nginx:1").by.len(), 2);
    let short = seen(&[workload("shop/web", &["nginx:1"])]);
    assert_eq!(images(&step(Some(&found), &discovery(), &short, 0)), ["docker.io/nginx:1"]);
    let found = step(None, &discovery(), &short, 0);
    assert_eq!(images(&step(Some(&found), &discovery(), &both, 0)), ["nginx:1"]);
}

#[test]
fn an_image_of_the_user_needs_no_discovery() {
    let own = Discovery { own: texts(&["docker.io/library/nginx:1"]), ..discovery() };
    let seen = seen(&[workload("shop/web", &["nginx:1", "app:1"])]);
    let before = step(None, &discovery(), &seen, 0);
    for before in [None, Some(&before)] {
        assert_eq!(images(&step(before, &own, &seen, 0)), ["app:1"]);
    }
}

#[test]
fn what_is_excluded_is_ignored_at_once_and_not_reported() {
    let pattern = RepositoryPattern::parse("ghcr.io/debug/*").unwrap_or_else(|(why, _)| panic!("it {why}"));
    let all = discovery();
    let exclude = Discovery { discover: Discover { exclude: vec![pattern], ..all.discover.clone() }, ..all };
    let seen = seen(&[workload("shop/web", &["ghcr.io/debug/shell:1", "app:1"])]);
    let before = step(None, &discovery(), &seen, 0);
    for before in [None, Some(&before)] {
        let found = step(before, &exclude, &seen, 0);
        assert_eq!((images(&found), group(&found).left_out.len()), (vec!["app:1".to_owned()], 0));
    }
}

#[test]
fn what_is_no_reference_or_not_allowed_is_left_out_with_the_reason() {
    let found = step(None, &discovery(), &seen(&[workload("shop/web", &["Bad", "forbidden:1", "app:1"])]), 0);
    assert_eq!(images(&found), ["app:1"]);
    let left_out = group(&found).left_out;
    assert_eq!(left_out.keys().map(String::as_str).collect::<Vec<_>>(), ["Bad", "forbidden:1"]);
    assert!(left_out["Bad"].contains("is not an image reference"), "{left_out:?}");
    assert_eq!(left_out["forbidden:1"], "the policy does not allow it");
}

#[test]
fn no_more_reasons_are_kept_than_can_be_stored() {
    let wrong: Vec<String> = (10..60).map(|number| format!("Bad{number}")).collect();
    let wrong: Vec<&str> = wrong.iter().map(String::as_str).collect();
    let left_out = group(&step(None, &discovery(), &seen(&[workload("shop/web", &wrong)]), 0)).left_out;
    assert_eq!(left_out.len(), GroupFound::MAX_LEFT_OUT);
    assert!(left_out.contains_key("Bad10") && !left_out.contains_key("Bad59"));
}

#[test]
fn of_too_many_images_those_that_most_workloads_name_are_taken() {
    let workloads =
        [workload("shop/a", &["a:1", "b:1", "c:1"]), workload("shop/b", &["b:1", "c:1"]), workload("shop/c", &["c:1"])];
    let found = step(None, &with_max(2), &seen(&workloads), 0);
    assert_eq!(images(&found), ["b:1", "c:1"]);
    assert!(group(&found).left_out["a:1"].starts_with("`max` is 2, "), "{found:?}");
}

#[test]
fn among_images_that_as_many_name_those_that_were_found_before_stay() {
    let before = step(None, &with_max(1), &seen(&[workload("shop/a", &["b:1"])]), 0);
    let both = seen(&[workload("shop/a", &["b:1"]), workload("shop/b", &["a:1"])]);
    assert_eq!(images(&step(Some(&before), &with_max(1), &both, 0)), ["b:1"]);
    assert_eq!(images(&step(None, &with_max(1), &both, 0)), ["a:1"]);
}

#[test]
fn an_image_stays_for_a_while_after_the_last_workload_stopped_naming_it() {
    let before = step(None, &discovery(), &seen(&[workload("shop/web", &["a:1"])]), 0);
    let now_named = seen(&[workload("shop/web", &["b:1"])]);
    let after = step(Some(&before), &discovery(), &now_named, 10);
    assert_eq!((images(&after), after.wake_at), (vec!["a:1?".to_owned(), "b:1".to_owned()], Some(at(10 + HOUR))));
    assert_eq!(image(&after, "a:1").by, texts(&["Deployment shop/web"]), "the last that named it");
    let later = step(Some(&after), &discovery(), &now_named, 9 + HOUR);
    assert_eq!(later, after);
    let gone = step(Some(&later), &discovery(), &now_named, 10 + HOUR);
    assert_eq!((images(&gone), gone.wake_at), (vec!["b:1".to_owned()], None));
}

#[test]
fn an_image_that_is_named_again_stays() {
    let (old, new) = (seen(&[workload("shop/web", &["a:1"])]), seen(&[workload("shop/web", &["b:1"])]));
    let before = step(None, &discovery(), &old, 0);
    let rolled_out = step(Some(&before), &discovery(), &new, 10);
    let rolled_back = step(Some(&rolled_out), &discovery(), &old, 20);
    assert_eq!(images(&rolled_back), ["a:1", "b:1?"]);
    assert_eq!(image(&rolled_back, "a:1"), image(&before, "a:1"));
}

#[test]
fn without_a_time_to_stay_an_image_goes_at_once() {
    let all = discovery();
    let at_once = Discovery { discover: Discover { keep_for: SignedDuration::ZERO, ..all.discover.clone() }, ..all };
    let before = step(None, &at_once, &seen(&[workload("shop/web", &["a:1"])]), 0);
    let after = step(Some(&before), &at_once, &seen(&[workload("shop/web", &["b:1"])]), 0);
    assert_eq!((images(&after), after.wake_at), (vec!["b:1".to_owned()], None));
}

#[test]
fn a_clock_that_was_set_back_keeps_no_image_for_longer() {
    let before = step(None, &discovery(), &seen(&[workload("shop/web", &["a:1"])]), 0);
    let other = seen(&[workload("shop/web", &["b:1"])]);
    let in_the_future = step(Some(&before), &discovery(), &other, 1_000_000);
    let set_back = step(Some(&in_the_future), &discovery(), &other, 0);
    assert_eq!((images(&set_back)[0].as_str(), set_back.wake_at), ("a:1?", Some(at(HOUR))));
}

#[test]
fn images_that_no_workload_names_go_first_and_of_these_the_oldest() {
    let mut found = NextFound::default();
    for (seconds, reference) in [(0, "c:1"), (1, "b:1"), (2, "a:1")] {
        found = step(Some(&found), &with_max(3), &seen(&[workload("shop/web", &[reference])]), seconds);
    }
    assert_eq!(images(&found), ["a:1", "b:1?", "c:1?"]);
    let found = step(Some(&found), &with_max(3), &seen(&[workload("shop/web", &["a:1", "d:1"])]), 3);
    assert_eq!(images(&found), ["a:1", "b:1?", "d:1"]);
    assert!(group(&found).left_out.is_empty(), "nobody misses it");
}

#[test]
fn what_was_found_in_a_namespace_that_is_not_known_stays() {
    let both = seen(&[workload("shop/web", &["a:1"]), workload("pay/api", &["b:1"])]);
    let before = step(None, &discovery(), &both, 0);
    for why in [Unknown::NotWatched, Unknown::NotListed, Unknown::NoWorkloads] {
        let seen = without(both.clone(), "pay", why);
        let after = step(Some(&before), &discovery(), &seen, 1_000 * HOUR);
        assert_eq!(after.unknown, [("pay".to_owned(), why)].into());
        assert_eq!((&after.found, after.wake_at), (&before.found, None), "{why:?}");
    }
}

#[test]
fn an_image_that_was_about_to_go_does_not_while_its_namespace_is_not_known() {
    let before = step(None, &discovery(), &seen(&[workload("pay/api", &["a:1"])]), 0);
    let other = seen(&[workload("pay/api", &["b:1"])]);
    let about_to_go = step(Some(&before), &discovery(), &other, 0);
    for why in [Unknown::NotWatched, Unknown::NotListed, Unknown::NoWorkloads] {
        let after = step(Some(&about_to_go), &discovery(), &without(other.clone(), "pay", why), 2 * HOUR);
        assert_eq!((images(&after), after.wake_at), (vec!["a:1?".to_owned(), "b:1".to_owned()], None), "{why:?}");
    }
    assert_eq!(images(&step(Some(&about_to_go), &discovery(), &other, 2 * HOUR)), ["b:1"]);
}

#[test]
fn until_everything_is_listed_no_image_of_the_group_goes() {
    let before = step(None, &discovery(), &seen(&[workload("shop/web", &["a:1"])]), 0);
    // In `pay`, a workload may name it too: not all are stored.
    let unlisted = without(seen(&[workload("shop/web", &["b:1"])]), "pay", Unknown::NotListed);
    assert_eq!(images(&step(Some(&before), &discovery(), &unlisted, 1_000 * HOUR)), ["a:1", "b:1"]);
    let unwatched = without(seen(&[workload("shop/web", &["b:1"])]), "pay", Unknown::NotWatched);
    assert_eq!(images(&step(Some(&before), &discovery(), &unwatched, 0)), ["a:1?", "b:1"]);
}

#[test]
fn new_images_displace_none_whose_namespace_is_not_known() {
    let before = step(None, &with_max(1), &seen(&[workload("pay/api", &["b:1"])]), 0);
    let others = [workload("shop/a", &["a:1"]), workload("shop/b", &["a:1"])];
    for why in [Unknown::NotWatched, Unknown::NotListed, Unknown::NoWorkloads] {
        let after = step(Some(&before), &with_max(1), &without(seen(&others), "pay", why), 0);
        assert_eq!(images(&after), ["b:1"], "{why:?}");
        assert!(group(&after).left_out.contains_key("a:1"));
    }
}

#[test]
fn a_namespace_without_workloads_is_known_if_nothing_was_found_there() {
    let found = step(None, &discovery(), &seen(&[workload("shop/web", &["a:1"])]), 0);
    assert!(found.unknown.is_empty(), "{found:?}");
    let none = step(None, &discovery(), &seen(&[]), 0);
    assert_eq!(none, NextFound::default());
}

#[test]
fn what_was_found_in_a_namespace_goes_once_the_list_does_not_name_it() {
    let before = step(None, &discovery(), &seen(&[workload("pay/api", &["a:1"])]), 0);
    let all = discovery();
    let namespaces = [ResourceName::parse("shop").expect("a name")].into();
    let other = Discovery { discover: Discover { namespaces, ..all.discover.clone() }, ..all };
    let after = step(Some(&before), &other, &seen(&[]), 0);
    assert_eq!((images(&after), after.unknown.len()), (vec!["a:1?".to_owned()], 0));
    assert_eq!(images(&step(Some(&after), &other, &seen(&[]), HOUR)), [""; 0]);
}

#[test]
fn namespaces_count_if_they_are_named_or_have_the_labels() {
    let all = seen(&[workload("shop/web", &["a:1"]), workload("pay/api", &["b:1"])]);
    let found = |names: &[&str], teams: &[(&str, &str)]| {
        let found = step(None, &selecting(names), &labelled(all.clone(), teams), 0);
        assert!(found.unknown.is_empty(), "{found:?}");
        images(&found)
    };
    let teams = [("shop", "a"), ("pay", "b")];
    assert_eq!(found(&[], &teams), ["a:1"]);
    assert_eq!(found(&["pay"], &teams), ["a:1", "b:1"]);
    assert_eq!(found(&["shop"], &teams), ["a:1"]);
    assert_eq!(found(&[], &teams[1..]), [""; 0]);
}

#[test]
fn what_was_found_in_a_namespace_goes_once_it_is_not_selected() {
    let workloads = seen(&[workload("shop/web", &["a:1"]), workload("pay/api", &["b:1"])]);
    let before = step(None, &selecting(&[]), &labelled(workloads.clone(), &[("shop", "a"), ("pay", "a")]), 0);
    assert_eq!(images(&before), ["a:1", "b:1"]);
    let emptied = labelled(without(workloads.clone(), "pay", Unknown::NoWorkloads), &[("shop", "a"), ("pay", "a")]);
    let other_label = labelled(workloads.clone(), &[("shop", "a"), ("pay", "b")]);
    let deleted = labelled(without(workloads, "pay", Unknown::NoWorkloads), &[("shop", "a")]);
    for now in [emptied, other_label, deleted] {
        let after = step(Some(&before), &selecting(&[]), &now, 10);
        assert_eq!((images(&after), after.unknown.len()), (vec!["a:1".to_owned(), "b:1?".to_owned()], 0));
        assert_eq!(after.wake_at, Some(at(10 + HOUR)));
        assert_eq!(images(&step(Some(&after), &selecting(&[]), &now, 10 + HOUR)), ["a:1"]);
        // Unlike one that is named, which the list's author can remove.
        let named = step(Some(&before), &selecting(&["pay"]), &now, 10 + HOUR);
        assert!(group(&named).images.contains_key("b:1"), "{named:?}");
    }
}

#[test]
fn until_the_namespaces_and_their_workloads_are_listed_no_image_of_the_group_goes() {
    let teams = [("shop", "a"), ("pay", "a")];
    let workloads = seen(&[workload("shop/web", &["a:1"]), workload("pay/api", &["b:1"])]);
    let before = step(None, &selecting(&["shop"]), &labelled(workloads, &teams), 0);
    let moved_on = seen(&[workload("shop/web", &["c:1"])]);
    let unlisted = without(labelled(moved_on.clone(), &teams), "pay", Unknown::NotListed);
    let unknown = without(labelled(moved_on.clone(), &teams), "pay", Unknown::NamespacesNotListed);
    let mut outdated = labelled(moved_on, &teams);
    outdated.namespaces.iter_mut().for_each(|known| known.complete = false);
    for seen in [unlisted, unknown, outdated] {
        let after = step(Some(&before), &selecting(&["shop"]), &seen, 1_000 * HOUR);
        assert_eq!(after.unknown, [(Unknown::SELECTED.to_owned(), Unknown::NamespacesNotListed)].into());
        assert_eq!(images(&after), ["a:1", "b:1", "c:1"]);
        assert_eq!(after.wake_at, None);
    }
}

#[test]
fn without_the_right_to_read_labels_what_was_selected_stays_and_the_rest_goes() {
    let workloads = seen(&[workload("shop/web", &["a:1"]), workload("pay/api", &["b:1"])]);
    let before = step(None, &selecting(&["shop"]), &labelled(workloads, &[("pay", "a")]), 0);
    let mut now = seen(&[workload("shop/web", &["c:1"])]);
    now.by_namespace.remove("pay");
    let after = step(Some(&before), &selecting(&["shop"]), &now, 0);
    assert_eq!(images(&after), ["a:1?", "b:1", "c:1"]);
    assert_eq!(after.unknown, [(Unknown::SELECTED.to_owned(), Unknown::NamespacesNotWatched)].into());
    let later = step(Some(&after), &selecting(&["shop"]), &now, 1_000 * HOUR);
    assert_eq!(images(&later), ["b:1", "c:1"]);
}

#[test]
fn a_stored_workload_stays_stored_while_its_namespace_may_be_selected() {
    let one = |name: &str| workload(name, &["a:1"]);
    let teams = [("shop", "a"), ("pay", "a")];
    let before = step(None, &selecting(&[]), &labelled(seen(&[one("pay/api")]), &teams), 0);
    let mut known = labelled(seen(&[one("shop/web")]), &teams[..1]);
    let by = |seen: &Workloads| image(&step(Some(&before), &selecting(&[]), seen, 0), "a:1").by;
    assert_eq!(by(&known), texts(&["Deployment shop/web"]));
    known.namespaces.iter_mut().for_each(|namespaces| namespaces.complete = false);
    assert_eq!(by(&known), texts(&["Deployment pay/api"]));
}

#[test]
fn workloads_that_come_change_nothing_as_long_as_a_stored_one_names_the_image() {
    let one = |name: &str| workload(name, &["a:1"]);
    let before = step(None, &discovery(), &seen(&[one("shop/m"), one("shop/n")]), 0);
    let by = |workloads: &[Workload]| image(&step(Some(&before), &discovery(), &seen(workloads), 0), "a:1").by;
    assert_eq!(by(&[one("pay/a"), one("shop/m"), one("shop/n")]), texts(&["Deployment shop/m", "Deployment shop/n"]));
    assert_eq!(by(&[one("shop/a"), one("shop/n")]), texts(&["Deployment shop/n"]));
    let others = ["pay/a", "pay/b", "shop/c", "shop/d"].map(one);
    assert_eq!(by(&others), texts(&["Deployment pay/a", "Deployment pay/b", "Deployment shop/c"]));
}

#[test]
fn a_stored_workload_of_an_unknown_namespace_stays_stored() {
    let one = |name: &str| workload(name, &["a:1"]);
    let before = step(None, &discovery(), &seen(&[one("pay/api")]), 0);
    let unlisted = without(seen(&[one("shop/web")]), "pay", Unknown::NotListed);
    assert_eq!(step(Some(&before), &discovery(), &unlisted, 0).found, before.found);
}

#[test]
fn pull_secrets_are_those_of_the_stored_workloads() {
    let with = |place: &str, secrets: &[&str]| Workload { pull_secrets: texts(secrets), ..workload(place, &["a:1"]) };
    let before = step(None, &discovery(), &seen(&[with("pay/api", &["x", "y"]), with("shop/web", &["z", "x"])]), 0);
    assert_eq!(image(&before, "a:1").pull_secrets, texts(&["x", "y", "z"]));
    let shop = [with("shop/web", &["w"]), with("shop/other", &["v"])];
    let after = step(Some(&before), &discovery(), &seen(&[with("pay/api", &["x"]), with("shop/other", &["v"])]), 0);
    assert_eq!(image(&after, "a:1").pull_secrets, texts(&["x"]));
    let unlisted = step(Some(&before), &discovery(), &without(seen(&shop), "pay", Unknown::NotListed), 0);
    assert_eq!(image(&unlisted, "a:1").pull_secrets, texts(&["w", "x", "y"]), "some cannot be seen");
}

#[test]
fn an_image_keeps_its_name_whatever_else_is_found() {
    let before = step(None, &discovery(), &seen(&[workload("shop/web", &["m/app:1"])]), 0);
    let after =
        step(Some(&before), &discovery(), &seen(&[workload("shop/web", &["a/app:1", "m/app:1", "z/app:1"])]), 0);
    assert_eq!(image(&after, "m/app:1"), image(&before, "m/app:1"));
    let names: BTreeSet<String> = group(&after).images.into_values().map(|image| image.name).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.iter().all(|name| ResourceName::parse(name).is_ok()), "{names:?}");
}

#[test]
fn groups_are_found_apart_and_those_that_discover_nothing_any_more_are_dropped() {
    let other = Discovery { group: GroupName::new(ResourceName::parse("other").expect("a name")), ..discovery() };
    let seen = seen(&[workload("shop/web", &["a:1"])]);
    let found = |before: Option<&Found>, discoveries: &[Discovery]| next(before, discoveries, &seen, &|_| true, at(0));
    let both = found(None, &[discovery(), other.clone()]);
    assert_eq!(both.found.0.keys().map(String::as_str).collect::<Vec<_>>(), ["default", "other"]);
    let one = found(Some(&both.found), &[other]);
    assert_eq!(one.found.0.keys().map(String::as_str).collect::<Vec<_>>(), ["other"]);
}

fn decoded(kind: WorkloadKind, metadata: Value, spec: Value) -> Option<Workload> {
    let object = json!({"apiVersion": "v1", "metadata": metadata, "spec": spec, "status": {"replicas": 1}});
    let object: SlimWorkload = serde_json::from_value(object).expect("a workload");
    Workload::of(kind, &object)
}

#[test]
fn a_workload_names_the_images_of_its_containers_and_init_containers() {
    let pods = json!({
        "initContainers": [{"name": "i", "image": "init:1"}, {"name": "none"}],
        "containers": [{"name": "c", "image": "app:1", "env": []}, {"name": "blank", "image": " "}],
        "volumes": [{"name": "v", "image": {"reference": "volume:1"}}],
        "imagePullSecrets": [{"name": "s"}, {}, {"name": "Not a name"}],
    });
    let metadata = json!({"namespace": "shop", "name": "web", "labels": {"a": "b"}});
    for (_, kind) in WorkloadKind::ALL {
        let template = json!({"template": {"spec": pods}});
        let spec = if kind == WorkloadKind::CronJob { json!({"jobTemplate": {"spec": template}}) } else { template };
        let workload = decoded(kind, metadata.clone(), spec).expect("a workload");
        assert_eq!(workload.images, texts(&["app:1", "init:1"]), "{workload}");
        assert_eq!(workload.pull_secrets, texts(&["s"]));
        assert_eq!(workload.labels, [("a".to_owned(), "b".to_owned())].into());
        assert_eq!(workload.to_string(), format!("{} shop/web", kind.name()));
        assert_eq!(Workload::namespace_in(&workload.to_string()), Some("shop"));
    }
}

#[test]
fn a_workload_names_images_in_its_annotation() {
    let metadata =
        json!({"namespace": "shop", "name": "web", "annotations": {"kube-prepull.io/images": "a:1, b:1\n\tc:1,,"}});
    let workload = decoded(WorkloadKind::Deployment, metadata, json!({})).expect("a workload");
    assert_eq!(workload.images, texts(&["a:1", "b:1", "c:1"]));
}

#[test]
fn one_workload_names_a_limited_number_of_images_of_limited_length() {
    let many: Vec<String> = (0..1_000).map(|number| format!("a:{number}")).collect();
    let long = "l".repeat(Workload::MAX_REFERENCE);
    let containers = json!([{"image": "own:1"}, {"image": long}, {"image": format!("{long}l")}]);
    let metadata =
        json!({"namespace": "shop", "name": "web", "annotations": {"kube-prepull.io/images": many.join(" ")}});
    let spec = json!({"template": {"spec": {"containers": containers}}});
    let images = decoded(WorkloadKind::Deployment, metadata, spec).expect("a workload").images;
    assert_eq!(images.len(), Workload::MAX_IMAGES);
    assert!(images.contains("own:1") && images.contains(&long) && images.contains("a:0"));
}

#[test]
fn what_needs_no_discovery_is_no_workload() {
    let metadata = |more: Value| {
        let mut metadata = json!({"namespace": "shop", "name": "it"});
        metadata.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        metadata
    };
    let owner = |kind: &str, api: &str| {
        let owner = json!({"apiVersion": api, "kind": kind, "name": "o", "uid": "u"});
        json!({"ownerReferences": [owner]})
    };
    let job = |more: Value| decoded(WorkloadKind::Job, metadata(more), json!({}));
    assert_eq!(job(owner("CronJob", "batch/v1")), None);
    assert!(job(owner("CronJob", "example.com/v1")).is_some(), "a CronJob of others is not watched");
    assert!(job(owner("Workflow", "example.com/v1")).is_some());
    assert_eq!(job(json!({"labels": {"app.kubernetes.io/managed-by": "kube-prepull"}})), None);
    assert!(job(json!({"deletionTimestamp": "2026-03-01T12:00:00Z"})).is_some(), "it counts until it is gone");
}

const REFERENCES: [&str; 9] =
    ["a:1", "docker.io/library/a:1", "b:1", "c", "docker.io/c:latest", "d:1", "e:1", "forbidden:1", "Bad"];

/// The workloads of both namespaces, and whether each is watched, and completely listed.
#[derive(Clone, Debug)]
struct ClusterState {
    workloads: Vec<Workload>,
    listed: [Option<bool>; 2],
}

impl ClusterState {
    fn seen(&self) -> Workloads {
        let mut seen = seen(&self.workloads);
        for (namespace, listed) in ["shop", "pay"].into_iter().zip(self.listed) {
            match listed {
                Some(complete) => seen.by_namespace.entry(namespace.to_owned()).or_default().complete = complete,
                None => drop(seen.by_namespace.remove(namespace)),
            }
        }
        seen
    }

    /// The normal forms of the images that a group can have of these.
    fn forms(&self) -> BTreeSet<String> {
        let all = self.workloads.iter().flat_map(|workload| &workload.images);
        let allowed = all.filter(|image| !["Bad", "forbidden:1"].contains(&image.as_str()));
        allowed.map(|image| ImageReference::normal_form_of(image)).collect()
    }
}

fn workloads() -> impl Strategy<Value = Vec<Workload>> {
    let kind = prop::sample::select(vec![WorkloadKind::Deployment, WorkloadKind::Job]);
    let place = prop::sample::select(vec!["shop/x", "shop/y", "shop/z", "pay/x", "pay/y"]);
    let images = prop::collection::vec(prop::sample::select(REFERENCES.to_vec()), 0..4);
    prop::collection::btree_map((kind, place), images, 0..8).prop_map(|all| {
        let one =
            |((kind, place), images): ((WorkloadKind, &str), Vec<&str>)| Workload { kind, ..workload(place, &images) };
        all.into_iter().map(one).collect()
    })
}

fn states() -> impl Strategy<Value = ClusterState> {
    let listed = || prop_oneof![4 => Just(Some(true)), 1 => Just(Some(false)), 1 => Just(None)];
    (workloads(), listed(), listed())
        .prop_map(|(workloads, one, other)| ClusterState { workloads, listed: [one, other] })
}

/// What was found after these states, one each half an hour, and the time of the last one.
fn history(states: &[ClusterState], discovery: &Discovery) -> (NextFound, i64) {
    history_of(states.iter().map(ClusterState::seen), discovery)
}

fn history_of(past: impl IntoIterator<Item = Workloads>, discovery: &Discovery) -> (NextFound, i64) {
    let (mut found, mut now) = (NextFound::default(), 0);
    for seen in past {
        now += HOUR / 2;
        found = step(Some(&found), discovery, &seen, now);
    }
    (found, now)
}

/// The same workloads where both namespaces are watched, and have labels that are known, or not all, or not at all.
fn labelled_states() -> impl Strategy<Value = Workloads> {
    let team = || prop::sample::select(vec![None, Some("a"), Some("b")]);
    let listed = prop_oneof![4 => Just(Some(true)), 1 => Just(Some(false)), 1 => Just(None)];
    (states(), team(), team(), listed).prop_map(|(state, shop, pay, listed)| {
        let listed_workloads = state.listed.map(|listed| Some(listed.unwrap_or(true)));
        let seen = ClusterState { listed: listed_workloads, ..state }.seen();
        let teams = [("shop", shop), ("pay", pay)].into_iter().filter_map(|(namespace, team)| Some((namespace, team?)));
        let mut seen = labelled(seen, &teams.collect::<Vec<_>>());
        seen.namespaces.iter_mut().for_each(|known| known.complete = listed != Some(false));
        if listed.is_none() {
            seen.namespaces = None;
        }
        seen
    })
}

fn forms(next: &NextFound) -> BTreeSet<String> {
    group(next).images.keys().map(|reference| ImageReference::normal_form_of(reference)).collect()
}

proptest! {
    #[test]
    fn the_order_of_workloads_does_not_matter(
        past in prop::collection::vec(states(), 0..4),
        (state, shuffled) in states().prop_flat_map(|state| {
            let shuffled = Just(state.workloads.clone()).prop_shuffle();
            (Just(state), shuffled)
        }),
        max in 1..7_u32,
    ) {
        let discovery = with_max(max);
        let (before, now) = history(&past, &discovery);
        let other = ClusterState { workloads: shuffled, ..state.clone() };
        prop_assert_eq!(
            step(Some(&before), &discovery, &state.seen(), now),
            step(Some(&before), &discovery, &other.seen(), now)
        );
    }

    #[test]
    fn what_was_found_is_found_again_at_the_same_time(
        past in prop::collection::vec(states(), 1..5),
        max in 1..7_u32,
    ) {
        let discovery = with_max(max);
        let (found, now) = history(&past, &discovery);
        let seen = past.last().expect("a state").seen();
        prop_assert_eq!(step(Some(&found), &discovery, &seen, now), found);
    }

    #[test]
    fn no_image_goes_while_it_is_not_known_whether_it_is_named(
        past in prop::collection::vec(states(), 1..5),
        state in states(),
        max in 1..7_u32,
    ) {
        let discovery = with_max(max);
        let (before, now) = history(&past, &discovery);
        let seen = state.seen();
        let after = step(Some(&before), &discovery, &seen, now + 1_000 * HOUR);
        let is_listing = seen.by_namespace.values().any(|known| !known.complete);
        let known = |namespace: &str| seen.by_namespace.get(namespace);
        let has_none = |namespace: &str| known(namespace).is_none_or(|it| it.workloads.is_empty());
        let images = group(&after).images;
        for (reference, image) in group(&before).images {
            let mut namespaces = image.by.iter().filter_map(|by| Workload::namespace_in(by));
            let unknown = is_listing || namespaces.any(has_none);
            let displaced = image.unnamed_since.is_some() && images.len() == max as usize;
            prop_assert!(!unknown || displaced || images.contains_key(&reference), "{reference}: {after:?}");
        }
    }

    #[test]
    fn a_namespace_that_is_selected_counts_as_if_it_were_named(
        workloads in workloads(),
        teams in prop::array::uniform2(prop::sample::select(vec!["a", "b"])),
        max in 1..7_u32,
    ) {
        let teams = [("shop", teams[0]), ("pay", teams[1])];
        let named: Vec<&str> = teams.iter().filter(|(_, team)| *team == "a").map(|(namespace, _)| *namespace).collect();
        let with_max = |discovery: Discovery| {
            let Discovery { discover, .. } = discovery.clone();
            Discovery { discover: Discover { max, ..discover }, ..discovery }
        };
        let seen = labelled(seen(&workloads), &teams);
        let mut by_name = with_max(selecting(&named));
        by_name.discover.namespace_selector = None;
        prop_assert_eq!(
            step(None, &with_max(selecting(&[])), &seen, 0),
            step(None, &by_name, &seen, 0)
        );
    }

    #[test]
    fn what_was_selected_is_found_again_at_the_same_time(
        past in prop::collection::vec(labelled_states(), 1..5),
        names in prop::sample::subsequence(vec!["shop", "pay"], 0..=2),
    ) {
        let discovery = selecting(&names);
        let (found, now) = history_of(past.clone(), &discovery);
        prop_assert_eq!(step(Some(&found), &discovery, past.last().expect("a state"), now), found);
    }

    #[test]
    fn no_image_goes_while_it_is_not_known_which_namespaces_are_selected(
        past in prop::collection::vec(labelled_states(), 1..5),
        state in labelled_states(),
        names in prop::sample::subsequence(vec!["shop", "pay"], 0..=1),
    ) {
        let discovery = selecting(&names);
        let (before, now) = history_of(past, &discovery);
        let after = step(Some(&before), &discovery, &state, now + 1_000 * HOUR);
        let is_listing = state.namespaces.as_ref().is_some_and(|known| !known.complete);
        let is_selected = |by: &String| Workload::namespace_in(by).is_some_and(|namespace| !names.contains(&namespace));
        for (reference, image) in group(&before).images {
            let unknown = is_listing || (state.namespaces.is_none() && image.by.iter().any(is_selected));
            prop_assert!(!unknown || group(&after).images.contains_key(&reference), "{reference}: {after:?}");
        }
    }

    #[test]
    fn every_image_is_named_or_was_found_before_and_there_are_not_too_many(
        past in prop::collection::vec(states(), 0..5),
        state in states(),
        max in 1..7_u32,
    ) {
        let discovery = with_max(max);
        let (before, now) = history(&past, &discovery);
        let after = step(Some(&before), &discovery, &state.seen(), now + 1);
        let found = group(&after);
        prop_assert!(found.images.len() <= max as usize);
        prop_assert!(forms(&after).is_subset(&(&state.forms() | &forms(&before))));
        prop_assert_eq!(forms(&after).len(), found.images.len(), "one image, one spelling");
        let names: BTreeSet<&str> = found.images.values().map(|image| image.name.as_str()).collect();
        prop_assert_eq!(names.len(), found.images.len(), "{:?}", found);
        for image in found.images.values() {
            prop_assert!((1..=FoundImage::MAX_NAMED).contains(&image.by.len()), "{:?}", image);
        }
        prop_assert!(after.wake_at.is_none_or(|then| then > at(now + 1)));
    }

    #[test]
    fn in_the_end_the_images_are_those_that_are_named(
        past in prop::collection::vec(states(), 0..5),
        workloads in workloads(),
        max in 1..7_u32,
    ) {
        let discovery = with_max(max);
        let (before, now) = history(&past, &discovery);
        let state = ClusterState { workloads, listed: [Some(true); 2] };
        let first = step(Some(&before), &discovery, &state.seen(), now);
        let last = step(Some(&first), &discovery, &state.seen(), now + HOUR);
        if last.unknown.is_empty() {
            let (named, found) = (state.forms(), forms(&last));
            prop_assert!(found.is_subset(&named), "{:?} {:?}", found, named);
            prop_assert_eq!(found.len(), named.len().min(max as usize));
            prop_assert_eq!(last.wake_at, None);
        }
    }
}
