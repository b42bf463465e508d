//! Days of edits, faults and restarts, in which the promises hold on the cluster: whoever has one that is ready keeps one, nobody
//! pays for more than two at a time, and none is made without a reason.
//!
//! They take minutes, so `make test-faults` runs them. `SEED=N` repeats one.

mod observer;

use eci_simulator::{Fault, Phase};
use jiff::SignedDuration;
use kube::ResourceExt;
use kube::api::DeleteParams;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::controller::Controller;
use crate::serverless::{Serverless, phase_of};
use observer::{Observer, Summary};

const STEPS: usize = 140;
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// After how long in a row ECI builds again: tries are spread over a longer time than that.
const LONGEST_FAULT: SignedDuration = SignedDuration::from_mins(60);
/// For how long nothing goes wrong after that, at least.
const LEAST_CALM: SignedDuration = SignedDuration::from_hours(3);

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    /// The list is edited: to one of a few contents.
    Edit(u8),
    /// From now on builds fail, or do not any more.
    Fault(Option<Fault>),
    /// Something happens to one of those that are ready.
    Attack(usize, Attack),
    /// The controller is killed, and another one started.
    Restart,
    /// Time passes, in minutes.
    Pass(i64),
}

/// What nobody can prevent.
#[derive(Clone, Copy, Debug)]
enum Attack {
    Deleted,
    ExpiresEarly,
    Flaps,
}

/// What happens, with or without attacks.
fn step(attacks: u32) -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        Just(None),
        Just(Some(Fault::FailsAt(40))),
        Just(Some(Fault::StaysPending)),
        Just(Some(Fault::SizeTooSmall)),
        Just(Some(Fault::SecretMissing)),
    ];
    let attack = prop_oneof![Just(Attack::Deleted), Just(Attack::ExpiresEarly), Just(Attack::Flaps)];
    let pass = prop_oneof![1 => 2..15_i64, 4 => 30..60_i64];
    prop_oneof![
        1 => (0..4_u8).prop_map(Step::Edit),
        4 => fault.prop_map(Step::Fault),
        attacks => (any::<usize>(), attack).prop_map(|(which, attack)| Step::Attack(which, attack)),
        2 => Just(Step::Restart),
        20 => pass.prop_map(Step::Pass),
    ]
}

/// The images of a content; the last one is of two portions.
fn images(content: u8) -> Vec<String> {
    let number = if content == 3 { 25 } else { 2 };
    let digest = format!("{content:02x}").repeat(32);
    (0..number).map(|image| format!("registry.test/app-{image}@sha256:{digest}")).collect()
}

struct Soak {
    serverless: Serverless,
    controller: Option<Controller>,
    observer: Observer,
    content: u8,
    weather: Weather,
}

/// For how long builds have been going wrong, or have not.
enum Weather {
    Faulty(SignedDuration),
    Calm(SignedDuration),
}

impl Soak {
    async fn begin(name: &str) -> Self {
        let serverless = Serverless::begin_with_eci(name).await;
        let controller = Controller::start(&serverless.trial).await;
        let observer = Observer::start(&serverless).await;
        let weather = Weather::Calm(LEAST_CALM);
        let mut soak = Self { serverless, controller: Some(controller), observer, content: 0, weather };
        soak.edit(0).await;
        soak
    }

    fn controller(&self) -> &Controller {
        self.controller.as_ref().expect("a controller")
    }

    async fn edit(&mut self, content: u8) {
        self.content = content;
        self.observer.asks_for(&images(content));
        let images = serde_json::to_string(&images(content)).unwrap();
        let list = format!("images: {images}\nimageCache: {{enabled: true, size: 40, retentionDays: 1}}\n");
        self.serverless.trial.write_list("tools", &list).await;
        self.serverless.trial.validated("tools", "accepted").await;
    }

    /// Faults only begin when it was calm for long enough.
    fn set_fault(&mut self, fault: Option<Fault>) {
        match (&self.weather, fault) {
            (Weather::Calm(calm), Some(_)) if *calm >= LEAST_CALM => {
                self.weather = Weather::Faulty(SignedDuration::ZERO)
            }
            (Weather::Faulty(_), None) => self.weather = Weather::Calm(SignedDuration::ZERO),
            _ => return,
        }
        self.serverless.faults.set(fault);
    }

