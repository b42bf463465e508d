//! Detects which conditions begin or end, compared with what has been reported.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::plan::generation::conditions::{Extent, ReportedCondition};

/// A condition of a group is reported at most once in this time, also if it has several shards.
pub const MIN_INTERVAL: SignedDuration = SignedDuration::from_mins(1);
/// The maximum number of images or nodes stored for a condition. `status` shows the others.
const MAX_ENTRIES: usize = 50;

/// What to report and what to store.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Transition {
    /// What the condition has begun for, or now affects at least twice as many nodes for.
    pub begun: BTreeSet<String>,
    /// What the condition has ended for.
    pub over: BTreeSet<String>,
    /// What to store from now on, if it differs.
    pub reported: Option<ReportedCondition>,
    /// When there will be something to report if nothing changes before.
    pub wake_at: Option<Timestamp>,
}

/// Compares what is `seen` now with what has been `reported`. `lasts` says whether a condition that is no longer seen
/// may still last: for example, the pod that would show it has just been recreated.
pub fn transition(
    reported: Option<&ReportedCondition>,
    mut seen: BTreeMap<String, Extent>,
    lasts: impl Fn(&str, &Extent) -> bool,
    now: Timestamp,
) -> Transition {
    let expired = |extent: &Extent| extent.until.is_some_and(|until| until <= now);
    let mut known = reported.map(|reported| reported.extents.clone()).unwrap_or_default();
    let lapsed = known.extract_if(.., |_, extent| expired(extent)).count() > 0;
    let mut space = MAX_ENTRIES.saturating_sub(known.len());
    seen.retain(|name, _| known.contains_key(name) || space.checked_sub(1).map(|less| space = less).is_some());
    let is_new = |(name, extent): &(&String, &Extent)| known.get(*name).is_none_or(|known| has_grown(known, extent));
    let begun: BTreeSet<String> = seen.iter().filter(is_new).map(|(name, _)| name.clone()).collect();
    let unseen = known.iter().filter(|(name, _)| !seen.contains_key(*name));
    let over: BTreeSet<String> =
        unseen.filter(|(name, extent)| !lasts(name, extent)).map(|(name, _)| name.clone()).collect();
    let extended = extend_stored(&mut known, &seen, now) | store_causes(&mut known, &seen);
    let last = reported.map(|reported| reported.at).filter(|at| *at <= now);
    if begun.is_empty() && over.is_empty() {
        let reported = (extended || lapsed).then(|| ReportedCondition { at: last.unwrap_or(now), extents: known });
        return Transition { reported, ..Transition::default() };
    }
    if let Some(again) = last.and_then(|last| last.checked_add(MIN_INTERVAL).ok()).filter(|again| now < *again) {
        return Transition { wake_at: Some(again), ..Transition::default() };
    }
    known.retain(|name, _| !over.contains(name));
    known.extend(seen.into_iter().filter(|(name, _)| begun.contains(name)));
    Transition { begun, over, reported: Some(ReportedCondition { at: now, extents: known }), wake_at: None }
}

/// Whether a condition affects at least twice as many nodes as it did.
pub fn has_grown(before: &Extent, now: &Extent) -> bool {
    before.nodes < now.nodes && 2 * before.nodes <= now.nodes
}

/// Extends conditions that last until a set time and are seen to last longer. Not every extension is stored, to save
/// writes.
fn extend_stored(known: &mut BTreeMap<String, Extent>, seen: &BTreeMap<String, Extent>, now: Timestamp) -> bool {
    let mut extended = false;
    for (name, extent) in known {
        let Some((until, longer)) = extent.until.zip(seen.get(name).and_then(|seen| seen.until)) else { continue };
        // Extend once less than half of the time is left.
        if until.duration_since(now) < longer.duration_since(now) / 2 {
            extent.until = Some(longer);
            extended = true;
        }
    }
    extended
}

