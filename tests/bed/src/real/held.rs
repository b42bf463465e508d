//! Looking at containerd again and again, while a test goes on, for a moment in which an image is not held.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::Result;

use super::Node;

/// Looks on in a thread of its own.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Looks>>,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Looks {
    /// How often a node was looked at.
    pub count: usize,
    /// The node and the digests of which none was held there.
    pub gaps: Vec<String>,
}

impl Watch {
    /// On each of the nodes, one digest of each of these sets is to be held by a container of that namespace at any time.
    #[must_use]
    pub fn begin(nodes: Vec<Node>, namespace: &str, wanted: &[&[&str]]) -> Self {
        let wanted: Vec<Vec<String>> =
            wanted.iter().map(|digests| digests.iter().map(|&digest| digest.to_owned()).collect()).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let (namespace, stopped) = (namespace.to_owned(), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut looks = Looks::default();
            while !stopped.load(Ordering::Relaxed) {
                nodes.iter().try_for_each(|node| look(node, &namespace, &wanted, &mut looks))?;
            }
            Ok(looks)
        });
        Self { stop, thread }
    }

    /// Stops, and says what was seen.
    ///
    /// # Panics
    /// If a node could not be looked at.
    #[must_use]
    pub fn end(self) -> Looks {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(Ok(looks)) => looks,
            Ok(Err(error)) => panic!("{error:#}"),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Stops.
    ///
    /// # Panics
    /// If an image was not held at some time.
    pub fn assert_no_gap(self) {
        let looks = self.end();
        // A look takes a second or more where other tests keep the machine busy.
        assert!(looks.count >= 4, "too few looks say nothing: {looks:?}");
        assert!(looks.gaps.is_empty(), "{looks:#?}");
    }
}

fn look(node: &Node, namespace: &str, wanted: &[Vec<String>], looks: &mut Looks) -> Result<()> {
    let containers = node.containers()?.into_iter();
    let ours = containers.filter(|container| container.namespace == namespace && container.running);
    let held: Vec<String> = ours.filter_map(|container| container.digest).collect();
    looks.count += 1;
    let gaps = wanted.iter().filter(|digests| !digests.iter().any(|digest| held.contains(digest)));
    looks.gaps.extend(gaps.map(|digests| format!("{}: {digests:?}", node.name())));
    Ok(())
}
