use jiff::SignedDuration;
use kube::ResourceExt;

use super::eci::{Eci, config, known};
use crate::image_cache::{CacheAction, CacheCause, CacheFinding, CacheWait, Next, Phase};

const LIST: &str = "images: [a:1, b:1]\nimageCache: {enabled: true}\n";

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// A list whose ImageCache is ready.
fn ready() -> Eci {
    let mut eci = Eci::new(LIST);
    eci.known = known(&[("a:1", "sha256:a1", 3), ("b:1", "sha256:b1", 3)]);
    eci.settle();
    eci.set_all("Ready");
    eci.settle();
    eci
}

#[test]
fn what_is_made_says_whose_it_is_and_what_is_in_it() {
    let text = "images: [a:1, {name: x, image: \"b:1\"}]\ngroups:\n  - {name: gpu, images: [c:1, a:1], imagePullSecrets: [one]}\n\
                imageCache: {enabled: true, retentionDays: 7, imagePullSecrets: [two], annotations: {k8s.aliyun.com/imc-enable-reuse: \"true\"}}\n";
    let mut eci = Eci::new(text);
    eci.known = known(&[("a:1", "x", 1), ("b:1", "y", 1), ("c:1", "z", 1)]);
    eci.sizes = Some([("a:1".to_owned(), 10 << 30), ("c:1".to_owned(), (5 << 30) + 1)].into());
    eci.settle();
    assert_eq!(eci.objects.len(), 1);
    let object = &eci.objects[0];
    assert!(object.name_any().starts_with("prepull-tools-"), "{}", object.name_any());
    assert_eq!(object.spec.images, ["a:1", "b:1", "c:1"]);
    assert_eq!(object.spec.image_pull_secrets, Some(vec!["prepull:one".to_owned(), "prepull:two".to_owned()]));
    assert_eq!((object.spec.image_cache_size, object.spec.retention_days), (Some(31), Some(7)));
    assert_eq!(object.annotations()["k8s.aliyun.com/imc-enable-reuse"], "true");
    assert_eq!(object.labels()["kube-prepull.io/namespace"], "prepull");
    assert_eq!(object.labels()["kube-prepull.io/list"], "tools");
}

#[test]
fn only_the_named_groups_are_in_it_and_more_than_twenty_images_are_portions_in_order() {
    let images: Vec<String> = (0..45).map(|number| format!("i{number}:1")).collect();
    let text = format!(
        "images: [a]\ngroups:\n  - {{name: big, images: [{}]}}\nimageCache: {{enabled: true, groups: [big]}}\n",
        images.join(", ")
    );
    let mut eci = Eci::new(&text);
    eci.pass(minutes(11));
    eci.settle();
    let found: Vec<&[String]> = eci.objects.iter().map(|object| object.spec.images.as_slice()).collect();
    assert_eq!(found, images.chunks(20).collect::<Vec<_>>());
    assert_eq!(eci.objects[0].spec.image_cache_size, Some(20));
}

#[test]
fn nothing_is_made_where_nobody_asks_and_all_goes_when_the_option_is_turned_off() {
    let mut eci = Eci::new("images: [a:1]\n");
    eci.settle();
    assert!(eci.objects.is_empty() && eci.ledger.is_none());
    let mut eci = ready();
    eci.config = config("images: [a:1, b:1]\nimageCache: {enabled: false}\n");
    eci.settle();
    assert!(eci.objects.is_empty() && eci.ledger.is_none());
}

#[test]
fn digests_are_waited_for_only_so_long_and_learnt_later_without_another_one() {
    let mut eci = Eci::new(LIST);
    let plan = eci.settle();
    assert!(
        eci.objects.is_empty()
            && matches!(&plan.waiting[..], [CacheWait::Digests { images, .. }] if *images == ["a:1", "b:1"]),
        "{plan:?}"
    );
    eci.now = plan.wake_at.expect("a time");
    eci.settle();
    assert_eq!(eci.objects.len(), 1);
    eci.set_all("Ready");
    eci.known = known(&[("a:1", "x", 1), ("b:1", "y", 1)]);
    eci.settle();
    assert_eq!(eci.causes.len(), 1);
    eci.known = known(&[("a:1", "moved", 1), ("b:1", "y", 1)]);
    eci.settle();
    assert_eq!(eci.causes.len(), 2, "what was learnt has moved");
}

