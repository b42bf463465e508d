//! Ledgers on several accepted versions of a list: which one counts, and that this comes to rest.

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::eci::{Eci, config, known};
use crate::image_cache::ledger::{Entry, Ledger, ReportedStep};
use crate::image_cache::{CacheAction, CacheFinding};
use crate::list::ListData;
use crate::plan::versions::{self, ConfigMapState, Revision, Write};

/// More writes than any state needs until nothing is left to do.
const MANY: usize = 12;

/// A form of the list. They differ in nothing that ImageCaches are about.
fn form(number: u8) -> ListData {
    let text = format!("images: [a:1, b:1]\npullRate: {}\nimageCache: {{enabled: true}}\n", 100 + u32::from(number));
    ListData {
        namespace: "prepull".to_owned(),
        name: "tools".to_owned(),
        data: [("images.yaml".to_owned(), text)].into(),
        found: None,
    }
}

fn newest_ledger(revisions: &[Revision]) -> Option<Ledger> {
    versions::newest_ledger(revisions).and_then(Ledger::from_text)
}

fn revision(list: &ListData, number: i64, ledger: Option<&str>) -> Revision {
    let mut object = versions::build(list, "tools", number, ledger, None);
    object.metadata.uid = Some("1".to_owned());
    Revision::from_object(&object).expect("what was built can be read")
}

/// In which order the accepted versions are seen: a watch and the API server have one each, and neither is that of their numbers.
#[derive(Clone, Copy, Debug)]
enum Listed {
    OldestFirst,
    NewestFirst,
    InTurn,
}

const ORDERS: [Listed; 3] = [Listed::NewestFirst, Listed::OldestFirst, Listed::InTurn];

/// A list with its accepted versions and ImageCaches.
#[derive(Clone, Debug)]
struct World {
    eci: Eci,
    written: ListData,
    revisions: Vec<Revision>,
}

impl World {
    fn new() -> Self {
        let written = form(0);
        let mut eci = Eci::new(&written.data["images.yaml"]);
        eci.known = known(&[("a:1", "sha256:a1", 3), ("b:1", "sha256:b1", 3)]);
        Self { eci, written, revisions: Vec::new() }
    }

    fn edit(&mut self, number: u8) {
        self.written = form(number);
        self.eci.config = config(&self.written.data["images.yaml"]);
    }

    /// Reconciles once, and returns the number of writes.
    fn reconcile(&mut self) -> usize {
        let (seen, written) = (self.revisions.clone(), self.written.clone());
        let history_plan = versions::plan(&ConfigMapState::Accepted(&written), &seen, self.eci.now);
        let plan = match (history_plan.accepts(), versions::newest(&seen)) {
            (false, Some(newest)) => {
                let on_newest = newest.image_caches.as_deref().and_then(Ledger::from_text);
                self.eci.plan_from(newest_ledger(&seen).as_ref(), on_newest.as_ref())
            }
            _ => Default::default(),
        };
        history_plan.first.iter().for_each(|write| self.write(write));
        plan.actions.iter().for_each(|action| self.carry_out(action));
        history_plan.last.iter().for_each(|write| self.write(write));
        history_plan.first.len() + plan.actions.len() + history_plan.last.len()
    }

    fn write(&mut self, write: &Write) {
        match write {
            Write::Store { number, ledger } => {
                let kept = revision(&self.written, *number, *ledger);
                self.revisions.retain(|known| known.name != kept.name);
                self.revisions.push(kept);
            }
            Write::Delete(revision) => self.revisions.retain(|known| known.name != revision.name),
            Write::RecordMissing { .. } | Write::StoreEmpty { .. } => unreachable!("the list is there"),
        }
    }

    fn carry_out(&mut self, action: &CacheAction) {
        self.eci.carry_out(action);
        if let CacheAction::Keep { ledger, .. } = action {
            let newest = versions::newest(&self.revisions).expect("an accepted version").name.clone();
            let newest = self.revisions.iter_mut().find(|revision| revision.name == newest);
            newest.expect("the newest").image_caches = ledger.as_deref().map(Ledger::to_text);
        }
    }

    /// Reconciles until nothing is left to do. Returns the number of writes.
    fn settle(&mut self, listed: Listed) -> usize {
        let mut writes = 0;
        while writes <= MANY {
            match listed {
                Listed::OldestFirst => self.revisions.sort_by_key(|revision| revision.number),
                Listed::NewestFirst => self.revisions.sort_by_key(|revision| Reverse(revision.number)),
                Listed::InTurn => self.revisions.reverse(),
            }
            match self.reconcile() {
                0 => return writes,
                more => writes += more,
            }
            self.eci.pass(SignedDuration::from_millis(200));
        }
        panic!("there is always something left to write: {:#?}", self.revisions);
    }