/// Stores causes that kubelets say now, for times when they do not. Returns whether there are any.
fn store_causes(known: &mut BTreeMap<String, Extent>, seen: &BTreeMap<String, Extent>) -> bool {
    let mut stored = false;
    for (name, extent) in known {
        let cause =
            seen.get(name).and_then(|seen| seen.cause.as_ref()).filter(|cause| extent.cause.as_ref() != Some(*cause));
        if let Some(cause) = cause {
            extent.cause = Some(cause.clone());
            stored = true;
        }
    }
    stored
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("a time")
    }

    fn seen(of: &[(&str, usize)]) -> BTreeMap<String, Extent> {
        of.iter().map(|(name, nodes)| ((*name).to_owned(), Extent { nodes: *nodes, ..Extent::default() })).collect()
    }

    /// What is reported at that time, as `+image` for a beginning and `-image` for an end.
    fn report(reported: &mut Option<ReportedCondition>, of: &[(&str, usize)], lasts: bool, at: i64) -> Vec<String> {
        let transition = transition(reported.as_ref(), seen(of), |_, _| lasts, second(at));
        *reported = transition.reported.or(reported.take());
        let begun = transition.begun.iter().map(|name| format!("+{name}"));
        begun.chain(transition.over.iter().map(|name| format!("-{name}"))).collect()
    }

    #[test]
    fn a_condition_is_reported_when_it_begins_doubles_and_ends() {
        let mut reported = None;
        assert_eq!(report(&mut reported, &[("a", 1)], false, 0), ["+a"]);
        assert_eq!(report(&mut reported, &[("a", 1)], false, 100), [""; 0]);
        assert_eq!(report(&mut reported, &[("a", 2)], false, 200), ["+a"]);
        assert_eq!(report(&mut reported, &[("a", 3)], false, 300), [""; 0]);
        assert_eq!(report(&mut reported, &[("a", 4), ("b", 1)], false, 400), ["+a", "+b"]);
        assert_eq!(report(&mut reported, &[("b", 1)], true, 500), [""; 0], "it is not seen, and may last");
        assert_eq!(report(&mut reported, &[("b", 1)], false, 600), ["-a"]);
        assert_eq!(report(&mut reported, &[("a", 1)], false, 700), ["+a", "-b"], "it has begun again");
    }

    #[test]
    fn changes_within_a_minute_are_reported_together_after_it() {
        let mut reported = None;
        assert_eq!(report(&mut reported, &[("a", 1)], false, 0), ["+a"]);
        assert_eq!(report(&mut reported, &[("a", 1), ("b", 1)], false, 5), [""; 0]);
        let transition = transition(reported.as_ref(), seen(&[("a", 1), ("b", 1)]), |_, _| false, second(5));
        assert_eq!(transition.wake_at, Some(second(60)));
        assert_eq!(report(&mut reported, &[("a", 2), ("b", 1), ("c", 1)], false, 60), ["+a", "+b", "+c"]);
    }

    #[test]
    fn a_condition_without_nodes_is_reported_once() {
        let mut reported = None;
        assert_eq!(report(&mut reported, &[("", 0)], false, 0), ["+"]);
        assert_eq!(report(&mut reported, &[("", 0)], false, 1000), [""; 0]);
    }

    #[test]
    fn a_condition_with_a_set_end_is_reported_once_and_extended_with_few_writes() {
        let until = |minutes: i64| {
            let extent = Extent { nodes: 1, until: Some(second(60 * minutes)), ..Extent::default() };
            BTreeMap::from([("n".to_owned(), extent)])
        };
        let at = |reported: &Option<ReportedCondition>, seen, minute: i64| {
            transition(
                reported.as_ref(),
                seen,
                |_, extent| extent.until > Some(second(60 * minute)),
                second(60 * minute),
            )
        };
        let first = at(&None, until(60), 0);
        assert_eq!(first.begun, ["n".to_owned()].into());
        let again = at(&first.reported, until(70), 10);
        assert_eq!(again, Transition::default(), "no write");
        let later = at(&first.reported, until(110), 50);
        assert!(later.begun.is_empty() && later.reported.is_some(), "{later:?}");
        assert_eq!(
            at(&later.reported, BTreeMap::new(), 100),
            Transition::default(),
            "a new controller has not seen any of it"
        );
        assert_eq!(at(&later.reported, until(200), 140).begun, ["n".to_owned()].into(), "it has begun again");
    }

    proptest! {
        #[test]
        fn every_condition_is_reported_once_and_at_most_once_a_minute(
            history in prop::collection::vec((1_i64..50, prop::collection::btree_map("[a-c]", 1_usize..20, 0..4)), 1..40)
        ) {
            let (mut reported, mut now, mut last, mut generations) = (None::<ReportedCondition>, 0, i64::MIN, BTreeMap::new());
            for (pause, seen) in history {
                now += pause;
                let seen: BTreeMap<String, Extent> =
                    seen.into_iter().map(|(name, nodes)| (name, Extent { nodes, ..Extent::default() })).collect();
                // After a restart, only what was stored is known.
                let text = serde_json::to_string(&reported).expect("JSON");
                reported = serde_json::from_str(&text).expect("the same");
                let transition = transition(reported.as_ref(), seen.clone(), |_, _| false, second(now));
                if transition.begun.is_empty() && transition.over.is_empty() {
                    continue;
                }
                prop_assert!(now >= last.saturating_add(60));
                last = now;
                for name in &transition.over {
                    prop_assert!(generations.remove(name).is_some(), "{name} was reported before");
                }
                for name in &transition.begun {
                    let before = generations.insert(name.clone(), seen[name].nodes);
                    prop_assert!(before.is_none_or(|before| 2 * before <= seen[name].nodes), "{name}");
                }
                reported = transition.reported;
                prop_assert_eq!(generations.keys().collect::<Vec<_>>(), seen.keys().collect::<Vec<_>>());
            }
        }
    }
}
