use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use proptest::prelude::*;

use super::*;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// Pending for half a minute, then ten minutes of work.
const BEHAVIOUR: Behaviour =
    Behaviour { pending: SignedDuration::from_secs(30), building: SignedDuration::from_mins(10), image_mib: 500 };

/// An ImageCache, and the service around it.
struct World {
    cache: Option<ImageCache>,
    now: Timestamp,
    fault: Option<Fault>,
    missing_secrets: Vec<String>,
}

impl World {
    fn with(spec: Spec) -> Self {
        let metadata = ObjectMeta {
            name: Some("cache".to_owned()),
            uid: Some("01234567-89ab-cdef-0123-456789abcdef".to_owned()),
            ..ObjectMeta::default()
        };
        let cache = ImageCache { types: None, metadata, spec, status: None };
        let now = "2026-01-01T00:00:00Z".parse().expect("a time");
        Self { cache: Some(cache), now, fault: None, missing_secrets: Vec::new() }
    }

    fn of(images: usize) -> Self {
        Self::with(Spec { images: (0..images).map(|number| format!("image-{number}")).collect(), ..Spec::default() })
    }

    /// Acts until there is nothing more to do at this time. Says when to decide again.
    fn settle(&mut self) -> Option<Timestamp> {
        for _ in 0..10 {
            let cache = self.cache.as_mut()?;
            let circumstances = Circumstances {
                now: self.now,
                fault: self.fault,
                missing_secrets: &self.missing_secrets,
                behaviour: BEHAVIOUR,
            };
            let decision = decide(cache, &circumstances);
            match decision.act {
                None => return decision.check_again,
                Some(Act::Report(status)) => cache.status = Some(*status),
                Some(Act::Delete) => self.cache = None,
            }
        }
        panic!("it never comes to rest: {:#?}", self.cache);
    }

    fn pass(&mut self, time: SignedDuration) {
        self.now += time;
        self.settle();
    }

    fn status(&self) -> &Status {
        self.cache.as_ref().and_then(|cache| cache.status.as_ref()).expect("a status")
    }

    fn phase(&self) -> Option<Phase> {
        self.cache.as_ref()?.status.as_ref()?.phase
    }

    fn messages(&self) -> Vec<String> {
        self.status().events.iter().filter_map(|event| event.message.clone()).collect()
    }

    /// Lets time pass until each next change, and records the statuses.
    fn history(&mut self, changes: usize) -> Vec<String> {
        let mut shown = Vec::new();
        for _ in 0..changes {
            let next = self.settle();
            let Some(status) = self.cache.as_ref().and_then(|cache| cache.status.as_ref()) else { break };
            shown.push(format!("{:?} {}", status.phase.expect("a phase"), status.progress.clone().unwrap_or_default()));
            let Some(next) = next else { break };
            assert!(next > self.now, "{next} is not after {}", self.now);
            self.now = next;
        }
        shown
    }
}

#[test]
fn it_goes_from_pending_in_steps_to_ready_and_stays() {
    let mut world = World::of(3);
    let expected = "Pending 0%, Creating 0%, Creating 10%, Creating 20%, Creating 30%, Creating 40%, Creating 50%, \
                    Creating 60%, Creating 70%, Creating 80%, Creating 90%, Ready 100%";
    assert_eq!(world.history(100).join(", "), expected);
    let status = world.status();
    assert_eq!(status.image_cache_id.as_deref(), Some("imc-0123456789abcdef0123"));
    let took = status.last_updated_time.as_ref().zip(status.start_time.as_ref());
    assert_eq!(took.map(|(end, start)| end.0.duration_since(start.0)), Some(MINUTE * 21 / 2));
    assert_eq!(status.expire_date_time, None);
    let pulled = ["image-0", "image-1", "image-2"].map(|image| format!("Success pull image {image}"));
    assert_eq!(world.messages(), pulled);
    let before = world.status().clone();
    world.pass(SignedDuration::from_hours(24 * 400));
    assert_eq!(world.status(), &before);
}