    /// What is there in the end, whatever order it is listed in.
    fn end(mut self) -> (Vec<Revision>, Vec<String>) {
        self.revisions.sort_by(|one, other| one.name.cmp(&other.name));
        (self.revisions, self.eci.caches().into_iter().map(|cache| format!("{cache:?}")).collect())
    }
}

#[test]
fn an_edit_while_an_image_cache_is_built_leads_to_no_writes_without_end() {
    for listed in ORDERS {
        let mut world = World::new();
        world.settle(listed);
        world.edit(1);
        world.settle(listed);
        world.eci.set_all("Ready");
        world.settle(listed);
        assert_eq!(world.reconcile(), 0);
        assert!(
            matches!(world.eci.findings[..], [CacheFinding::Ready { .. }]),
            "reported once: {:?}",
            world.eci.findings
        );
        let ledger = newest_ledger(&world.revisions);
        world.edit(0);
        assert_eq!(world.settle(listed), 1, "the form and its ledger are one write");
        assert_eq!(newest_ledger(&world.revisions), ledger, "that of the form before is outdated");
        assert_eq!(world.eci.findings.len(), 1, "{:?}", world.eci.findings);
    }
}

#[test]
fn a_ledger_that_somebody_took_away_is_brought_back_from_an_older_form() {
    let mut world = World::new();
    world.settle(Listed::OldestFirst);
    world.edit(1);
    world.settle(Listed::OldestFirst);
    let newest = versions::newest(&world.revisions).expect("two").clone();
    let taken = world.revisions.iter_mut().find(|revision| revision.name == newest.name).expect("the newest");
    taken.image_caches = None;
    assert_eq!(world.settle(Listed::OldestFirst), 1);
    assert_eq!(versions::newest(&world.revisions), Some(&newest));
}

fn times() -> impl Strategy<Value = Option<Timestamp>> {
    let time = |ago: i64| Timestamp::from_second(1_800_000_000 - ago).expect("a time");
    prop::option::of((0..3_i64).prop_map(move |hours| time(3_600 * hours)))
}

/// Ledgers that are mostly equal in number and time and differ in the rest.
fn ledger() -> impl Strategy<Value = Ledger> {
    let reported = prop_oneof![
        Just(ReportedStep::Nothing),
        Just(ReportedStep::Half),
        Just(ReportedStep::Ready),
        Just(ReportedStep::Failed)
    ];
    let entry = (0..3_u8, 0..3_u32, 0..6_u32, 0..4_u32, [times(), times(), times()], reported);
    let ledger = (prop::option::of(entry), 0..3_u32, times(), prop::option::of("[ab]"));
    ledger.prop_map(|(entry, serial, since, request)| {
        let mut world = World::new();
        world.settle(Listed::OldestFirst);
        let mut known = newest_ledger(&world.revisions).expect("a ledger").entries.clone();
        let Some((content, serial_of_entry, attempts, losses, [last, ready_at, lost_at], reported)) = entry else {
            return Ledger { since, serial, request, ..Ledger::default() };
        };
        known.truncate(usize::from(content.min(1)));
        if content == 2 {
            known.iter_mut().for_each(|entry| entry.content = "other".to_owned());
        }
        let entries = known.into_iter().map(|entry| Entry {
            serial: serial_of_entry,
            attempts,
            losses,
            last,
            ready_at,
            lost_at,
            reported,
            ..entry
        });
        Ledger { since, serial, entries: entries.collect(), request, ..Ledger::default() }
    })
}

prop_compose! {
    /// Forms with any numbers and ledgers, one or no ImageCache, and the list as one of the forms or another.
    fn world()(
        kept in prop::collection::vec((0..4_u8, 0..3_i64, prop::option::weighted(0.8, ledger())), 0..6),
        written in 0..5_u8,
        phase in prop::option::of(prop_oneof![Just("Creating"), Just("Ready"), Just("Failed")]),
    ) -> World {
        let mut world = World::new();
        if let Some(phase) = phase {
            world.settle(Listed::OldestFirst);
            world.eci.set_all(phase);
        }
        world.eci.findings.clear();
        world.revisions.clear();
        for (number, revision_number, ledger) in kept {
            let revision = revision(&form(number), revision_number, ledger.as_ref().map(Ledger::to_text).as_deref());
            if !world.revisions.iter().any(|known| known.name == revision.name) {
                world.revisions.push(revision);
            }
        }
        world.edit(written);
        world
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_ledgers_on_any_forms_come_to_rest_at_the_same_in_any_order(
        (world, order) in world().prop_flat_map(|world| {
            let order = Just(world.revisions.clone()).prop_shuffle();
            (Just(world), order)
        }),
        orders in [prop::sample::select(&ORDERS[..]), prop::sample::select(&ORDERS[..])],
    ) {
        let (mut one, mut other) = (world.clone(), World { revisions: order, ..world });
        let writes = (one.settle(orders[0]), other.settle(orders[1]));
        prop_assert_eq!(writes.0, writes.1);
        prop_assert_eq!(one.end(), other.end());
    }
}