#[test]
fn a_moved_tag_makes_a_new_one_once_and_the_old_one_stays_for_its_time() {
    let mut eci = ready();
    for moved in 1..=9 {
        // The rollout moves through the nodes.
        eci.known = known(&[("a:1", "sha256:a2", moved), ("b:1", "sha256:b1", moved)]);
        eci.settle();
    }
    assert_eq!((eci.causes.len(), eci.objects.len()), (2, 2));
    eci.set(1, "Ready", 100);
    let plan = eci.settle();
    assert_eq!(eci.objects.len(), 2);
    assert_eq!(plan.wake_at, Some(eci.now.checked_add(minutes(60)).expect("a time")));
    eci.pass(minutes(59));
    eci.settle();
    assert_eq!(eci.objects.len(), 2);
    eci.pass(minutes(1));
    eci.settle();
    assert_eq!(eci.of_phase(Phase::Ready).len(), 1);
    assert_eq!(eci.objects.len(), 1);
}

#[test]
fn nodes_that_come_and_go_with_something_else_swing_nothing() {
    let mut eci = ready();
    for (one, other) in [(3, 4), (2, 4), (0, 0), (4, 1), (1, 2)] {
        eci.known = known(&[("a:1", "sha256:a1", one), ("a:1", "sha256:a2", other), ("b:1", "sha256:b1", 1)]);
        eci.settle();
        assert_eq!(eci.causes.len(), 1, "{one} and {other}");
    }
}

#[test]
fn sizes_that_nodes_report_begin_nothing() {
    let mut eci = ready();
    eci.sizes = Some([("a:1".to_owned(), 50 << 30)].into());
    eci.settle();
    assert_eq!(eci.causes.len(), 1);
    eci.config = config("images: [a:1, b:1]\nimageCache: {enabled: true, size: 100}\n");
    eci.settle();
    assert_eq!(eci.causes.len(), 2, "a given size is a part of the content");
}

#[test]
fn content_that_changes_again_waits_and_the_newest_wins() {
    let mut eci = ready();
    for tag in ["2", "3", "4"] {
        eci.config = config(&format!("images: [a:{tag}, b:1]\nimageCache: {{enabled: true}}\n"));
        eci.accepted_at = eci.now;
        eci.known = known(&[(&format!("a:{tag}"), tag, 1), ("b:1", "sha256:b1", 1)]);
        let plan = eci.settle();
        assert!(eci.objects.len() <= 2);
        assert_eq!(plan.waiting.is_empty(), tag == "2", "{:?}", plan.waiting);
    }
    eci.set(1, "Ready", 100);
    eci.settle();
    assert_eq!(eci.objects.len(), 2, "the first one stays for its time");
    eci.pass(minutes(61));
    eci.settle();
    let images: Vec<&str> = eci.objects.iter().map(|object| object.spec.images[0].as_str()).collect();
    assert_eq!(images, ["a:2", "a:4"]);
}

#[test]
fn what_failed_is_tried_three_times_more_and_the_last_ready_one_stays() {
    let mut eci = ready();
    eci.known = known(&[("a:1", "sha256:a2", 3), ("b:1", "sha256:b1", 3)]);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        eci.settle();
        eci.set(1, "Failed", 40);
        let failed_at = eci.now;
        let Some(at) = eci.settle().wake_at else { break };
        pauses.push(at.duration_since(failed_at).as_mins());
        eci.now = at;
    }
    assert_eq!(pauses, [1, 4, 16]);
    assert_eq!(eci.causes.len(), 5);
    assert_eq!(eci.of_phase(Phase::Ready).len(), 1);
    let failures: Vec<&Next> = eci
        .findings
        .iter()
        .filter_map(|finding| match finding {
            CacheFinding::Failed { next, .. } => Some(next),
            _ => None,
        })
        .collect();
    assert!(matches!(failures[..], [Next::Retry(_), Next::Retry(_), Next::Retry(_), Next::GivenUp]), "{failures:?}");
    // ECI deletes it after a day, and a new controller knows only what is kept.
    eci.pass(SignedDuration::from_hours(25));
    eci.expire();
    eci.settle();
    assert_eq!(eci.causes.len(), 5, "it is given up for good");
    eci.request = Some("again".to_owned());
    eci.settle();
    assert_eq!(eci.causes.len(), 6);
    eci.config = config("images: [a:9, b:1]\nimageCache: {enabled: true}\n");
    eci.accepted_at = eci.now;
    eci.pass(minutes(200));
    eci.settle();
    assert_eq!(eci.causes.last(), Some(&CacheCause::Missing));
}