#[test]
fn with_retention_it_goes_so_many_days_after_it_was_ready() {
    let mut world = World::with(Spec { images: vec!["a".to_owned()], retention_days: Some(7), ..Spec::default() });
    world.settle();
    world.pass(MINUTE);
    world.pass(MINUTE * 10);
    assert_eq!(world.phase(), Some(Phase::Ready));
    world.pass(SignedDuration::from_hours(24 * 7) - MINUTE);
    assert_eq!(world.phase(), Some(Phase::Ready));
    world.pass(MINUTE);
    assert!(world.cache.is_none());
}

#[test]
fn a_failed_one_goes_after_a_day() {
    let mut world = World::of(1);
    world.missing_secrets = vec!["default:registry".to_owned()];
    world.settle();
    world.pass(MINUTE);
    assert_eq!(world.phase(), Some(Phase::Failed));
    assert_eq!(world.messages(), ["image pull secret default:registry not found"]);
    world.pass(SignedDuration::from_hours(24) - MINUTE);
    assert_eq!(world.phase(), Some(Phase::Failed));
    world.pass(MINUTE);
    assert!(world.cache.is_none());
}

#[test]
fn it_fails_where_the_images_take_more_than_half_of_it() {
    let last_that_fits = 20 * 1024 / 2 / 500;
    let spec = |images: usize, size| Spec {
        images: (0..images).map(|number| format!("image-{number}")).collect(),
        image_cache_size: size,
        ..Spec::default()
    };
    // A full cache of the least size fits; each image is of 500 MiB.
    let mut full = World::with(spec(last_that_fits, None));
    full.settle();
    full.pass(MINUTE);
    full.pass(MINUTE * 10);
    assert_eq!(full.phase(), Some(Phase::Ready));
    let mut small = World::of(2);
    small.fault = Some(Fault::SizeTooSmall);
    small.settle();
    small.pass(MINUTE);
    small.pass(MINUTE * 10);
    assert_eq!(small.phase(), Some(Phase::Failed));
    assert_eq!(small.messages(), ["Failed to pull image image-0: no space left in 20 GiB"]);
}

#[test]
fn what_is_out_of_range_is_refused() {
    let images = vec!["a".to_owned()];
    for (spec, why) in [
        (Spec { images: vec!["a".to_owned(); 21], ..Spec::default() }, "21 images are more than the 20"),
        (Spec { images: images.clone(), image_cache_size: Some(19), ..Spec::default() }, "imageCacheSize 19"),
        (Spec { images: images.clone(), image_cache_size: Some(32_769), ..Spec::default() }, "imageCacheSize 32769"),
        (Spec { images: images.clone(), retention_days: Some(0), ..Spec::default() }, "retentionDays 0"),
        (Spec { images, retention_days: Some(65_537), ..Spec::default() }, "retentionDays 65537"),
    ] {
        let mut world = World::with(spec);
        world.settle();
        world.pass(MINUTE);
        assert_eq!(world.phase(), Some(Phase::Failed));
        assert!(world.messages()[0].contains(why), "{:?}", world.messages());
    }
}

#[test]
fn one_that_fails_at_forty_per_cent_has_come_to_forty_per_cent() {
    let mut world = World::of(3);
    world.fault = Some(Fault::FailsAt(40));
    assert_eq!(world.history(6).last().map(String::as_str), Some("Failed 40%"));
    assert_eq!(world.messages(), ["Success pull image image-0", "Failed to pull image image-1: simulated fault"]);
}

#[test]
fn one_that_stays_pending_goes_on_when_the_switch_is_turned_off() {
    let mut world = World::of(1);
    world.fault = Some(Fault::StaysPending);
    world.settle();
    world.pass(SignedDuration::from_hours(48));
    assert_eq!(world.phase(), Some(Phase::Pending));
    world.fault = None;
    world.settle();
    world.pass(MINUTE * 10);
    assert_eq!(world.phase(), Some(Phase::Ready));
}

