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
    thread: JoinHandle<Result<TagCheckRecord>>,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct TagCheckRecord {
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
            let mut tag_check_record = TagCheckRecord::default();
            while !stopped.load(Ordering::Relaxed) {
                nodes.iter().try_for_each(|node| observe(node, &namespace, &wanted, &mut tag_check_record))?;
            }
            Ok(tag_check_record)
        });
        Self { stop, thread }
    }

    /// Stops, and says what was seen.
    ///
    /// # Panics
    /// If a node could not be looked at.
    #[must_use]
    pub fn end(self) -> TagCheckRecord {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(Ok(tag_check_record)) => tag_check_record,
            Ok(Err(error)) => panic!("{error:#}"),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Stops.
    ///
    /// # Panics
    /// If an image was not held at some time.
    pub fn assert_no_gap(self) {
        let tag_check_record = self.end();
        // A look takes a second or more where other tests keep the machine busy.
        assert!(tag_check_record.count >= 4, "too few looks say nothing: {tag_check_record:?}");
        assert!(tag_check_record.gaps.is_empty(), "{tag_check_record:#?}");
    }
}

fn observe(node: &Node, namespace: &str, wanted: &[Vec<String>], tag_check_record: &mut TagCheckRecord) -> Result<()> {
    let containers = node.containers()?.into_iter();
    let ours = containers.filter(|container| container.namespace == namespace && container.running);
    let held: Vec<String> = ours.filter_map(|container| container.digest).collect();
    tag_check_record.count += 1;
    let gaps = wanted.iter().filter(|digests| !digests.iter().any(|digest| held.contains(digest)));
    tag_check_record.gaps.extend(gaps.map(|digests| format!("{}: {digests:?}", node.name())));
    Ok(())
}
