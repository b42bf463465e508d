//! Which digest of an image nodes hold.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::list::config::Architecture;
use crate::list::reference::ImageReference;
use crate::status::report::ImageReport;
use crate::text::CleanText;

/// The digests of an image that nodes hold: by architecture, with the number of nodes. A node on which several groups belong is counted
/// for each.
#[derive(Clone, Debug, Default)]
pub struct DigestsOnNodes(BTreeMap<CleanText, BTreeMap<CleanText, usize>>);

/// The digest that was chosen of those that nodes hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenDigest {
    /// The digest.
    pub digest: CleanText,
    /// The others, those that most nodes hold first.
    others: Vec<CleanText>,
    /// Whether as many nodes hold another one.
    is_tie: bool,
}

/// Why no digest is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoDigest {
    /// No node holds the image.
    NotHeld,
    /// Only nodes of these other architectures hold it. One is `unknown` if nodes may not be read.
    OtherArchitectures(Vec<CleanText>),
    /// Runtimes report IDs of their own.
    OnlyIds,
}

impl DigestsOnNodes {
    /// Adds what is reported on an image in one group.
    pub fn add(&mut self, report: &ImageReport) {
        for (architecture, digests) in &report.digests {
            let known = self.0.entry(architecture.clone()).or_default();
            for (digest, nodes) in digests {
                *known.entry(digest.clone()).or_default() += nodes;
            }
        }
    }

    /// The digest that most nodes hold: of all nodes, or of those of one architecture. If as many hold another one, it is the same
    /// each time.
    ///
    /// # Errors
    /// Why there is none.
    pub fn choose(&self, architecture: Option<Architecture>) -> Result<ChosenDigest, NoDigest> {
        let is_wanted = |name: &CleanText| architecture.is_none_or(|it| *name == it.name());
        let mut nodes: BTreeMap<&CleanText, usize> = BTreeMap::new();
        for (digest, count) in self.0.iter().filter(|(name, _)| is_wanted(name)).flat_map(|(_, digests)| digests) {
            *nodes.entry(digest).or_default() += count;
        }
        if nodes.is_empty() {
            let others: Vec<CleanText> = self.0.keys().cloned().collect();
            return Err(if others.is_empty() { NoDigest::NotHeld } else { NoDigest::OtherArchitectures(others) });
        }
        let mut digests: Vec<(&CleanText, usize)> = nodes.into_iter().filter(|(digest, _)| is_digest(digest)).collect();
        digests.sort_by_key(|(_, nodes)| Reverse(*nodes));
        let ((digest, most), others) = digests.split_first().ok_or(NoDigest::OnlyIds)?;
        Ok(ChosenDigest {
            digest: (*digest).clone(),
            others: others.iter().map(|(digest, _)| (*digest).clone()).collect(),
            is_tie: others.first().is_some_and(|(_, nodes)| nodes == most),
        })
    }
}

impl ChosenDigest {
    /// Says that nodes hold other digests too.
    pub fn note(&self, reference: &ImageReference) -> Option<String> {
        if self.others.is_empty() {
            return None;
        }
        let (number, digest, others) = (self.others.len() + 1, &self.digest, self.others.join(", "));
        let reason = if self.is_tie { "although as many nodes hold" } else { "because fewer nodes hold" };
        Some(format!("nodes hold {number} digests of {reference}: {digest} is printed, {reason} {others}"))
    }
}

/// Whether a registry may know an image by it. Some runtimes report an ID instead, see `coverage::digest`.
fn is_digest(text: &str) -> bool {
    ImageReference::parse(&format!("image@{text}")).is_ok_and(|reference| reference.is_pinned())
}