fn ready() -> World {
    let mut world = World::with(Spec { images: vec!["a".to_owned()], retention_days: Some(1), ..Spec::default() });
    world.settle();
    world.pass(MINUTE);
    world.pass(MINUTE * 10);
    assert_eq!(world.phase(), Some(Phase::Ready));
    world
}

#[test]
fn one_that_expires_early_says_so_and_goes() {
    let mut world = ready();
    world.fault = Some(Fault::ExpiresEarly(MINUTE * 5));
    world.pass(MINUTE * 2);
    assert_eq!(expires(world.status()), Some(world.now + MINUTE * 3));
    world.pass(MINUTE * 3);
    assert!(world.cache.is_none());
}

#[test]
fn one_that_is_deleted_goes_once_it_is_ready() {
    let mut world = World::of(1);
    world.fault = Some(Fault::IsDeleted);
    world.settle();
    world.pass(MINUTE);
    assert_eq!(world.phase(), Some(Phase::Creating));
    world.pass(MINUTE * 10);
    assert!(world.cache.is_none());
}

#[test]
fn a_cache_that_flaps_alternates_until_the_fault_is_turned_off() {
    let mut world = ready();
    world.fault = Some(Fault::Flaps(MINUTE));
    let mut seen = Vec::new();
    for _ in 0..4 {
        world.pass(MINUTE);
        seen.push(world.phase().expect("a phase"));
    }
    assert_eq!(seen, [Phase::Creating, Phase::Ready, Phase::Creating, Phase::Ready]);
    world.pass(MINUTE);
    world.fault = None;
    world.settle();
    assert_eq!(world.phase(), Some(Phase::Ready));
}

#[test]
fn one_that_is_being_deleted_is_left_alone() {
    let mut world = World::of(1);
    world.cache.as_mut().expect("it").metadata.deletion_timestamp = Some(Time(world.now));
    assert_eq!(world.settle(), None);
    assert!(world.cache.expect("it").status.is_none());
}

fn faults() -> impl Strategy<Value = Option<Fault>> {
    prop_oneof![
        4 => Just(None),
        1 => (0u8..=100).prop_map(|at| Some(Fault::FailsAt(at))),
        1 => Just(Some(Fault::StaysPending)),
        1 => (0i64..100_000).prop_map(|seconds| Some(Fault::ExpiresEarly(SignedDuration::from_secs(seconds)))),
        1 => Just(Some(Fault::SizeTooSmall)),
        1 => Just(Some(Fault::SecretMissing)),
        1 => Just(Some(Fault::IsDeleted)),
        1 => (1i64..1_000).prop_map(|seconds| Some(Fault::Flaps(SignedDuration::from_secs(seconds)))),
    ]
}

proptest! {
    #[test]
    fn whatever_goes_wrong_and_however_rarely_it_is_decided_on_it_never_goes_back_before_it_was_ready(
        images in 1usize..25,
        retention_days in prop::option::of(1u32..5),
        steps in prop::collection::vec((0i64..20_000, faults()), 1..60),
    ) {
        let mut world = World::of(images);
        world.cache.as_mut().expect("it").spec.retention_days = retention_days;
        let rank = |world: &World| match world.phase() {
            Some(Phase::Pending) => 0,
            Some(Phase::Creating) => 1,
            Some(Phase::Ready) => 2,
            Some(Phase::Failed) => 3,
            None => 4,
        };
        world.settle();
        for (seconds, fault) in steps {
            let before = rank(&world);
            let flaps = world.status().progress.as_deref() == Some(DONE);
            world.fault = fault;
            world.pass(SignedDuration::from_secs(seconds));
            prop_assert!(rank(&world) >= before || (flaps && rank(&world) == 1), "from {before} to {}", rank(&world));
            if world.cache.is_none() {
                break;
            }
            if let Some(Phase::Failed) = world.phase() {
                prop_assert!(expires(world.status()).is_some());
            }
        }
    }
}