#[test]
fn when_new_content_or_a_renewal_is_given_up_the_last_ready_one_ends_with_its_retention() {
    for digest in ["sha256:new", "sha256:same"] {
        let mut eci = Eci::new("images: [a:1]\nimageCache: {enabled: true, retentionDays: 4}\n");
        eci.known = known(&[("a:1", "sha256:same", 3)]);
        eci.settle();
        eci.set_all("Ready");
        eci.settle();
        eci.pass(SignedDuration::from_hours(73));
        eci.known = known(&[("a:1", digest, 3)]);
        for _ in 0..4 {
            eci.settle();
            eci.set(1, "Failed", 40);
            eci.now = eci.settle().wake_at.unwrap_or(eci.now);
        }
        assert_eq!(eci.of_phase(Phase::Ready).len(), 1, "{digest}");
        eci.pass(SignedDuration::from_hours(24));
        eci.expire();
        assert_eq!(eci.settle().wake_at, None, "{digest}");
        assert_eq!((eci.causes.len(), eci.of_phase(Phase::Ready).len()), (5, 0), "{digest}");
        eci.request = Some("again".to_owned());
        eci.settle();
        assert_eq!(eci.causes.len(), 6, "{digest}");
    }
}

#[test]
fn it_is_renewed_long_before_it_expires() {
    let mut eci = Eci::new("images: [a:1]\nimageCache: {enabled: true, retentionDays: 4}\n");
    eci.known = known(&[("a:1", "x", 1)]);
    eci.settle();
    for renewal in 0..10 {
        let index = eci.objects.len() - 1;
        eci.set(index, "Ready", 100);
        for _ in 0..3 {
            eci.now = eci.settle().wake_at.expect("a time");
            eci.expire();
            assert!(!eci.of_phase(Phase::Ready).is_empty());
            if eci.causes.len() > renewal + 1 {
                break;
            }
        }
        eci.settle();
        assert_eq!(eci.causes.len(), renewal + 2);
        assert_eq!(eci.causes.last(), Some(&CacheCause::Renewal));
    }
}

#[test]
fn one_that_is_deleted_behind_our_back_is_recreated_and_ever_more_slowly_if_that_goes_on() {
    let mut eci = ready();
    let began = eci.now;
    for lost in 1..=6 {
        eci.objects.clear();
        let plan = eci.plan();
        if !plan.actions.iter().any(|action| matches!(action, CacheAction::Create { .. })) {
            eci.settle();
            eci.now = eci.plan().wake_at.expect("another try");
        }
        eci.settle();
        assert_eq!(eci.causes.len(), lost + 1);
        eci.set_all("Ready");
        eci.settle();
    }
    assert_eq!(eci.now.duration_since(began).as_mins(), 1 + 4 + 16 + 64 + 64);
}

#[test]
fn a_new_controller_that_finds_nothing_kept_takes_what_is_there() {
    let mut eci = ready();
    eci.ledger = None;
    eci.settle();
    assert_eq!(eci.causes.len(), 1);
}

#[test]
fn going_back_takes_what_is_still_there() {
    let mut eci = ready();
    let before = eci.config.clone();
    eci.config = config("images: [a:2, b:1]\nimageCache: {enabled: true}\n");
    eci.known = known(&[("a:1", "sha256:a1", 1), ("a:2", "sha256:a2", 1), ("b:1", "sha256:b1", 1)]);
    eci.settle();
    eci.config = before;
    eci.settle();
    assert_eq!((eci.causes.len(), eci.of_phase(Phase::Ready).len(), eci.objects.len()), (2, 1, 1));
}

