//! The goal of waiting, and how close it is. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use crate::list::reference::ImageReference;
use crate::messages::first_few;
use crate::status::report::{ImageReport as Image, ListReport as List, Report};
use crate::summary::node_state::NodeState;
use crate::text::CleanText;

/// On how many nodes images have to be warm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Share {
    /// This percentage of the nodes that count, rounded up.
    Percent(f64),
    /// This many nodes.
    Number(usize),
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let percent =
            |percent: &str| percent.trim().parse().ok().filter(|it| (0.0..=100.0).contains(it)).map(Self::Percent);
        let share = match text.strip_suffix('%') {
            Some(number) => percent(number),
            None => text.parse().ok().map(Self::Number),
        };
        share.ok_or_else(|| "write a share such as 90%, or a number of nodes".to_owned())
    }
}

impl Share {
    /// How many of `total` nodes that is.
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::Number(number) => number,
            // 29% of 100 is 29.000000000000004 in floating point, which must not be rounded up to 30.
            Self::Percent(percent) => ((total as f64 * percent / 100.0) - 1e-9).ceil().max(0.0) as usize,
        }
    }
}

/// The goal of waiting.
#[derive(Clone, Debug)]
pub struct Goal {
    /// The images, with or without a digest. Empty for all images of the list.
    pub images: Vec<Wanted>,
    /// On how many nodes.
    pub share: Share,
}

/// An image to wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// As the user wrote it.
    text: String,
    /// Without the digest.
    name: String,
    digest: Option<String>,
}

impl FromStr for Wanted {
    type Err = String;

    /// Parses a reference in any spelling, or the name of an image's container; both may have `@` and a digest.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
        ImageReference::parse(text).map_err(|wrong| format!("{}; {}", wrong.message, wrong.remedy))?;
        Ok(Self { text: text.to_owned(), name: name.to_owned(), digest: digest.map(str::to_owned) })
    }
}

impl Wanted {
    /// The image as the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this image is meant. An image that the list pins by digest also matches with that digest.
    fn is(&self, image: &Image) -> bool {
        let normal = |text: &str| ImageReference::parse(text).map(|reference| reference.normal_form()).ok();
        let listed = normal(&image.reference);
        image.name == self.name || normal(&self.name) == listed || normal(&self.text) == listed
    }

    /// The digest that nodes have to hold, unless the list's own reference pins it.
    fn digest_beyond(&self, image: &Image) -> Option<&str> {
        self.digest.as_deref().filter(|digest| !image.reference.ends_with(*digest))
    }
}

/// How close the goal is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Warmth {
    /// How many images there are.
    pub images: usize,
    /// How many of them are on enough nodes.
    pub reached: usize,
    /// On how many nodes they have to be, summed over the images.
    pub required: usize,
    /// On how many of these nodes they are.
    pub warm: usize,
    /// How many nodes count, summed over the images.
    pub counted: usize,
    /// When the start delay of the last node ends.
    pub start_delays_end_at: Option<Timestamp>,
}

impl Goal {
    /// How close the goal is for a list.
    ///
    /// # Errors
    /// If an image to wait for is not on the list.
    pub fn warmth(&self, list: &List, nodes_known: bool) -> Result<Warmth, String> {
        let images = || list.groups.iter().flat_map(|group| &group.images);
        if let Some(unknown) = self.images.iter().find(|wanted| images().all(|image| !wanted.is(image))) {
            let listed: Vec<&str> = images().map(|image| image.reference.as_str()).collect();
            return Err(format!("{} is not on the list, which has {}", unknown.text, listed.join(", ")));
        }
        let mut warmth = Warmth::default();
        for group in &list.groups {
            let start_delays_end_at = group.rollout.as_ref().map(|rollout| rollout.start_delays_end_at);
            for (image, digest) in group.images.iter().filter_map(|image| Some((image, self.wants(image)?))) {
                let (required, warm) = (self.share.of(image.nodes.total), held(image, digest));
                // Without the right to read nodes, they are known from pods only, and a new generation may not have any yet.
                let unknown = !nodes_known && image.nodes.total == 0;
                warmth.images += 1;
                warmth.required += required;
                warmth.counted += image.nodes.total;
                warmth.warm += warm.min(required);
                warmth.reached += usize::from(warm >= required && !unknown);
                warmth.start_delays_end_at = warmth.start_delays_end_at.max(start_delays_end_at);
            }
        }
        Ok(warmth)
    }

