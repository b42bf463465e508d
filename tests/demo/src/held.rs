//! What a node's containerd was seen to hold, from sample to sample. Pure.

use std::time::Instant;

use test_bed::real::Container;

/// One look into containerd.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When it was begun.
    pub at: Instant,
    /// The demo's containers whose processes run.
    pub held: Vec<Held>,
}

/// A running container of an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// The digest of the image that it was made from.
    pub digest: String,
    /// The generation that its pod belongs to.
    pub generation: String,
    /// containerd's id of the container.
    pub container: String,
}

impl Sample {
    /// Keeps the containers of a namespace that run.
    pub fn new(at: Instant, containers: Vec<Container>, namespace: &str) -> Self {
        let ours = containers.into_iter().filter(|container| container.running && container.namespace == namespace);
        let mut held: Vec<_> = ours.filter_map(Held::new).collect();
        held.sort();
        Self { at, held }
    }

    /// Whether at least one of the digests is held.
    pub fn holds_any(&self, digests: &[&str]) -> bool {
        self.held.iter().any(|held| digests.contains(&held.digest.as_str()))
    }

    /// Whether each of the digests is held.
    pub fn holds_all(&self, digests: &[&str]) -> bool {
        digests.iter().all(|digest| self.holds_any(&[digest]))
    }

    /// A container that holds the digest.
    pub fn holder_of(&self, digest: &str) -> Option<&Held> {
        self.held.iter().find(|held| held.digest == digest)
    }

    /// The generations that hold something, each once, by name.
    pub fn generations(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.held.iter().map(|held| held.generation.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl Held {
    fn new(container: Container) -> Option<Self> {
        // A DaemonSet's pods are named after it, with one more part.
        let (generation, _) = container.pod.rsplit_once('-')?;
        Some(Self { digest: container.digest?, generation: generation.to_owned(), container: container.id })
    }
}

/// The first sample in which one of the digests is held.
pub fn arrival<'s>(samples: &'s [Sample], digest: &str) -> Option<&'s Sample> {
    samples.iter().find(|sample| sample.holds_any(&[digest]))
}

/// Images that must never be without a holder: each is a set of digests, one of which has to be held at any time.
pub fn not_held<'s>(samples: &'s [Sample], images: &[Vec<&str>]) -> Option<&'s Sample> {
    samples.iter().find(|sample| images.iter().any(|digests| !sample.holds_any(digests)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(pod: &str, digest: &str, running: bool) -> Container {
        Container {
            id: format!("{pod}/{digest}"),
            namespace: "demo".into(),
            pod: pod.into(),
            name: "app".into(),
            image: "registry.test/app:1".into(),
            digest: Some(digest.into()),
            running,
        }
    }

    fn samples(containers: &[&[(&str, &str)]]) -> Vec<Sample> {
        let sample = |containers: &&[(&str, &str)]| {
            let containers = containers.iter().map(|(pod, digest)| container(pod, digest, true)).collect();
            Sample::new(Instant::now(), containers, "demo")
        };
        containers.iter().map(sample).collect()
    }

    #[test]
    fn only_running_containers_of_the_namespace_hold() {
        let containers = vec![container("demo-1-x", "old", false), container("demo-1-x", "new", true)];
        let sample = Sample::new(Instant::now(), containers.clone(), "demo");
        assert!(sample.holds_all(&["new"]) && !sample.holds_any(&["old"]));
        assert_eq!(sample.generations(), ["demo-1"]);
        assert!(Sample::new(Instant::now(), containers, "other").held.is_empty());
    }

    #[test]
    fn a_gap_is_found_and_an_overlap_is_none() {
        let handover = [&[("g-1", "old")][..], &[("g-1", "old"), ("h-1", "new")], &[("h-1", "new")]];
        assert!(not_held(&samples(&handover), &[vec!["old", "new"]]).is_none());
        let gap = [&[("g-1", "old")][..], &[], &[("h-1", "new")]];
        assert!(not_held(&samples(&gap), &[vec!["old", "new"]]).is_some());
        assert!(not_held(&samples(&handover), &[vec!["old", "new"], vec!["other"]]).is_some());
    }

    #[test]
    fn the_first_sample_that_holds_a_digest_is_its_arrival() {
        let seen = samples(&[&[("g-1", "old")], &[("g-1", "old"), ("h-1", "new")], &[("h-1", "new")]]);
        assert_eq!(arrival(&seen, "new").map(|sample| sample.at), Some(seen[1].at));
        assert!(arrival(&seen, "other").is_none());
    }
}