#[test]
fn each_step_is_reported_once_whatever_the_status_does() {
    let mut eci = Eci::new(LIST);
    eci.known = known(&[("a:1", "x", 1), ("b:1", "y", 1)]);
    eci.settle();
    for (phase, percent) in [("Creating", 10), ("Creating", 30), ("Creating", 55), ("Ready", 100), ("Creating", 80)] {
        eci.set(0, phase, percent);
        eci.settle();
    }
    eci.set(0, "Ready", 100);
    eci.settle();
    let reported: Vec<String> = eci.findings.iter().map(|finding| format!("{finding:?}")).collect();
    assert_eq!(reported.len(), 2, "a half comes too soon after a quarter: {reported:?}");
    assert!(reported[0].contains("30") && reported[1].contains("Ready"), "{reported:?}");
}

#[test]
fn lists_with_equal_content_share_nothing() {
    let eci = ready();
    let mut other = ready();
    other.objects.clear();
    let context = |namespace, name| {
        let plan = super::super::plan(&super::super::CacheContext {
            list: crate::plan::AcceptedList { namespace, label: name, config: &eci.config },
            name,
            accepted_at: None,
            refresh_request: None,
            caches: &[],
            ledger: None,
            on_newest_version: None,
            known: &eci.known,
            sizes: None,
            now: eci.now,
        });
        let created = plan.actions.into_iter().find_map(|action| match action {
            CacheAction::Create { object, .. } => Some(object.name_any()),
            _ => None,
        });
        created.expect("an ImageCache")
    };
    let names = [context("a", "b-c"), context("a-b", "c"), context("a", "b-d")];
    assert_ne!(names[0], names[1]);
    assert!(names[0].starts_with("a-b-c-") && names[1].starts_with("a-b-c-") && names[2].starts_with("a-b-d-"));
}

/// A list of 25 images, so of two portions, that expire after two days.
fn portions(tag: &str) -> String {
    let images: Vec<String> = (0..25).map(|number| format!("i{number}:{tag}")).collect();
    format!("images: [{}]\nimageCache: {{enabled: true, retentionDays: 2}}\n", images.join(", "))
}

#[test]
fn what_is_still_all_there_while_a_renewal_hangs_is_not_taken_away_by_an_edit() {
    let mut eci = Eci::new(&portions("1"));
    eci.pass(minutes(11));
    eci.settle();
    eci.set_all("Ready");
    eci.settle();
    eci.pass(SignedDuration::from_hours(36));
    eci.settle();
    assert_eq!(eci.objects.len(), 4, "both portions are renewed");
    // The renewal of the second is ready, and what it renews is lost; that of the first hangs.
    eci.set(3, "Ready", 100);
    eci.objects.remove(1);
    eci.settle();
    eci.config = config(&portions("2"));
    eci.pass(minutes(121));
    eci.settle();
    let ready: std::collections::BTreeSet<_> =
        eci.of_phase(Phase::Ready).into_iter().map(|cache| cache.images).collect();
    assert_eq!(ready.len(), 2, "both portions of before are still there");
    assert!(eci.objects.iter().any(|object| object.spec.images[0] == "i0:2"), "the edit has its turn");
}

#[test]
fn nothing_is_renewed_beside_what_was_there_before() {
    let mut eci = Eci::new("images: [a:1]\nimageCache: {enabled: true}\n");
    eci.known = known(&[("a:1", "x", 1)]);
    eci.settle();
    eci.set_all("Ready");
    eci.config = config(&portions("1"));
    eci.pass(minutes(11));
    eci.settle();
    assert_eq!(eci.objects.len(), 3);
    // The second portion hangs, so what was there before stays.
    eci.set(1, "Ready", 100);
    eci.settle();
    eci.pass(SignedDuration::from_hours(40));
    eci.settle();
    assert_eq!((eci.objects.len(), eci.causes.len()), (3, 3));
}
