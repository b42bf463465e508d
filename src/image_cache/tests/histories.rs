//! What holds whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use proptest::prelude::*;

use super::eci::{Eci, config, known};
use crate::image_cache::{Cache, CacheAction, Phase};

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    /// The list is edited: another tag of its images, more of them, another size.
    Edit { tag: u8, many: bool, size: u32 },
    /// The registry moves the tag.
    Move(u8),
    /// Time passes.
    Pass(i64),
    /// ECI moves an ImageCache on.
    Set { index: usize, phase: &'static str, percent: u8 },
    /// Somebody deletes one.
    Lose(usize),
    /// The controller reconciles, and is killed after so many writes.
    Reconcile { writes: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let phase = prop_oneof![6 => Just("Ready"), 2 => Just("Creating"), 1 => Just("Pending"), 3 => Just("Failed")];
    prop_oneof![
        2 => (0..3_u8, any::<bool>(), prop_oneof![Just(20), Just(40)])
            .prop_map(|(tag, many, size)| Step::Edit { tag, many, size }),
        2 => (0..3_u8).prop_map(Step::Move),
        4 => prop_oneof![1..5_i64, 30..90_i64, 600..2000_i64].prop_map(Step::Pass),
        6 => (0..8_usize, phase, 0..=100_u8).prop_map(|(index, phase, percent)| Step::Set { index, phase, percent }),
        1 => (0..8_usize).prop_map(Step::Lose),
        8 => (0..6_usize).prop_map(|writes| Step::Reconcile { writes }),
    ]
}

fn list(tag: u8, many: bool, size: u32) -> String {
    let images: Vec<String> = (0..if many { 25 } else { 3 }).map(|number| format!("i{number}:{tag}")).collect();
    format!("images: [{}]\nimageCache: {{enabled: true, size: {size}, retentionDays: 2}}\n", images.join(", "))
}

fn held(eci: &Eci, moved: u8) -> crate::image_cache::HeldDigests {
    let images = eci.config.groups.iter().flat_map(|group| &group.images);
    let images: Vec<String> = images.map(|image| image.reference.to_string()).collect();
    let digest = format!("sha256:{moved}");
    known(&images.iter().map(|image| (image.as_str(), digest.as_str(), 3)).collect::<Vec<_>>())
}

/// The sets of contents that were asked for at some time, and are all ready.
#[derive(Default)]
struct Watcher {
    /// By what was asked for, in the order in which it began.
    asked: Vec<BTreeSet<String>>,
}

impl Watcher {
    fn observe(&mut self, eci: &Eci) {
        let Some(ledger) = &eci.ledger else { return };
        let contents: BTreeSet<String> = ledger.entries.iter().map(|entry| entry.content.clone()).collect();
        if self.asked.last() != Some(&contents) && !contents.is_empty() {
            self.asked.push(contents);
        }
    }

    /// Whether something that was asked for at some time is all there.
    fn is_covered(&self, caches: &[Cache]) -> bool {
        let ready: BTreeSet<&str> = caches
            .iter()
            .filter(|cache| cache.phase == Phase::Ready)
            .map(|cache| cache.creation.content.as_str())
            .collect();
        self.asked.iter().any(|asked| asked.iter().all(|content| ready.contains(content.as_str())))
    }
}

fn check(eci: &Eci, action: &CacheAction, watcher: &mut Watcher, before: bool) -> Result<(), TestCaseError> {
    let caches = eci.caches();
    prop_assert!(!before || watcher.is_covered(&caches), "{action:?} took the last ready one");
    // Two layers of at most two portions each.
    let portions = eci.config.groups[0].images.len().div_ceil(20).max(2);
    prop_assert!(caches.len() <= 2 * portions, "{} after {action:?}", caches.len());
    let mut of_content: BTreeMap<&str, usize> = BTreeMap::new();
    for cache in &caches {
        *of_content.entry(&cache.creation.content).or_default() += 1;
    }
    prop_assert!(of_content.values().all(|count| *count <= 2), "{of_content:?}");
    if let CacheAction::Create { object, .. } = action {
        let cache = eci.caches().into_iter().find(|cache| Some(&cache.name) == object.metadata.name.as_ref());
        let attempt = cache.map_or(1, |cache| cache.creation.attempt);
        prop_assert!((1..=4).contains(&attempt), "try {attempt}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn what_is_ready_is_never_taken_away_and_nothing_is_paid_for_twice(steps in prop::collection::vec(step(), 1..80)) {
        let mut eci = Eci::new(&list(0, false, 20));
        let mut watcher = Watcher::default();
        let (mut moved, mut changes, mut failures, mut losses) = (0, 1_usize, 0_usize, 0_usize);
        eci.known = held(&eci, moved);
        for step in steps {
            match step {
                Step::Edit { tag, many, size } => {
                    eci.config = config(&list(tag, many, size));
                    eci.accepted_at = eci.now;
                    eci.known = held(&eci, moved);
                    changes += 2;
                }
                Step::Move(to) => {
                    moved = to;
                    eci.known = held(&eci, moved);
                    changes += 2;
                }
                Step::Pass(minutes) => {
                    eci.pass(SignedDuration::from_mins(minutes));
                    let before = eci.objects.len();
                    eci.expire();
                    losses += before - eci.objects.len();
                }
                Step::Set { index, phase, percent } if !eci.objects.is_empty() => {
                    let index = index % eci.objects.len();
                    failures += usize::from(phase == "Failed");
                    eci.set(index, phase, percent);
                }
                Step::Lose(index) if !eci.objects.is_empty() => {
                    let index = index % eci.objects.len();
                    eci.objects.remove(index);
                    losses += 1;
                }
                Step::Reconcile { writes } => {
                    let plan = eci.plan();
                    for action in plan.actions.iter().take(writes) {
                        let before = watcher.is_covered(&eci.caches());
                        eci.carry_out(action);
                        watcher.observe(&eci);
                        check(&eci, action, &mut watcher, before)?;
                    }
                }
                Step::Set { .. } | Step::Lose(_) => {}
            }
        }
        let renewals = eci.causes.iter().filter(|cause| matches!(cause, super::super::CacheCause::Renewal)).count();
        prop_assert!(
            eci.causes.len() <= changes + failures + losses + renewals,
            "{:?} for {changes} changes, {failures} failures, {losses} losses", eci.causes
        );
        let created = eci.causes.len();
        // What is left to do for the moment ends, and a new controller finds nothing more.
        let after = |eci: &mut Eci| { eci.settle(); eci.causes.len() };
        let settled = after(&mut eci);
        prop_assert!(settled - created <= 2 * 2, "{created} and then {settled}");
        prop_assert_eq!(after(&mut eci), settled);
    }

    /// Where ECI does what it promises, there is no gap, whatever the list and the registry do.
    #[test]
    fn there_is_always_one_that_is_ready_once_one_was(
        steps in prop::collection::vec((0..3_u8, any::<bool>(), 1..600_i64, 0..40_i64), 1..20),
    ) {
        let mut eci = Eci::new(&list(0, false, 20));
        let mut watcher = Watcher::default();
        eci.known = held(&eci, 0);
        let mut covered = false;
        for (tag, many, pause, building) in steps {
            eci.config = config(&list(tag, many, 20));
            eci.known = held(&eci, tag);
            let until = eci.now.checked_add(SignedDuration::from_mins(pause)).expect("a time");
            while eci.now < until {
                let wake_at = eci.settle().wake_at;
                watcher.observe(&eci);
                for index in 0..eci.objects.len() {
                    let created = eci.objects[index].metadata.creation_timestamp.clone().expect("a time").0;
                    if eci.now.duration_since(created).as_mins() >= building {
                        eci.set(index, "Ready", 100);
                    }
                }
                let soon = eci.now.checked_add(SignedDuration::from_mins(20)).expect("a time");
                eci.now = wake_at.map_or(soon, |at| at.min(soon)).max(eci.now.checked_add(SignedDuration::from_secs(1)).expect("a time"));
                eci.expire();
                let ready = watcher.is_covered(&eci.caches());
                prop_assert!(ready || !covered, "a gap at {}", eci.now);
                covered |= ready;
            }
        }
    }
}
