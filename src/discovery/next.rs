//! What was found before, and what workloads name now → what is found now.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::image::{named, unnamed};
use super::known::Workloads;
use super::possible::{PossibleImage, PossibleImages};
use super::unknown::{Unknown, UnknownNamespaces};
use crate::list::discover::found::{Found, FoundImage, GroupFound};
use crate::list::discover::{Discover, Discovery, free_name};
use crate::list::reference::ImageReference;

/// What is found now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NextFound {
    /// What was found. Groups for which there is nothing are left out.
    pub found: Found,
    /// The namespaces of which it is not known what their workloads name. What was found there stays.
    pub unknown: BTreeMap<String, Unknown>,
    /// When the next image goes, if nothing changes before.
    pub wake_at: Option<Timestamp>,
}

/// What is found for these groups now, if that was found before. Applied to its own result, it changes nothing.
pub fn next(
    before: Option<&Found>,
    discoveries: &[Discovery],
    seen: &Workloads,
    is_allowed: &dyn Fn(&ImageReference) -> bool,
    now: Timestamp,
) -> NextFound {
    let mut next = NextFound::default();
    for discovery in discoveries {
        let group = discovery.group.as_str();
        let before = before.and_then(|found| found.0.get(group));
        let possible = PossibleImages::of(discovery, before, seen, is_allowed);
        let unknown = UnknownNamespaces::of(&discovery.discover, before, seen);
        let (found, wake_at) = group_found(&discovery.discover, possible, &unknown, now);
        // Those that still matter: the last image of one may have gone.
        next.unknown.extend(UnknownNamespaces::of(&discovery.discover, Some(&found), seen).reasons);
        next.wake_at = next.wake_at.into_iter().chain(wake_at).min();
        if found != GroupFound::default() {
            next.found.0.insert(group.to_owned(), found);
        }
    }
    next
}

/// What is found for one group, and when the next image of it goes.
fn group_found(
    discover: &Discover,
    possible: PossibleImages<'_>,
    unknown: &UnknownNamespaces<'_>,
    now: Timestamp,
) -> (GroupFound, Option<Timestamp>) {
    let PossibleImages { by_form, mut left_out } = possible;
    let images = by_form.into_values();
    let mut ranked: Vec<RankedImage> =
        images.filter_map(|image| RankedImage::of(image, unknown, discover.keep_for, now)).collect();
    ranked.sort_by(|one, other| one.rank().cmp(&other.rank()));
    let beyond = ranked.split_off(ranked.len().min(discover.max as usize));
    let beyond = beyond.iter().filter_map(|it| it.named_as);
    left_out.extend(beyond.map(|spelling| (spelling.to_owned(), beyond_max(discover.max))));
    let wake_at = ranked.iter().filter_map(|it| it.goes_at).min();
    let left_out = left_out.into_iter().take(GroupFound::MAX_LEFT_OUT).collect();
    (GroupFound { images: with_names(ranked), left_out }, wake_at)
}

fn beyond_max(max: u32) -> String {
    format!("`max` is {max}, and other images are named by more workloads or were found before")
}

/// What comes first if a group has too many images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Precedence {
    /// Workloads in unknown namespaces may name it: how many is not known, so nothing displaces it.
    MayBeNamed,
    /// Workloads name it.
    Named,
    /// No workload names it any more.
    Unnamed,
}

type Rank<'i> = (Precedence, Reverse<usize>, Reverse<Option<Timestamp>>, bool, &'i str);

/// An image that a group has from now on, unless it has too many.
struct RankedImage<'a> {
    reference: ImageReference,
    /// As workloads spell it now; `None` if none names it.
    named_as: Option<&'a str>,
    image: FoundImage,
    precedence: Precedence,
    /// How many workloads name it.
    workloads: usize,
    is_new: bool,
    /// When it goes, if no workload names it until then.
    goes_at: Option<Timestamp>,
}

impl<'a> RankedImage<'a> {
    /// What becomes of an image; `None` if it goes.
    fn of(
        possible: PossibleImage<'a>,
        unknown: &UnknownNamespaces<'_>,
        keep_for: SignedDuration,
        now: Timestamp,
    ) -> Option<Self> {
        let PossibleImage { reference, before, named_as, named_by } = possible;
        let may_be_named = before.is_some_and(|image| unknown.may_name(image));
        let (image, goes_at) = match before {
            _ if !named_by.is_empty() => (named(before, &named_by, unknown), None),
            Some(image) if may_be_named => (image.clone(), None),
            Some(image) => {
                let (image, goes_at) = unnamed(image, keep_for, now)?;
                (image, Some(goes_at))
            }
            None => return None,
        };
        let precedence = match image.unnamed_since {
            Some(_) => Precedence::Unnamed,
            None if may_be_named => Precedence::MayBeNamed,
            None => Precedence::Named,
        };
        let (workloads, is_new) = (named_by.len(), before.is_none());
        Some(Self { reference, named_as, image, precedence, workloads, is_new, goes_at })
    }

    /// The lowest comes first. Of images that no workload names, those that were named last: a rollback needs these.
    fn rank(&self) -> Rank<'_> {
        let named_last = Reverse(self.image.unnamed_since);
        (self.precedence, Reverse(self.workloads), named_last, self.is_new, self.reference.as_str())
    }
}

/// The images by reference, with names for those that are new.
fn with_names(mut images: Vec<RankedImage<'_>>) -> BTreeMap<String, FoundImage> {
    images.sort_by(|one, other| one.reference.as_str().cmp(other.reference.as_str()));
    let mut taken: BTreeSet<String> = images.iter().map(|it| it.image.name.clone()).collect();
    let with_name = |RankedImage { reference, mut image, .. }: RankedImage<'_>| {
        if image.name.is_empty() {
            image.name = free_name(&taken, &reference).as_str().to_owned();
            taken.insert(image.name.clone());
        }
        (reference.as_str().to_owned(), image)
    };
    images.into_iter().map(with_name).collect()
}
