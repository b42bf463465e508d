use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ConfigMap;
use proptest::prelude::*;

use super::{at, owner};
use crate::list::ListData;
use crate::list::discover::found::{Found, FoundImage, GroupFound};
use crate::plan::versions::{
    self, ConfigMapState, GRACE, HistoryPlan, InForce, KEPT, Revision, Write, build, build_missing, newest,
};

const NOW: &str = "2026-01-01T12:00:00Z";

fn list(content: &str) -> ListData {
    ListData {
        namespace: "prepull".to_owned(),
        name: "tools".to_owned(),
        data: [("images.yaml".to_owned(), content.to_owned())].into(),
        found: None,
    }
}

/// The ControllerRevisions that an API server stores.
#[derive(Clone, Debug, Default)]
struct Kept(Vec<Revision>);

/// The list's ConfigMap and whether it is accepted, or `None` if there is no ConfigMap.
type Now = Option<(ListData, bool)>;

impl Kept {
    fn holding(contents: &[&str]) -> Self {
        let mut kept = Self::default();
        for content in contents {
            kept.settle(&Some((list(content), true)), at(NOW));
        }
        kept
    }

    fn write(&mut self, written: &Now, write: &Write) {
        match write {
            Write::Store { number, ledger } => {
                let list = &written.as_ref().expect("only an accepted list is stored").0;
                let object = build(list, "tools", *number, *ledger, None);
                self.0.retain(|known| Some(&known.name) != object.metadata.name.as_ref());
                self.0.push(Self::read(object));
            }
            Write::StoreEmpty { missing_since } => {
                let nothing = ListData { data: Default::default(), ..list("") };
                self.0.push(Self::read(build_missing(&nothing, "tools", *missing_since, None)));
            }
            Write::RecordMissing { revision, missing_since } => {
                let noted = self.0.iter_mut().find(|known| known.name == revision.name);
                noted.expect("the revision").missing_since = *missing_since;
            }
            Write::Delete(revision) => self.0.retain(|known| known.name != revision.name),
        }
    }

    fn read(mut object: k8s_openapi::api::apps::v1::ControllerRevision) -> Revision {
        object.metadata.uid = Some("1".to_owned());
        Revision::from_object(&object).expect("a built revision can be read")
    }

    /// Carries out all writes, and returns the content in effect.
    fn settle(&mut self, written: &Now, now: Timestamp) -> Option<String> {
        self.carry_out(written, now, usize::MAX)
    }

    /// Carries out this many writes, like a process that is killed after them.
    fn carry_out(&mut self, written: &Now, now: Timestamp, writes: usize) -> Option<String> {
        let before = self.0.clone();
        let plan = plan_of(written, &before, now);
        plan.first.iter().chain(&plan.last).take(writes).for_each(|write| self.write(written, write));
        match plan.in_force {
            InForce::Current => written.as_ref().map(|(list, _)| list.data["images.yaml"].clone()),
            InForce::LastAccepted(revision) => revision.list.data.get("images.yaml").cloned(),
            InForce::Nothing | InForce::Gone => None,
        }
    }
}

fn plan_of<'a>(written: &Now, revisions: &'a [Revision], now: Timestamp) -> HistoryPlan<'a> {
    let written = match written {
        Some((list, true)) => ConfigMapState::Accepted(list),
        Some((_, false)) => ConfigMapState::Rejected,
        None => ConfigMapState::Missing { has_daemon_sets: true },
    };
    versions::plan(&written, revisions, now)
}

#[test]
fn an_accepted_list_is_stored_once() {
    let mut kept = Kept::default();
    let written = Some((list("a"), true));
    assert_eq!(plan_of(&written, &[], at(NOW)).first, [Write::Store { number: 1, ledger: None }]);
    assert_eq!(kept.settle(&written, at(NOW)).as_deref(), Some("a"));
    assert!(plan_of(&written, &kept.0, at(NOW)).is_idle());
}

#[test]
fn the_last_accepted_version_is_in_force_while_an_edit_is_rejected() {
    let mut kept = Kept::holding(&["a", "b"]);
    assert_eq!(kept.settle(&Some((list("bad"), false)), at(NOW)).as_deref(), Some("b"));
    assert!(plan_of(&Some((list("bad"), false)), &kept.0, at(NOW)).is_idle());
}

