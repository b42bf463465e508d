//! What stays because it is not known whether workloads name it.

use super::*;

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
