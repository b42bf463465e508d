//! Lists → the images that somebody pulls ahead of time, for example into the machine image of nodes. Pure.
//!
//! ```text
//! Config ──► groups that are wanted ──► each image once ──► by its tag, or by the digest that nodes hold
//! ```
//! - [`architectures`]: which architectures a group is for
//! - [`nodes_digest`]: which digest of an image nodes hold

mod architectures;
mod nodes_digest;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

use crate::list::Config;
use crate::list::config::{Architecture, Group, Image};
use crate::list::reference::ImageReference;
use crate::messages::first_few;
use crate::status::report::{GroupReport, ImageReport, ListReport};
use crate::text::CleanText;
use nodes_digest::{DigestsOnNodes, NoDigest};

/// The version of the JSON. It changes when a key is removed or changes its meaning, not when one is added.
pub const VERSION: u32 = 1;

/// A list whose images are to be pulled.
#[derive(Clone, Copy, Debug)]
pub struct ListToPull<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// The name of its ConfigMap.
    pub name: &'a str,
    /// The version of it that is meant.
    pub config: &'a Config,
    /// What nodes hold of its images; `None` without a cluster.
    pub report: Option<&'a ListReport>,
}

/// Which images of the lists are to be pulled, and how they are named.
#[derive(Clone, Debug, Default)]
pub struct PullSelection {
    /// The names of groups; empty: all.
    pub groups: Vec<String>,
    /// Only images of groups that are for this architecture.
    pub architecture: Option<Architecture>,
    /// Whether tags are replaced by the digests that nodes hold.
    pub digests: bool,
}

/// The images to pull. As JSON it is what `-o json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PullList {
    /// [`VERSION`].
    pub version: u32,
    /// Each image once, in the order of the lists.
    pub images: Vec<ImageToPull>,
    /// The images that are left out, because no digest of them is known.
    #[serde(skip)]
    pub without_digest: Vec<ImageWithoutDigest>,
    /// What the user should know, one line each.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// An image to pull. `docs/images.md` documents each key.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageToPull {
    /// As the list spells it.
    pub reference: ImageReference,
    /// The same in full, which every tool takes that pulls images; with digests, by its digest and without its tag.
    pub pull: String,
    /// The digest, if digests are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The architectures that its groups are for; `None`: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architectures: Option<BTreeSet<Architecture>>,
    /// Where the lists have it.
    pub used_by: Vec<ImageUse>,
}

/// A place of an image in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageUse {
    /// The namespace of the list.
    pub namespace: CleanText,
    /// The name of the list.
    pub list: CleanText,
    /// The group.
    pub group: CleanText,
    /// The name of the image in the group.
    pub name: CleanText,
}

/// An image of which no digest is known.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageWithoutDigest {
    /// As the list spells it.
    pub reference: ImageReference,
    why: NoDigest,
    architecture: Option<Architecture>,
}

impl fmt::Display for ImageWithoutDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reference = &self.reference;
        let node = self.architecture.map_or_else(|| "node".to_owned(), |it| format!("{} node", it.name()));
        match &self.why {
            NoDigest::NotHeld => write!(f, "no {node} holds {reference}"),
            NoDigest::OtherArchitectures(others) => {
                write!(f, "no {node} holds {reference}, only nodes of other architectures: {}", others.join(", "))
            }
            NoDigest::OnlyIds => {
                write!(
                    f,
                    "nodes report an ID of {reference} and no digest, so it is unknown what a registry would serve"
                )
            }
        }
    }
}

impl PullSelection {
    /// Says which of the groups no list has, if there is one.
    pub fn unknown_group(&self, lists: &[ListToPull]) -> Option<String> {
        let groups = lists.iter().flat_map(|list| &list.config.groups);
        let known: BTreeSet<&str> = groups.map(|group| group.name.as_str()).collect();
        let unknown = self.groups.iter().find(|name| !known.contains(name.as_str()))?;
        let known: Vec<&str> = known.into_iter().collect();
        Some(match known.is_empty() {
            true => format!("there is no group {unknown}: the lists have no images"),
            false => format!("there is no group {unknown}; the groups are {}", known.join(", ")),
        })
    }

    fn has(&self, group: &Group) -> bool {
        let is_named = self.groups.is_empty() || self.groups.iter().any(|name| name == group.name.as_str());
        is_named && self.architecture.is_none_or(|it| architectures::may_have(&group.placement, it))
    }
}

impl PullList {
    /// The images of these lists that are selected.
    pub fn of(lists: &[ListToPull], selection: &PullSelection) -> Self {
        let mut list = Self { version: VERSION, images: Vec::new(), without_digest: Vec::new(), notes: Vec::new() };
        let found = found(lists, selection);
        if let (true, Some(architecture)) = (found.is_empty(), selection.architecture) {
            list.notes.push(format!("no selected group has images for {}", architecture.name()));
        }
        for image in found {
            match selection.digests {
                true => list.add_by_digest(image, selection.architecture),
                false => list.images.push(ImageToPull { pull: by_tag(&image.reference), ..image.into() }),
            }
        }
        list
    }

