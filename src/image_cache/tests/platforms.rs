//! Lists that name platforms: each has ImageCaches of its own.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use kube::ResourceExt;
use proptest::prelude::*;

use super::eci::{Eci, config};
use crate::image_cache::{Cache, CacheCause, CacheFinding, CacheWait, HeldDigests, Next, Phase};
use crate::list::cache_platform::CachePlatform::{self, LinuxAmd64, LinuxArm64};
use crate::plan::generation::digests::Digest;

const BOTH: &str = "images: [a:1]\nimageCache: {enabled: true, platforms: [linux/amd64, linux/arm64]}\n";
const ONE: &str = "images: [a:1]\nimageCache: {enabled: true}\n";

/// What nodes of two architectures hold of `a:1`; an empty digest: they are about to hold it.
fn held(amd64: Option<&str>, arm64: Option<&str>) -> HeldDigests {
    let mut known = HeldDigests::default();
    for (architecture, digest) in [("amd64", amd64), ("arm64", arm64)] {
        match digest {
            Some("") => known.expect("a:1", architecture),
            Some(digest) => known.add("a:1", architecture, Digest::of_image_id(digest).expect("a digest"), 1),
            None => {}
        }
    }
    known
}

/// A list whose ImageCaches of both platforms are ready.
fn ready() -> Eci {
    let mut eci = Eci::new(BOTH);
    eci.known = held(Some("sha256:1"), Some("sha256:1"));
    eci.settle();
    eci.set_all("Ready");
    eci.settle();
    eci
}

fn platforms(caches: &[Cache]) -> Vec<CachePlatform> {
    caches.iter().map(|cache| cache.creation.platform.expect("a platform")).collect()
}

#[test]
fn each_platform_has_one_of_the_groups_that_its_nodes_can_run() {
    let text = "images: [a:1]\n\
                groups:\n\
                - {name: gpu, images: [gpu:1], architectures: [amd64], imagePullSecrets: [gpu]}\n\
                - {name: arm, images: [arm:1], nodeSelector: {kubernetes.io/arch: arm64}}\n\
                - {name: win, images: [win:1], nodeSelector: {kubernetes.io/os: windows}}\n\
                imageCache:\n  enabled: true\n  annotations: {k8s.aliyun.com/imc-enable-reuse: \"true\"}\n  platforms:\n  \
                - linux/amd64\n  - {name: linux/arm64, annotations: {k8s.aliyun.com/vswitch-ids: vsw-1}}\n  - windows/amd64\n";
    let mut eci = Eci::new(text);
    eci.pass(SignedDuration::from_mins(11));
    eci.settle();
    let found: Vec<(Vec<String>, BTreeMap<String, String>)> = eci
        .objects
        .iter()
        .map(|object| {
            let mut annotations = object.annotations().clone();
            annotations.remove("kube-prepull.io/made-from");
            (object.spec.images.clone(), annotations)
        })
        .collect();
    let expected = |images: &[&str], annotations: &[(&str, &str)]| {
        let reuse = [("imc-enable-reuse", "true")];
        let annotations = reuse.iter().chain(annotations);
        let annotations = annotations.map(|(key, value)| (format!("k8s.aliyun.com/{key}"), (*value).to_owned()));
        (images.iter().map(|image| (*image).to_owned()).collect::<Vec<_>>(), annotations.collect())
    };
    assert_eq!(
        found,
        [
            expected(&["a:1", "gpu:1"], &[("imc-cpu-arch", "amd64"), ("imc-os-type", "linux")]),
            expected(
                &["a:1", "arm:1"],
                &[("imc-cpu-arch", "arm64"), ("imc-os-type", "linux"), ("vswitch-ids", "vsw-1")]
            ),
            expected(&["win:1"], &[("imc-cpu-arch", "amd64"), ("imc-os-type", "windows")]),
        ]
    );
    assert_eq!(eci.objects[0].spec.image_pull_secrets, Some(vec!["prepull:gpu".to_owned()]));
    assert_eq!(eci.objects[1].spec.image_pull_secrets, None);
    let names: std::collections::BTreeSet<String> = eci.objects.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names.len(), 3);
}

#[test]
fn a_tag_that_moves_for_one_architecture_makes_a_new_one_of_that_only() {
    let mut eci = ready();
    eci.known = held(Some("sha256:1"), Some("sha256:2"));
    eci.settle();
    assert_eq!(platforms(&eci.caches()), [LinuxAmd64, LinuxArm64, LinuxArm64]);
    eci.set_all("Ready");
    eci.settle();
    eci.pass(SignedDuration::from_mins(61));
    eci.settle();
    assert_eq!(platforms(&eci.caches()), [LinuxAmd64, LinuxArm64]);
    assert_eq!(eci.causes.len(), 3);
}

