//! Which images a group has, and what is stored of them.

use super::*;

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
