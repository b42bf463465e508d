//! What is known of accepted lists while the watch, this process and other clients write and delete them.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

use super::*;
use crate::cluster::affected_lists::Changed;
use crate::plan::name_claims::{Claimant, rejections};
use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::runtime::watcher::Event;

/// A version of a list; each differs from all others with another number.
fn version(list: &str, prefix: &str, number: i64) -> ControllerRevision {
    let data = json!({"IMAGES": format!("a=a:{number}"), "DAEMONSET_NAME": prefix});
    let object = json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": number, "data": {"name": list, "data": data},
        "metadata": {
            "name": format!("{list}-{number}"), "uid": format!("{list}-{number}-uid"), "namespace": "prepull",
            "labels": {"kube-prepull.io/list": list},
        },
    });
    serde_json::from_value(object).expect("a ControllerRevision")
}

fn applied(list: &str, prefix: &str, number: i64) -> Event<ControllerRevision> {
    Event::Apply(version(list, prefix, number))
}

fn deleted(list: &str, prefix: &str, number: i64) -> Event<ControllerRevision> {
    Event::Delete(version(list, prefix, number))
}

fn listing(versions: &[(&str, &str, i64)]) -> Vec<Event<ControllerRevision>> {
    let listed = versions.iter().map(|(list, prefix, number)| Event::InitApply(version(list, prefix, *number)));
    [Event::Init].into_iter().chain(listed).chain([Event::InitDone]).collect()
}

fn after(events: impl IntoIterator<Item = Event<ControllerRevision>>) -> AcceptedLists {
    let accepted = AcceptedLists::default();
    events.into_iter().for_each(|event| drop(accepted.record(&event)));
    accepted
}

fn config(list: &str, prefix: &str) -> Arc<Config> {
    let revision = Revision::from_object(&version(list, prefix, 0)).expect("a version");
    Arc::clone(AcceptedVersion::new(revision, &Arc::default()).config().expect("an accepted list"))
}

/// The lists in effect that share the name which a list asks for.
fn rivals(accepted: &AcceptedLists, list: &str, prefix: &str) -> Vec<String> {
    let rivals = accepted.rivals(list, &config(list, prefix));
    rivals.iter().map(|rival| rival.revision.list.name.clone()).collect()
}

fn lists(names: &[&str]) -> Vec<Changed> {
    names.iter().map(|name| Changed::List((*name).to_owned())).collect()
}

#[test]
fn an_edit_of_one_list_among_many_parses_one_version() {
    let names: Vec<String> = (0..500).map(|index| format!("list-{index}")).collect();
    let accepted = after(names.iter().map(|name| applied(name, name, 1)));
    let configs = || -> Vec<_> {
        accepted.newest().iter().map(|(_, version)| Arc::clone(version.config().expect("an accepted list"))).collect()
    };
    let before = configs();
    assert_eq!(accepted.record(&applied("list-7", "list-7", 2)), lists(&["list-7"]));
    let same = before.iter().zip(configs()).filter(|(before, after)| Arc::ptr_eq(before, after)).count();
    assert_eq!((before.len(), same), (500, 499));
    let revision = &accepted.of("list-7")[1];
    let again = [accepted.version(revision), accepted.version(revision)];
    assert!(Arc::ptr_eq(&again[0], &again[1]), "whoever reads a known version uses what it was parsed to");
}

#[test]
fn a_note_on_a_version_or_another_listing_parses_nothing() {
    let accepted = after([applied("a", "a", 1)]);
    let meaning = || Arc::clone(accepted.newest()[0].1.config().expect("an accepted list"));
    let before = meaning();
    let mut noted = version("a", "a", 1);
    let annotations = [("kube-prepull.io/missing-since".to_owned(), "2026-01-01T00:00:00Z".to_owned())];
    noted.metadata.annotations = Some(annotations.into());
    accepted.record(&Event::Apply(noted));
    assert!(accepted.of("a")[0].missing_since.is_some());
    assert!(Arc::ptr_eq(&before, &meaning()));
    listing(&[("a", "a", 1)]).iter().for_each(|event| drop(accepted.record(event)));
    assert!(Arc::ptr_eq(&before, &meaning()));
}