#[test]
fn an_edit_of_one_platform_leaves_the_others_alone() {
    let mut eci = ready();
    let edited = "platforms: [linux/amd64, {name: linux/arm64, annotations: {k8s.aliyun.com/vswitch-ids: vsw-1}}]";
    eci.config = config(&BOTH.replace("platforms: [linux/amd64, linux/arm64]", edited));
    eci.settle();
    assert_eq!(platforms(&eci.caches()), [LinuxAmd64, LinuxArm64, LinuxArm64]);
    eci.config = config(&BOTH.replace("linux/amd64, linux/arm64", "linux/arm64, linux/amd64"));
    eci.settle();
    assert_eq!(eci.causes.len(), 3, "their order does not matter");
}

#[test]
fn one_platform_that_fails_hinders_no_other() {
    let mut eci = ready();
    eci.known = held(Some("sha256:1"), Some("sha256:2"));
    for _ in 0..4 {
        eci.settle();
        eci.set(2, "Failed", 40);
        eci.now = eci.settle().wake_at.unwrap_or(eci.now);
    }
    let given_up = |finding: &CacheFinding| matches!(finding, CacheFinding::Failed { cache, next: Next::GivenUp, .. } if cache.platform == Some(LinuxArm64));
    assert!(eci.findings.iter().any(given_up), "{:?}", eci.findings);
    for moved in 3..6 {
        eci.known = held(Some(&format!("sha256:{moved}")), Some("sha256:2"));
        eci.settle();
        let newest = eci.objects.len() - 1;
        assert!(eci.of_phase(Phase::Ready).iter().any(|it| it.creation.platform == Some(LinuxAmd64)));
        eci.set(newest, "Ready", 100);
        eci.settle();
        eci.pass(SignedDuration::from_mins(61));
        eci.settle();
        assert_eq!(platforms(&eci.of_phase(Phase::Ready)), [LinuxArm64, LinuxAmd64], "{moved}");
    }
    assert_eq!(eci.causes.len(), 2 + 4 + 3);
}

#[test]
fn one_platform_is_renewed_and_recreated_without_the_other() {
    let mut eci = ready();
    eci.objects.remove(0);
    eci.settle();
    assert_eq!(eci.causes[2..], [CacheCause::Lost]);
    assert_eq!(platforms(&eci.caches()), [LinuxArm64, LinuxAmd64]);
}

#[test]
fn an_architecture_without_nodes_follows_what_the_others_hold() {
    let mut eci = Eci::new(BOTH);
    eci.known = held(Some("sha256:1"), None);
    eci.settle();
    assert_eq!(platforms(&eci.caches()), [LinuxAmd64, LinuxArm64]);
    eci.set_all("Ready");
    // A node of it joins and leaves. Registries know an image of several architectures by one digest.
    for arm64 in [Some(""), Some("sha256:1"), None] {
        eci.known = held(Some("sha256:1"), arm64);
        eci.settle();
        assert_eq!(eci.causes.len(), 2, "{arm64:?}");
    }
    eci.known = held(Some("sha256:2"), None);
    eci.settle();
    assert_eq!(platforms(&eci.caches()), [LinuxAmd64, LinuxArm64, LinuxAmd64, LinuxArm64]);
}

#[test]
fn an_architecture_with_nodes_waits_for_what_they_report() {
    let mut eci = Eci::new(BOTH);
    eci.known = held(Some("sha256:1"), Some(""));
    let plan = eci.settle();
    assert_eq!(platforms(&eci.caches()), [LinuxAmd64]);
    assert!(matches!(&plan.waiting[..], [CacheWait::Digests { platform: Some(LinuxArm64), .. }]), "{:?}", plan.waiting);
    eci.known = held(Some("sha256:1"), Some("sha256:arm"));
    eci.settle();
    assert_eq!(platforms(&eci.caches()), [LinuxAmd64, LinuxArm64]);
    let made_for = |digest: &str, architecture: &str| {
        let digest = Digest::of_image_id(digest).expect("a digest");
        BTreeMap::from([("a:1".to_owned(), BTreeMap::from([(architecture.to_owned(), digest)]))])
    };
    let found: Vec<_> = eci.caches().into_iter().map(|cache| cache.creation.digests).collect();
    assert_eq!(found, [made_for("sha256:1", "amd64"), made_for("sha256:arm", "arm64")]);
}

#[test]
fn the_one_for_all_stays_until_those_of_all_platforms_are_ready_and_back() {
    let mut eci = Eci::new(ONE);
    eci.known = held(Some("sha256:1"), Some("sha256:1"));
    eci.settle();
    eci.set_all("Ready");
    eci.settle();
    let first = eci.caches().remove(0).name;
    let has_first = |eci: &Eci| eci.caches().iter().any(|cache| cache.name == first);
    eci.config = config(BOTH);
    eci.settle();
    assert_eq!(eci.objects.len(), 3);
    eci.set(1, "Ready", 100);
    eci.pass(SignedDuration::from_mins(90));
    eci.settle();
    assert!(has_first(&eci), "one of them is not ready");
    eci.set(2, "Ready", 100);
    eci.settle();
    eci.pass(SignedDuration::from_mins(59));
    eci.settle();
    assert!(has_first(&eci), "its time has not passed");
    eci.pass(SignedDuration::from_mins(1));
    eci.settle();
    assert!(!has_first(&eci));
    // One platform less, and another for all.
    eci.config = config(&BOTH.replace(", linux/arm64", ""));
    eci.settle();
    assert_eq!(platforms(&eci.caches()), [LinuxAmd64]);
    eci.config = config(ONE);
    eci.settle();
    assert_eq!(eci.objects.len(), 2);
    eci.set_all("Ready");
    eci.settle();
    eci.pass(SignedDuration::from_mins(61));
    eci.settle();
    assert_eq!(eci.caches()[0].creation.platform, None);
    assert_eq!((eci.objects.len(), eci.causes.len()), (1, 4));
}