    fn add_by_digest(&mut self, image: CollectedImage, architecture: Option<Architecture>) {
        let reference = image.reference.clone();
        if let Some((_, digest)) = reference.normal_form().split_once('@') {
            return self.images.push(ImageToPull::by_digest(image, digest));
        }
        match image.on_nodes.choose(architecture) {
            Ok(chosen) => {
                self.notes.extend(chosen.note(&reference));
                self.images.push(ImageToPull::by_digest(image, &chosen.digest));
            }
            Err(why) => self.without_digest.push(ImageWithoutDigest { reference, why, architecture }),
        }
    }

    /// Prints what to pull: one reference a line, each once, because two tags may have one digest.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn print(&self, output: &mut impl Write) -> io::Result<()> {
        let mut printed = HashSet::new();
        for image in &self.images {
            if printed.insert(image.pull.as_str()) {
                writeln!(output, "{}", image.pull)?;
            }
        }
        Ok(())
    }
}

/// What to pull for a reference: its normal form, with registry, `library/` and tag. Tools for users complete a shorter one, but `ctr`
/// does not, with which machine images are made: to it, `nginx:1.29` is a host and its port (`Parse` of `containerd/pkg/reference`).
fn by_tag(reference: &ImageReference) -> String {
    reference.normal_form()
}

/// What to pull for a reference to get this digest: the repository and the digest, without the tag.
///
/// `repository:tag@digest` would say more, but not every tool takes it: skopeo refuses references with both. Of those that take it,
/// containerd's CRI plugin ignores the tag (`ParseDockerRef` of the distribution project's `reference` package), and `ctr` stores the
/// image under that name, by which no kubelet looks for it.
fn by_digest(reference: &ImageReference, digest: &str) -> String {
    format!("{}/{}@{digest}", reference.registry(), reference.repository())
}

impl ImageToPull {
    fn by_digest(image: CollectedImage, digest: &str) -> Self {
        let pull = by_digest(&image.reference, digest);
        Self { pull, digest: Some(digest.to_owned()), ..image.into() }
    }
}

/// An image of the lists, and which digests of it nodes hold.
struct CollectedImage {
    reference: ImageReference,
    architectures: Option<BTreeSet<Architecture>>,
    used_by: Vec<ImageUse>,
    on_nodes: DigestsOnNodes,
}

impl From<CollectedImage> for ImageToPull {
    fn from(CollectedImage { reference, architectures, used_by, .. }: CollectedImage) -> Self {
        Self { reference, pull: String::new(), digest: None, architectures, used_by }
    }
}

impl CollectedImage {
    fn new(reference: &ImageReference) -> Self {
        Self {
            reference: reference.clone(),
            architectures: Some(BTreeSet::new()),
            used_by: Vec::new(),
            on_nodes: DigestsOnNodes::default(),
        }
    }

    fn add(&mut self, by: ImageUse, architectures: Option<&BTreeSet<Architecture>>, report: Option<&ImageReport>) {
        self.used_by.push(by);
        self.architectures = self.architectures.take().zip(architectures).map(|(mut known, more)| {
            known.extend(more);
            known
        });
        report.into_iter().for_each(|report| self.on_nodes.add(report));
    }
}

/// Each image of the selected groups once, in the order of the lists.
fn found(lists: &[ListToPull], selection: &PullSelection) -> Vec<CollectedImage> {
    let mut found: Vec<CollectedImage> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for list in lists {
        for group in list.config.groups.iter().filter(|group| selection.has(group)) {
            let architectures = architectures::of(&group.placement);
            let report = list.report_on(group);
            for image in &group.images {
                let place = *places.entry(image.reference.normal_form()).or_insert(found.len());
                if place == found.len() {
                    found.push(CollectedImage::new(&image.reference));
                }
                let report = report.and_then(|report| report_on(report, image));
                found[place].add(list.use_of(group, image), architectures.as_ref(), report);
            }
        }
    }
    found
}

impl<'a> ListToPull<'a> {
    fn report_on(&self, group: &Group) -> Option<&'a GroupReport> {
        self.report?.groups.iter().find(|report| report.name == group.name.as_str())
    }

    fn use_of(&self, group: &Group, image: &Image) -> ImageUse {
        ImageUse {
            namespace: self.namespace.into(),
            list: self.name.into(),
            group: group.name.as_str().into(),
            name: image.name.as_str().into(),
        }
    }
}

fn report_on<'r>(group: &'r GroupReport, image: &Image) -> Option<&'r ImageReport> {
    group.images.iter().find(|report| report.name == image.name.as_str())
}

/// Some of these images as a part of a sentence.
pub fn some_of(images: &[ImageWithoutDigest]) -> String {
    first_few(images.iter().map(|image| &image.reference), ", ", "")
}