    /// Whether to wait for the image, and with which digest.
    fn wants<'w>(&'w self, image: &Image) -> Option<Option<&'w str>> {
        if self.images.is_empty() {
            return Some(None);
        }
        self.images.iter().find(|wanted| wanted.is(image)).map(|wanted| wanted.digest_beyond(image))
    }

    fn is_lacking(&self, image: &Image) -> bool {
        self.wants(image).is_some_and(|digest| held(image, digest) < self.share.of(image.nodes.total))
    }

    /// The report with only the images that are not on enough nodes.
    pub fn lacking(&self, report: &Report) -> Report {
        let mut lacking = report.clone();
        for list in &mut lacking.lists {
            list.groups.iter_mut().for_each(|group| group.images.retain(|image| self.is_lacking(image)));
            list.groups.retain(|group| !group.images.is_empty());
        }
        lacking
    }

    /// A sentence for each cause that keeps pods from starting, so that users would wait in vain: init containers that fail, and node
    /// selectors that admission adds.
    pub fn obstacles(&self, report: &Report) -> Vec<String> {
        self.causes(report, |state| matches!(state, NodeState::InitFailed | NodeState::Excluded))
    }

    /// A sentence for each cause that keeps images from being warm on enough nodes.
    pub fn reasons(&self, report: &Report) -> Vec<String> {
        self.causes(report, |_| true)
    }

    fn causes(&self, report: &Report, is_meant: impl Fn(NodeState) -> bool) -> Vec<String> {
        let mut nodes: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for list in &report.lists {
            let lacking = list.groups.iter().flat_map(|group| &group.images).filter(|image| self.is_lacking(image));
            let behind = lacking.flat_map(|image| &image.behind);
            for behind in behind.filter(|it| is_meant(it.state)) {
                let remedy = behind.remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
                let cause =
                    if behind.cause.is_empty() { behind.state.to_string() } else { String::from(&behind.cause) };
                let sentence = format!("{cause}{remedy}");
                nodes.entry(sentence).or_default().extend(behind.nodes.iter().map(CleanText::as_str));
            }
        }
        let sentence = |(why, nodes): (String, BTreeSet<&str>)| format!("on {}: {why}", first_few(nodes, ", ", ""));
        nodes.into_iter().map(sentence).collect()
    }

    /// A sentence for each image that is warm with another digest than the wanted one.
    pub fn other_digests(&self, report: &Report) -> Vec<String> {
        let images = report.lists.iter().flat_map(|list| &list.groups).flat_map(|group| &group.images);
        let with_digest = images.filter_map(|image| Some((image, self.wants(image)??)));
        let lacking =
            with_digest.filter(|(image, digest)| held(image, Some(digest)) < self.share.of(image.nodes.total));
        let sentence = |(image, digest): (&Image, &str)| {
            let held = held(image, Some(digest));
            let of: Vec<&str> = image.digests.values().flat_map(|it| it.keys()).map(CleanText::as_str).collect();
            let others = if of.is_empty() { "nothing".to_owned() } else { of.join(", ") };
            format!("{}: {held} of {} nodes hold {digest}; found {others}", image.reference, image.nodes.total)
        };
        lacking.map(sentence).collect()
    }
}

/// On how many nodes that count an image is held, with the wanted digest if there is one.
fn held(image: &Image, digest: Option<&str>) -> usize {
    match digest {
        None => image.nodes.by_state.get("warm").copied().unwrap_or_default(),
        Some(digest) => image.digests.values().filter_map(|digests| digests.get(digest)).sum(),
    }
}