#[test]
fn what_is_recorded_of_a_list_without_platforms_is_as_it_was() {
    let mut eci = Eci::new(ONE);
    eci.known = held(Some("sha256:1"), None);
    eci.settle();
    let kept = eci.ledger.as_ref().map(super::super::ledger::Ledger::to_text).expect("a ledger");
    assert!(!kept.contains("platform"), "{kept}");
    let made = &eci.objects[0].annotations()["kube-prepull.io/made-from"];
    let expected = r#"{"base":"jk7pr4vjpj","content":"d8fd2rrd8n","digests":{"a:1":{"amd64":"ks2szdq7m6"}},"serial":1,"attempt":1}"#;
    assert_eq!(made, expected);
}

#[test]
fn a_new_controller_that_finds_nothing_kept_takes_what_is_there_of_each_platform() {
    let mut eci = ready();
    eci.ledger = None;
    eci.settle();
    assert_eq!((eci.causes.len(), eci.objects.len()), (2, 2));
}

/// Something that happens to a list of two platforms.
#[derive(Clone, Debug)]
enum Step {
    /// The tag moves for one architecture.
    Move { arm64: bool, to: u8 },
    /// Time passes, in minutes.
    Pass(i64),
    /// ECI moves the newest ImageCache of a platform on.
    Set { arm64: bool, phase: &'static str },
    /// Somebody deletes the oldest ImageCache of a platform.
    Lose { arm64: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let phase = prop_oneof![4 => Just("Ready"), 1 => Just("Creating"), 2 => Just("Failed")];
    prop_oneof![
        3 => (any::<bool>(), 0..3_u8).prop_map(|(arm64, to)| Step::Move { arm64, to }),
        3 => prop_oneof![1..5_i64, 30..90_i64, 600..2000_i64].prop_map(Step::Pass),
        6 => (any::<bool>(), phase).prop_map(|(arm64, phase)| Step::Set { arm64, phase }),
        1 => any::<bool>().prop_map(|arm64| Step::Lose { arm64 }),
    ]
}

/// A list and what its nodes hold.
struct World {
    eci: Eci,
    held: [u8; 2],
}

impl World {
    fn new(platforms: &str) -> Self {
        let text =
            format!("images: [a:1]\nimageCache: {{enabled: true, retentionDays: 2, platforms: [{platforms}]}}\n");
        Self { eci: Eci::new(&text), held: [0, 0] }
    }

    fn take(&mut self, step: &Step) {
        let of = |caches: &[Cache], arm64: bool| -> Vec<usize> {
            let wanted = if arm64 { LinuxArm64 } else { LinuxAmd64 };
            (0..caches.len()).filter(|index| caches[*index].creation.platform == Some(wanted)).collect()
        };
        let caches = self.eci.caches();
        match *step {
            Step::Move { arm64, to } => self.held[usize::from(arm64)] = to,
            Step::Pass(minutes) => {
                self.eci.pass(SignedDuration::from_mins(minutes));
                self.eci.expire();
            }
            Step::Set { arm64, phase } => {
                of(&caches, arm64).last().into_iter().for_each(|it| self.eci.set(*it, phase, 100))
            }
            Step::Lose { arm64 } => {
                of(&caches, arm64).first().into_iter().for_each(|it| drop(self.eci.objects.remove(*it)))
            }
        }
        let [amd64, arm64] = self.held.map(|digest| format!("sha256:{digest}"));
        self.eci.known = held(Some(&amd64), Some(&arm64));
        self.eci.settle();
    }

    fn of_arm64(&self) -> Vec<(String, Phase)> {
        let caches = self.eci.caches().into_iter().filter(|cache| cache.creation.platform == Some(LinuxArm64));
        caches.map(|cache| (cache.name, cache.phase)).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_platform_has_the_same_whatever_becomes_of_the_other(steps in prop::collection::vec(step(), 1..60)) {
        let (mut both, mut alone) = (World::new("linux/amd64, linux/arm64"), World::new("linux/arm64"));
        for step in &steps {
            both.take(step);
            alone.take(step);
            prop_assert_eq!(both.of_arm64(), alone.of_arm64(), "after {:?}", step);
        }
    }
}