#[test]
fn what_older_versions_mean_is_not_kept() {
    let accepted = after([applied("a", "a", 1), applied("a", "a", 2), applied("a", "a", 3)]);
    let parsed: Vec<bool> = accepted.all().iter().map(|version| version.is_parsed()).collect();
    assert_eq!(parsed, [false, false, true]);
}

#[test]
fn a_list_that_waits_for_a_name_hears_when_it_is_released_and_no_other_list_does() {
    let accepted = after([applied("first", "puller", 1), applied("other", "other", 1)]);
    assert_eq!(rivals(&accepted, "second", "puller"), ["first"]);
    assert!(rivals(&accepted, "third", "third").is_empty());
    assert_eq!(accepted.record(&applied("other", "another", 2)), lists(&["other"]));
    assert_eq!(accepted.record(&deleted("first", "puller", 1)), lists(&["second", "first"]));
    assert!(rivals(&accepted, "second", "puller").is_empty());
}

#[test]
fn a_name_is_released_by_an_edit_too() {
    let accepted = after([applied("first", "puller", 1)]);
    assert_eq!(rivals(&accepted, "second", "puller"), ["first"]);
    assert_eq!(accepted.record(&applied("first", "others", 2)), lists(&["second", "first"]));
    assert!(rivals(&accepted, "second", "puller").is_empty());
    assert_eq!(rivals(&accepted, "second", "others"), ["first"]);
}

#[test]
fn a_list_that_gave_up_waiting_hears_nothing() {
    let accepted = after([applied("first", "puller", 1)]);
    rivals(&accepted, "second", "puller");
    rivals(&accepted, "third", "puller");
    accepted.waits_no_longer("second");
    rivals(&accepted, "third", "another");
    assert_eq!(accepted.record(&deleted("first", "puller", 1)), lists(&["first"]));
}

