//! What holds for any workloads.

use super::*;

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
