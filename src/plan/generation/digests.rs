//! What nodes report as the content of a tag, in a comparable form.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::naming::hash::short_hash;

/// The maximum number of digests kept for an image and an architecture. The oldest ones are dropped.
const MAX_DIGESTS: usize = 8;
/// The number of hexadecimal digits that `git` and container tools show.
const SHOWN: usize = 12;

/// What a node reports as the content of a tag: the first digits of a digest, or a short hash of any other text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// Parses the `imageID` of a container status. Runtimes write `name@sha256:…`, `docker-pullable://name@sha256:…`,
    /// `sha256:…`, or (CRI-O) the bare hexadecimal digits of an image ID. The name is ignored: it says where an image
    /// came from, not what it is. Returns `None` if the ID is empty.
    pub fn of_image_id(image_id: &str) -> Option<Self> {
        let id = crate::coverage::digest(image_id.trim())?;
        let digits = id.rsplit_once(':').map_or(id, |(_algorithm, digits)| digits);
        let is_digest = digits.len() >= 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(Self(match digits.get(..SHOWN).filter(|_| is_digest) {
            Some(beginning) => beginning.to_ascii_lowercase(),
            None => short_hash(id.as_bytes()),
        }))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Digests by image (container name) and architecture, newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DigestLists(BTreeMap<String, BTreeMap<String, Vec<Digest>>>);

impl DigestLists {
    /// The digests of an image on an architecture.
    pub fn of(&self, image: &str, architecture: &str) -> &[Digest] {
        self.0.get(image).and_then(|known| known.get(architecture)).map_or(&[], Vec::as_slice)
    }

    /// The images that have an entry.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Adds a digest, even if it is already there.
    pub fn add(&mut self, image: &str, architecture: &str, digest: Digest) {
        let of_image = self.0.entry(image.to_owned()).or_default();
        let digests = of_image.entry(architecture.to_owned()).or_default();
        digests.push(digest);
        digests.drain(..digests.len().saturating_sub(MAX_DIGESTS));
    }

    /// If the newest digest of an image on an architecture is in use, drops all older ones.
    pub fn drop_superseded(&mut self, in_use: impl Fn(&str, &str, &Digest) -> bool) {
        for (image, of_image) in &mut self.0 {
            for (architecture, digests) in of_image {
                if digests.last().is_some_and(|newest| in_use(image, architecture, newest)) {
                    digests.drain(..digests.len() - 1);
                }
            }
        }
    }

    /// Whether there are no digests.
    pub fn is_empty(&self) -> bool {
        self.0.values().flat_map(BTreeMap::values).all(Vec::is_empty)
    }

    /// Drops the digests of all other images.
    pub fn retain(&mut self, images: impl Fn(&str) -> bool) {
        self.0.retain(|image, _| images(image));
    }

    /// Drops all digests but the newest of an image on an architecture.
    pub fn keep_newest(&mut self, image: &str, architecture: &str) {
        if let Some(digests) = self.0.get_mut(image).and_then(|of_image| of_image.get_mut(architecture)) {
            digests.drain(..digests.len().saturating_sub(1));
        }
    }

    /// Replaces all digests of an image on an architecture with this one.
    pub fn replace(&mut self, image: &str, architecture: &str, digest: Digest) {
        self.0.entry(image.to_owned()).or_default().insert(architecture.to_owned(), vec![digest]);
    }

    /// A copy with at most the newest `most` digests for each image and architecture.
    pub fn at_most(&self, most: usize) -> Self {
        let mut less = self.clone();
        for known in less.0.values_mut().flat_map(BTreeMap::values_mut) {
            known.drain(..known.len().saturating_sub(most));
        }
        less
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn digest(image_id: &str) -> Option<Digest> {
        Digest::of_image_id(image_id)
    }

    #[test]
    fn all_formats_of_a_digest_are_equal() {
        let spellings = [
            format!("sha256:{HEX}"),
            format!("docker.io/library/nginx@sha256:{HEX}"),
            format!("registry.test:5000/team/app@sha256:{HEX}"),
            format!("docker-pullable://nginx@sha256:{HEX}"),
            format!("docker://sha256:{HEX}"),
            HEX.to_owned(),
            HEX.to_uppercase(),
        ];
        for spelling in &spellings {
            assert_eq!(digest(spelling), Some(Digest(HEX[..12].to_owned())), "{spelling}");
        }
    }

    #[test]
    fn other_image_ids_are_compared_as_strings() {
        assert_eq!(digest("some/image:tag"), digest("some/image:tag"));
        assert_ne!(digest("some/image:tag"), digest("some/image:other"));
        assert_ne!(digest("sha256:short"), digest("sha256:shorter"));
    }

    #[test]
    fn an_empty_image_id_is_no_digest() {
        for nothing in ["", "  ", "docker-pullable://", "name@"] {
            assert_eq!(digest(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn the_oldest_digest_is_dropped_and_architectures_are_separate() {
        let mut digests = DigestLists::default();
        for number in 0..20 {
            digests.add("app", "amd64", Digest(number.to_string()));
        }
        assert_eq!(digests.of("app", "amd64").len(), MAX_DIGESTS);
        assert_eq!(digests.of("app", "amd64").last(), Some(&Digest("19".to_owned())));
        assert_eq!(digests.at_most(1).of("app", "amd64"), [Digest("19".to_owned())]);
        assert_eq!(digests.of("app", "arm64"), []);
        assert_eq!(digests.of("other", "amd64"), []);
    }

    proptest! {
        #[test]
        fn any_image_id_is_parsed_without_a_panic_and_is_short(text in any::<String>()) {
            if let Some(Digest(digest)) = digest(&text) {
                prop_assert!((1..=SHOWN).contains(&digest.chars().count()), "{digest}");
            }
        }
    }
}
