//! Which images are held on nodes, as their containerds say, again and again for as long as a test or the demo goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{Container, Node};

/// Between two samples of all nodes. A sample itself takes some hundredths of a second, or a second on a busy machine.
const PAUSE: Duration = Duration::from_millis(20);

/// What one containerd said.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When it was asked.
    pub at: Instant,
    /// The node.
    pub node: String,
    /// The containers of a namespace whose processes run.
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
    /// Asks a node's containerd for the containers of a namespace.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn take(node: &Node, namespace: &str) -> Result<Self> {
        let at = Instant::now();
        Ok(Self::of(at, node.name(), node.containers()?, namespace))
    }

    fn of(at: Instant, node: &str, containers: Vec<Container>, namespace: &str) -> Self {
        let ours = containers.into_iter().filter(|container| container.running && container.namespace == namespace);
        let mut held: Vec<_> = ours.filter_map(Held::of).collect();
        held.sort();
        Self { at, node: node.to_owned(), held }
    }

    /// Whether at least one of the digests is held.
    #[must_use]
    pub fn holds_any(&self, digests: &[&str]) -> bool {
        self.held.iter().any(|held| digests.contains(&held.digest.as_str()))
    }

    /// Whether each of the digests is held.
    #[must_use]
    pub fn holds_all(&self, digests: &[&str]) -> bool {
        digests.iter().all(|digest| self.holds_any(&[digest]))
    }

    /// A container that holds the digest.
    #[must_use]
    pub fn holder_of(&self, digest: &str) -> Option<&Held> {
        self.held.iter().find(|held| held.digest == digest)
    }

    /// The generations that hold something, each once, by name.
    #[must_use]
    pub fn generations(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.held.iter().map(|held| held.generation.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl Held {
    /// Nothing for a container whose image the node does not have any more.
    fn of(container: Container) -> Option<Self> {
        // A DaemonSet's pods are named after it, with one more part.
        let generation = container.pod.rsplit_once('-').map_or(container.pod.as_str(), |(generation, _)| generation);
        Some(Self { generation: generation.to_owned(), digest: container.digest?, container: container.id })
    }
}

/// The first sample in which an image is not held. Each image is a set of digests, one of which has to be held at any time.
#[must_use]
pub fn gap<'s, D: AsRef<[&'s str]>>(samples: &'s [Sample], images: &[D]) -> Option<&'s Sample> {
    samples.iter().find(|sample| images.iter().any(|digests| !sample.holds_any(digests.as_ref())))
}

/// Takes samples of nodes in a thread of its own.
#[derive(Debug)]
pub struct Watch {
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
    images: Vec<Vec<String>>,
}

#[derive(Debug, Default)]
struct Seen {
    samples: Mutex<Vec<Sample>>,
    failure: Mutex<Option<String>>,
    over: AtomicBool,
}

impl Watch {
    /// On each of the nodes, one digest of each of these images is to be held by a container of that namespace at any time.
    #[must_use]
    pub fn begin(nodes: Vec<Node>, namespace: &str, images: &[&[&str]]) -> Self {
        let images = images.iter().map(|digests| digests.iter().map(|&digest| digest.to_owned()).collect()).collect();
        let seen = Arc::new(Seen::default());
        let (writer, namespace) = (Arc::clone(&seen), namespace.to_owned());
        let thread = thread::spawn(move || {
            loop {
                // One more time after the end was asked for: so it covers all that came before.
                let last = writer.over.load(Ordering::Relaxed);
                for node in &nodes {
                    match Sample::take(node, &namespace) {
                        Ok(sample) => lock(&writer.samples).push(sample),
                        Err(error) => return *lock(&writer.failure) = Some(format!("{}: {error:#}", node.name())),
                    }
                }
                if last {
                    return;
                }
                thread::sleep(PAUSE);
            }
        });
        Self { seen, thread: Some(thread), images }
    }

    /// The samples that were begun at that instant or later.
    ///
    /// # Errors
    /// If a containerd did not answer.
    pub fn since(&self, begin: Instant) -> Result<Vec<Sample>> {
        if let Some(failure) = lock(&self.seen.failure).as_ref() {
            bail!("cannot ask containerd: {failure}");
        }
        Ok(lock(&self.seen.samples).iter().filter(|sample| sample.at >= begin).cloned().collect())
    }

    /// Ends, after one more sample of each node. Returns the samples in which an image was not held.
    ///
    /// # Panics
    /// If a containerd did not answer.
    #[must_use]
    pub fn gaps(mut self) -> Vec<Sample> {
        self.end();
        let samples = lock(&self.seen.samples);
        if let Some(failure) = lock(&self.seen.failure).as_ref() {
            panic!("cannot ask containerd: {failure}");
        }
        let images: Vec<Vec<&str>> = self.images.iter().map(|it| it.iter().map(String::as_str).collect()).collect();
        samples.iter().filter(|sample| gap(std::slice::from_ref(sample), &images).is_some()).cloned().collect()
    }

    /// Ends.
    ///
    /// # Panics
    /// If an image was not held in one of the samples.
    pub fn assert_no_gap(self) {
        let images = self.images.clone();
        let gaps = self.gaps();
        assert!(gaps.is_empty(), "of {images:?} one was not held: {gaps:#?}");
    }

    fn end(&mut self) {
        self.seen.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

/// What was pushed before a panic is still true.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
            Sample::of(Instant::now(), "node1", containers, "demo")
        };
        containers.iter().map(sample).collect()
    }

    #[test]
    fn only_running_containers_of_the_namespace_hold() {
        let containers = vec![container("demo-1-x", "old", false), container("demo-1-x", "new", true)];
        let sample = Sample::of(Instant::now(), "node1", containers.clone(), "demo");
        assert!(sample.holds_all(&["new"]) && !sample.holds_any(&["old"]));
        assert_eq!(sample.generations(), ["demo-1"]);
        assert!(Sample::of(Instant::now(), "node1", containers, "other").held.is_empty());
    }

    #[test]
    fn a_gap_is_found_and_an_overlap_is_none() {
        let handover = [&[("g-1", "old")][..], &[("g-1", "old"), ("h-1", "new")], &[("h-1", "new")]];
        assert!(gap(&samples(&handover), &[["old", "new"]]).is_none());
        let interrupted = [&[("g-1", "old")][..], &[], &[("h-1", "new")]];
        assert!(gap(&samples(&interrupted), &[["old", "new"]]).is_some());
        assert!(gap(&samples(&handover), &[vec!["old", "new"], vec!["other"]]).is_some());
    }
}