#[test]
fn a_list_that_was_never_accepted_changes_nothing() {
    let plan = plan_of(&Some((list("bad"), false)), &[], at(NOW));
    assert_eq!((plan.in_force, plan.is_idle()), (InForce::Nothing, true));
}

#[test]
fn reverting_to_an_earlier_version_reuses_its_revision() {
    let mut kept = Kept::holding(&["a", "b"]);
    kept.settle(&Some((list("a"), true)), at(NOW));
    assert_eq!(kept.0.len(), 2);
    assert_eq!(*newest(&kept.0).expect("two").list, list("a"));
}

#[test]
fn only_a_few_versions_are_kept() {
    let kept = Kept::holding(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]);
    let mut contents: Vec<_> = kept.0.iter().map(|revision| revision.list.data["images.yaml"].as_str()).collect();
    contents.sort_unstable();
    assert_eq!(contents, ["c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]);
}

#[test]
fn a_missing_list_stays_in_force_for_the_grace_period() {
    let mut kept = Kept::holding(&["a"]);
    assert_eq!(kept.settle(&None, at(NOW)).as_deref(), Some("a"), "noticed");
    let almost = at(NOW) + GRACE - SignedDuration::from_secs(1);
    assert_eq!(kept.settle(&None, almost).as_deref(), Some("a"));
    assert_eq!(plan_of(&None, &kept.0, almost).wake_at, Some(at(NOW) + GRACE));
    assert_eq!(plan_of(&None, &kept.0, at(NOW) + GRACE).in_force, InForce::Gone);
    kept.settle(&None, at(NOW) + GRACE);
    assert!(kept.0.is_empty());
}

#[test]
fn a_list_that_comes_back_in_time_loses_nothing_and_resets_the_grace_period() {
    let mut kept = Kept::holding(&["a"]);
    kept.settle(&None, at(NOW));
    kept.settle(&Some((list("a"), true)), at(NOW) + SignedDuration::from_mins(9));
    assert_eq!(newest(&kept.0).expect("one").missing_since, None);
    let later = at(NOW) + SignedDuration::from_mins(11);
    assert_eq!(kept.settle(&None, later).as_deref(), Some("a"));
    assert_eq!(newest(&kept.0).expect("one").missing_since, Some(later));
}

#[test]
fn a_missing_since_time_in_the_future_counts_from_now() {
    let mut kept = Kept::holding(&["a"]);
    kept.settle(&None, at(NOW) + SignedDuration::from_hours(24));
    kept.settle(&None, at(NOW));
    assert_eq!(newest(&kept.0).expect("one").missing_since, Some(at(NOW)));
}

#[test]
fn a_missing_list_with_nothing_but_daemon_sets_is_recorded_too() {
    let mut kept = Kept::default();
    kept.settle(&None, at(NOW));
    assert_eq!(newest(&kept.0).expect("a note").missing_since, Some(at(NOW)));
    kept.settle(&None, at(NOW) + GRACE);
    assert!(kept.0.is_empty());
}

#[test]
fn a_crash_during_clean_up_keeps_the_record_that_the_rest_may_be_deleted() {
    let mut kept = Kept::holding(&["a", "b", "c"]);
    kept.settle(&None, at(NOW));
    kept.carry_out(&None, at(NOW) + GRACE, 2);
    assert_eq!(kept.0.len(), 1);
    assert_eq!(plan_of(&None, &kept.0, at(NOW) + GRACE).in_force, InForce::Gone);
}

#[test]
fn ten_small_versions_are_kept_and_of_large_ones_as_many_as_fit_but_never_less_than_three() {
    let kept_of = |bytes: usize| {
        let mut kept = Kept::default();
        for version in 0..15 {
            kept.settle(&Some((list(&format!("{version}{}", "x".repeat(bytes))), true)), at(NOW));
        }
        let newest = newest(&kept.0).expect("one").list.data["images.yaml"].clone();
        assert!(newest.starts_with("14"), "{newest:.10}");
        kept.0.len()
    };
    assert_eq!(kept_of(100), KEPT);
    assert_eq!(kept_of(10_000), 1 + 6);
    assert_eq!(kept_of(100_000), 3);
}

#[test]
fn versions_that_differ_in_what_was_discovered_do_not_displace_edits() {
    let discovered = |text: &str, number: usize| {
        let image = (format!("a:{number}"), FoundImage::default());
        let group = GroupFound { images: [image].into(), ..GroupFound::default() };
        let found = Found([("default".to_owned(), group)].into());
        (ListData { found: Some(Arc::new(found)), ..list(text) }, true)
    };
    let mut kept = Kept::default();
    for (text, number) in std::iter::once(("before", 0)).chain((1..30).map(|number| ("after", number))) {
        kept.settle(&Some(discovered(text, number)), at(NOW));
    }
    let texts: Vec<_> = kept.0.iter().map(|revision| revision.list.data["images.yaml"].as_str()).collect();
    assert_eq!(texts.iter().filter(|text| **text == "before").count(), 1, "{texts:?}");
    assert_eq!(texts.len(), 4, "{texts:?}");
}

#[test]
fn a_revision_is_owned_by_the_deployment_and_labelled_with_its_list() {
    let revision = build(&list("a"), "tools", 7, None, Some(&owner()));
    assert_eq!(revision.metadata.owner_references, Some(vec![owner()]));
    let labels = revision.metadata.labels.expect("labels");
    assert_eq!(labels["kube-prepull.io/list"], "tools");
    assert_eq!(revision.revision, 7);
}

proptest! {
    /// The last accepted list stays in effect without interruption until its ConfigMap has been missing for the grace
    /// period, whatever is edited, deleted and restarted.
    #[test]
    fn the_last_good_list_survives_everything(
        steps in prop::collection::vec((prop::option::of(("[a-n]", prop::bool::ANY)), 0i64..400, 0usize..4), 1..60)
    ) {
        let (mut kept, mut now) = (Kept::default(), at(NOW));
        let (mut last, mut away_since): (Option<String>, Option<Timestamp>) = (None, None);
        for (written, seconds, writes) in steps {
            now += SignedDuration::from_secs(seconds);
            let written = written.map(|(content, accepted)| (list(&content), accepted));
            away_since = if written.is_some() { None } else { away_since.or(Some(now)) };
            let away = away_since.map_or(SignedDuration::ZERO, |since| now.duration_since(since));
            kept.carry_out(&written, now, writes);
            let in_force = kept.settle(&written, now);
            match &written {
                Some((list, true)) => last = Some(list.data["images.yaml"].clone()),
                None if away >= GRACE => last = None,
                _ => {}
            }
            prop_assert_eq!(&in_force, &last);
            prop_assert!(kept.0.len() <= KEPT);
            // Once everything is deleted, nothing remains that could start it again.
            let idle = written.is_none() && last.is_none() || plan_of(&written, &kept.0, now).is_idle();
            prop_assert!(idle);
        }
    }
}

#[test]
fn a_version_is_the_one_of_a_config_map_while_that_has_its_name_and_data() {
    let older = &Kept::holding(&["a"]).0[0];
    let says = |name: &str, data: Option<&str>| {
        let mut config_map = ConfigMap { data: data.map(|content| list(content).data), ..Default::default() };
        config_map.metadata.name = Some(name.to_owned());
        older.is_data_of(&config_map)
    };
    assert!(says("tools", Some("a")));
    assert!(!says("tools", Some("b")), "the accepted version is still an older one");
    assert!(!says("tools", None));
    assert!(!says("other", Some("a")));
}

#[test]
fn a_version_whose_list_can_have_no_such_name_is_none() {
    let is_read = |name: &str| {
        let list = ListData { name: name.to_owned(), ..list("images: [nginx]") };
        let mut object = build(&list, "tools", 0, None, None);
        object.metadata.uid = Some("1".to_owned());
        Revision::from_object(&object).is_some()
    };
    assert!(is_read("tools") && is_read("tools.v2") && is_read(&"a".repeat(63)));
    for name in ["a/b", "..", "", "A", &"a".repeat(10_000)] {
        assert!(!is_read(name), "{name}");
    }
}