impl Warmth {
    /// Whether the goal is reached.
    pub fn is_reached(&self) -> bool {
        self.images > 0 && self.reached == self.images
    }

    /// How long it may still take at the pace since the first report; `None` if there is no basis for an estimate.
    pub fn time_left(&self, first: &Self, begun: Timestamp, now: Timestamp) -> Option<SignedDuration> {
        let delays = self.start_delays_end_at.map(|end| end.duration_since(now)).filter(|left| left.is_positive());
        let came = self.warm.checked_sub(first.warm).filter(|came| *came > 0);
        let missing = i64::try_from(self.required.saturating_sub(self.warm)).ok()?;
        let pace = came.and_then(|came| {
            let came = i64::try_from(came).ok()?;
            let seconds = now.duration_since(begun).as_secs().checked_mul(missing)?;
            Some(SignedDuration::from_secs(seconds / came))
        });
        // As long as nodes have start delays, their pulls cannot end before these.
        [delays, pace].into_iter().flatten().max().filter(|_| missing > 0)
    }
}

impl fmt::Display for Warmth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.images == 0 {
            return f.write_str("waiting for the controller to create the DaemonSets");
        }
        if self.counted == 0 {
            return f.write_str("no node counts, so no image has to be warm yet");
        }
        let percent = (self.warm * 100).checked_div(self.required).unwrap_or(100);
        write!(
            f,
            "{} of {} images are on enough nodes ({} of {}, {percent}%)",
            self.reached, self.images, self.warm, self.required
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::status::report::NodeCounts as Nodes;
    use crate::status::tests::{excluded, first_install, half_warm, report};

    fn goal(images: &[&str], share: &str) -> Goal {
        Goal {
            images: images.iter().map(|image| image.parse().expect("an image")).collect(),
            share: share.parse().expect("a share"),
        }
    }

    fn warmth(images: &[&str], share: &str) -> Warmth {
        let report = report(&half_warm());
        goal(images, share).warmth(&report.lists[0], true).expect("they are on the list")
    }

    #[test]
    fn a_share_is_rounded_up_and_a_number_is_itself() {
        let of = |share: &str, total| share.parse::<Share>().expect("a share").of(total);
        assert_eq!(
            [of("90%", 10), of("90%", 11), of("29%", 100), of("0%", 5), of("100%", 7), of("3", 5)],
            [9, 10, 29, 0, 7, 3]
        );
        for wrong in ["", "%", "101%", "-1%", "many", "-3", "NaN%"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn it_is_reached_when_each_image_is_on_enough_nodes() {
        // Of three nodes a is on two, and the others are on one.
        let all = warmth(&[], "100%");
        assert_eq!((all.images, all.reached, all.warm, all.required), (4, 0, 5, 12));
        assert!(warmth(&[], "1").is_reached() && warmth(&[], "33%").is_reached());
        assert!(!warmth(&[], "34%").is_reached());
        assert!(warmth(&["a:1"], "2").is_reached() && warmth(&["a"], "66%").is_reached());
        assert!(!warmth(&["a:1", "b:1"], "2").is_reached(), "each of them");
    }

    #[test]
    fn an_image_is_known_in_any_spelling_and_by_the_name_of_its_container() {
        assert_eq!(warmth(&["docker.io/library/b:1"], "1").images, 2, "it is in both groups");
        let report = report(&half_warm());
        let unknown = goal(&["d:1"], "1").warmth(&report.lists[0], true).expect_err("it is not on the list");
        assert_eq!(unknown, "d:1 is not on the list, which has a:1, b:1, c:1, docker.io/library/b:1");
        assert!("Bad".parse::<Wanted>().is_err());
    }

    #[test]
    fn only_nodes_with_the_wanted_digest_count() {
        let mut report = report(&half_warm());
        let digest = format!("sha256:{}", "3".repeat(64));
        let digests = BTreeMap::from([((&digest).into(), 1), ("sha256:4".into(), 1)]);
        let image = &mut report.lists[0].groups[0].images[0];
        image.digests = BTreeMap::from([("amd64".into(), digests)]);
        let goal = goal(&[&format!("a:1@{digest}")], "2");
        let warmth = goal.warmth(&report.lists[0], true).expect("it is on the list");
        assert_eq!((warmth.warm, warmth.required, warmth.is_reached()), (1, 2, false));
        let lines = goal.other_digests(&report);
        assert!(lines.len() == 1 && lines[0].starts_with(&format!("a:1: 1 of 3 nodes hold {digest}")), "{lines:?}");
        assert_eq!(goal.lacking(&report).lists[0].groups[0].images.len(), 1);
    }

    #[test]
    fn a_generation_whose_pods_are_all_that_shows_nodes_is_waited_for() {
        let mut report = report(&half_warm());
        for group in &mut report.lists[0].groups {
            group.images.iter_mut().for_each(|image| image.nodes = Nodes { total: 0, by_state: BTreeMap::new() });
        }
        let reached = |nodes_known| goal(&[], "100%").warmth(&report.lists[0], nodes_known).expect("all").is_reached();
        assert!(reached(true), "no node matches");
        assert!(!reached(false));
    }

    #[test]
    fn whatever_keeps_pods_from_starting_is_known_while_waiting() {
        let failing = report(&first_install());
        let obstacles = goal(&[], "100%").obstacles(&failing);
        let [obstacle] = &obstacles[..] else { panic!("the same for all images: {obstacles:?}") };
        assert!(
            obstacle.starts_with("on n0, n1: kube-prepull's own image registry.example/kp:1 cannot be"),
            "{obstacle}"
        );
        assert!(obstacle.contains("; give the ServiceAccount holder a pull secret"), "{obstacle}");
        let excluded = goal(&[], "100%").obstacles(&report(&excluded()));
        assert!(
            excluded.iter().any(|it| it.starts_with("on n0, n1: admission adds the node selector")),
            "{excluded:?}"
        );
        assert_eq!(goal(&[], "0%").obstacles(&failing), [""; 0], "it is not waited for");
        assert_eq!(goal(&[], "100%").obstacles(&report(&half_warm())), [""; 0]);
    }

    #[test]
    fn every_cause_is_a_reason_once_the_time_is_over() {
        let half_warm = report(&half_warm());
        let reasons = goal(&[], "100%").reasons(&half_warm);
        assert!(
            !reasons.is_empty() && reasons.iter().all(|it| it.starts_with("on n") && !it.ends_with(": ")),
            "{reasons:?}"
        );
        assert_eq!(goal(&[], "1").reasons(&half_warm), [""; 0], "they are on enough nodes");
    }

    #[test]
    fn the_time_left_is_by_the_pace_so_far_and_the_start_delays_of_the_nodes() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let warmth = |warm| Warmth {
            images: 1,
            required: 100,
            warm,
            counted: 100,
            start_delays_end_at: Some(at(30)),
            reached: 0,
        };
        let left = |warm, now| warmth(warm).time_left(&warmth(10), at(0), at(now)).map(|left| left.as_secs());
        assert_eq!(left(10, 5), Some(25), "nothing came yet, and the last start delay ends in 25 s");
        assert_eq!(left(20, 10), Some(80), "ten in ten seconds");
        assert_eq!(left(10, 40), None, "there is no basis");
        assert_eq!(left(100, 20), None, "all are there");
    }

    proptest! {
        #[test]
        fn no_share_is_more_than_there_are(percent in 0.0f64..=100.0, total in 0usize..100_000) {
            let share = Share::Percent(percent).of(total);
            prop_assert!(share <= total && (percent > 0.0 || share == 0));
        }
    }
}