    async fn pass(&mut self, time: SignedDuration) {
        if matches!(self.weather, Weather::Faulty(lasts) if lasts > LONGEST_FAULT) {
            self.set_fault(None);
        }
        match &mut self.weather {
            Weather::Faulty(lasts) | Weather::Calm(lasts) => *lasts += time,
        }
        self.serverless.pass(time, self.controller()).await;
    }

    async fn attack(&mut self, which: usize, attack: Attack) {
        let mut ready = self.serverless.all().await;
        ready.retain(|cache| phase_of(cache) == Some(Phase::Ready));
        if ready.is_empty() {
            return;
        }
        let victim = ready[which % ready.len()].name_any();
        self.observer.attacked(&victim);
        match attack {
            Attack::Deleted => {
                drop(self.serverless.image_caches.delete(&victim, &DeleteParams::default()).await);
            }
            Attack::ExpiresEarly => self.serverless.faults.set_of(&victim, Some(Fault::ExpiresEarly(HOUR * 5))),
            Attack::Flaps => self.serverless.faults.set_of(&victim, Some(Fault::Flaps(MINUTE * 15))),
        }
    }

    async fn restart(&mut self) {
        self.controller.take().expect("a controller").kill();
        self.controller = Some(Controller::start(&self.serverless.trial).await);
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Edit(content) => self.edit(*content).await,
            Step::Fault(fault) => self.set_fault(*fault),
            Step::Attack(which, attack) => self.attack(*which, *attack).await,
            Step::Restart => self.restart().await,
            Step::Pass(minutes) => self.pass(MINUTE * i32::try_from(*minutes).unwrap()).await,
        }
        self.comes_to_rest().await;
    }

    /// The controller has done what it would do, and the simulator what follows from that.
    async fn comes_to_rest(&self) {
        self.controller().has_reconciled(&self.serverless.trial, "tools").await;
        self.observer.comes_to_rest().await;
    }

    /// With nothing going wrong any more, all that the list asks for is ready, and nothing else is there.
    async fn recovers(&mut self) {
        self.set_fault(None);
        self.serverless.trial.annotate_list("tools", "kube-prepull.io/refresh-requested", "at the end").await;
        let wanted = images(self.content);
        for _ in 0..40 {
            self.pass(MINUTE * 30).await;
            self.comes_to_rest().await;
            let found = self.serverless.all().await;
            let ready = found.iter().filter(|cache| phase_of(cache) == Some(Phase::Ready));
            let held: Vec<_> = ready.flat_map(|cache| cache.spec.images.clone()).collect();
            if found.len() == wanted.len().div_ceil(20) && wanted.iter().all(|image| held.contains(image)) {
                return;
            }
        }
        panic!("it does not recover: {:#?}", self.serverless.all().await);
    }
}

/// Steps that are the same for the same seed.
fn steps(seed: u64, attacks: u32) -> Vec<Step> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    prop::collection::vec(step(attacks), STEPS).new_tree(&mut runner).unwrap().current()
}

async fn soak(name: &str, attacks: u32) -> Summary {
    let seed = std::env::var("SEED").map_or(2019, |text| text.parse().expect("SEED is a number"));
    let mut soak = Soak::begin(name).await;
    for (number, step) in steps(seed, attacks).iter().enumerate() {
        eprintln!("SEED={seed}, step {number}: {step:?}");
        soak.take(step).await;
        soak.observer.check();
    }
    soak.recovers().await;
    soak.observer.check();
    let summary = soak.observer.summary();
    eprintln!("{summary:?}");
    summary
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn once_there_is_one_that_is_ready_there_is_always_one_while_builds_fail_and_controllers_are_killed() {
    let seen = soak("ic-soak", 0).await;
    assert!(seen.became_ready > 3 && seen.failed + seen.due > 0, "too little happened: {seen:?}");
}

#[tokio::test]
#[ignore = "make test-faults"]
async fn the_last_ready_one_is_never_taken_and_nothing_is_paid_for_twice_while_others_delete_them() {
    let seen = soak("ic-attacks", 3).await;
    assert!(seen.became_ready > 3 && seen.failed + seen.lost > 0, "too little happened: {seen:?}");
}