#[test]
fn what_is_reported_of_all_lists_has_what_was_written_before_the_watch_sees_it() {
    let accepted = after([applied("first", "old", 1)]);
    accepted.record_ahead(&version("first", "new", 2), None);
    let numbers = || {
        let mut numbers: Vec<_> = accepted.all().iter().map(|version| version.revision.number).collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(numbers(), [1, 2]);
    accepted.record(&applied("first", "new", 2));
    assert_eq!(numbers(), [1, 2], "each once");
}

#[test]
fn a_name_is_taken_as_soon_as_it_is_written_however_late_the_watch_is() {
    let accepted = after([applied("first", "old", 1)]);
    accepted.record_ahead(&version("first", "puller", 2), None);
    assert_eq!(rivals(&accepted, "second", "puller"), ["first"]);
    assert_eq!(accepted.of("first").len(), 1, "plans are about what the watch has seen");
    // The watch still sends what was before.
    accepted.record(&applied("first", "old", 1));
    assert_eq!(rivals(&accepted, "second", "puller"), ["first"]);
    accepted.record(&applied("first", "puller", 2));
    assert!(accepted.lock().ahead.is_empty(), "the watch has caught up");
    assert_eq!(rivals(&accepted, "second", "puller"), ["first"]);
}

#[test]
fn what_was_written_and_deleted_again_takes_no_name() {
    let written = || {
        let accepted = AcceptedLists::default();
        accepted.record_ahead(&version("first", "puller", 1), None);
        accepted
    };
    let accepted = written();
    rivals(&accepted, "second", "puller");
    assert_eq!(accepted.record(&deleted("first", "puller", 1)), lists(&["second", "first"]));
    assert!(rivals(&accepted, "second", "puller").is_empty());
    // The answer to a write may come after what the watch says of it.
    accepted.record_ahead(&version("first", "puller", 1), None);
    assert!(rivals(&accepted, "second", "puller").is_empty());
    // A listing that began later and does not have it.
    let accepted = written();
    listing(&[("other", "other", 1)]).iter().for_each(|event| drop(accepted.record(event)));
    assert!(rivals(&accepted, "second", "puller").is_empty());
}

#[test]
fn a_listing_that_began_before_a_write_does_not_undo_it() {
    let accepted = AcceptedLists::default();
    accepted.record(&Event::Init);
    accepted.record_ahead(&version("first", "puller", 1), None);
    accepted.record(&Event::InitDone);
    assert_eq!(rivals(&accepted, "second", "puller"), ["first"]);
    accepted.record(&applied("first", "puller", 1));
    assert_eq!(rivals(&accepted, "second", "puller"), ["first"]);
}

#[test]
fn during_a_listing_what_was_known_before_stays_in_use() {
    let accepted = after([applied("first", "puller", 1)]);
    accepted.record(&Event::Init);
    accepted.record(&Event::InitApply(version("other", "other", 1)));
    assert_eq!(rivals(&accepted, "second", "puller"), ["first"]);
    assert_eq!(accepted.record(&Event::InitDone), [Changed::Everything]);
    assert!(rivals(&accepted, "second", "puller").is_empty());
    assert_eq!(accepted.labels(), ["other"]);
}

#[test]
fn nothing_stays_of_lists_that_are_gone() {
    let accepted = after((0..100).map(|index| applied(&format!("list-{index}"), "puller", 1)));
    rivals(&accepted, "waiting", "puller");
    accepted.waits_no_longer("waiting");
    (0..100).for_each(|index| drop(accepted.record(&deleted(&format!("list-{index}"), "puller", 1))));
    let table = accepted.lock();
    assert!(table.lists.is_empty() && table.ahead.is_empty());
    assert_eq!([&table.in_force, &table.written, &table.waiting], [&Default::default(); 3]);
}

#[test]
fn a_version_whose_label_was_changed_is_still_forgotten_when_it_is_deleted() {
    let accepted = after([applied("first", "puller", 1)]);
    let mut relabelled = version("first", "puller", 1);
    relabelled.metadata.labels = Some([("kube-prepull.io/list".to_owned(), "second".to_owned())].into());
    accepted.record(&Event::Apply(relabelled.clone()));
    accepted.record(&Event::Delete(relabelled));
    assert!(accepted.labels().is_empty());
}

proptest! {
    #[test]
    fn whoever_asks_for_a_name_is_rejected_just_as_if_all_lists_were_compared(
        steps in prop::collection::vec((0..6_usize, "(a|b|c)", 0..3_u8, any::<Index>()), 1..40),
        (own, prefix) in (0..6_usize, "(a|b|c)"),
    ) {
        let accepted = AcceptedLists::default();
        let (mut existing, mut late): (Vec<ControllerRevision>, Vec<Event<ControllerRevision>>) = Default::default();
        for (number, (list, prefix, kind, which)) in steps.into_iter().enumerate() {
            let written = version(&format!("list-{list}"), &prefix, i64::try_from(number).expect("few") + 1);
            if kind != 1 {
                // The watch sends everything in order, some time after it was written.
                late.drain(..).for_each(|event| drop(accepted.record(&event)));
            }
            match kind {
                0 if !existing.is_empty() => {
                    let gone = existing.swap_remove(which.index(existing.len()));
                    accepted.record(&Event::Delete(gone));
                }
                1 => {
                    accepted.record_ahead(&written, None);
                    late.push(Event::Apply(written.clone()));
                    existing.push(written);
                }
                _ => {
                    accepted.record(&Event::Apply(written.clone()));
                    existing.push(written);
                }
            }
        }
        let versions: Vec<_> = existing.iter().filter_map(Revision::from_object).map(|it| Arc::new(AcceptedVersion::new(it, &Arc::default()))).collect();
        let names: BTreeSet<String> = versions.iter().map(|version| version.revision.list.name.clone()).collect();
        let all: Vec<_> = names.iter().filter_map(|name| {
            let of_list: Vec<_> = versions.iter().filter(|it| it.revision.list.name == *name).cloned().collect();
            newest(&of_list).cloned()
        }).collect();
        let own = format!("list-{own}");
        let config = config(&own, &prefix);
        let rejected = |others: &[Arc<AcceptedVersion>]| {
            let others = others.iter().filter(|it| it.revision.list.name != own);
            let claimants = others.filter_map(|it| Some(Claimant {
                list: &it.revision.list.name, config: it.config()?, in_force: true, generations: &[], created: None,
            }));
            let asking = Claimant { list: &own, config: &config, in_force: false, generations: &[], created: None };
            rejections(&claimants.chain([asking]).collect::<Vec<_>>()).remove(own.as_str())
        };
        prop_assert_eq!(rejected(&accepted.rivals(&own, &config)), rejected(&all));
    }
}
