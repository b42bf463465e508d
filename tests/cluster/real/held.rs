//! Looking at containerd again and again, while a test goes on, for a moment in which an image is not held.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use test_bed::Node;

use super::RealTrial;

/// Looks on in a thread of its own.
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Looks>,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Looks {
    pub count: usize,
    /// The node and the digests of which none was held there.
    pub gaps: Vec<String>,
}

impl Watch {
    /// On every node, one digest of each of these sets is to be held at any time.
    pub fn begin(real: &RealTrial, wanted: &[&[&str]]) -> Self {
        let wanted: Vec<Vec<String>> =
            wanted.iter().map(|digests| digests.iter().map(|&digest| digest.to_owned()).collect()).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let (nodes, namespace, stopped) = (real.nodes.clone(), real.trial.namespace.clone(), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut looks = Looks::default();
            while !stopped.load(Ordering::Relaxed) {
                nodes.iter().for_each(|node| look(node, &namespace, &wanted, &mut looks));
            }
            looks
        });
        Self { stop, thread }
    }

    /// Stops, and says what was seen.
    pub fn end(self) -> Looks {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }

    /// Stops, and fails if an image was not held at some time.
    pub fn assert_no_gap(self) {
        let looks = self.end();
        // A look takes a second or more where other tests keep the machine busy.
        assert!(looks.count >= 4, "too few looks say nothing: {looks:?}");
        assert!(looks.gaps.is_empty(), "{looks:#?}");
    }
}

fn look(node: &Node, namespace: &str, wanted: &[Vec<String>], looks: &mut Looks) {
    let containers = node.containers().unwrap().into_iter();
    let ours = containers.filter(|container| container.namespace == namespace && container.running);
    let held: Vec<String> = ours.filter_map(|container| container.digest).collect();
    looks.count += 1;
    let gaps = wanted.iter().filter(|digests| !digests.iter().any(|digest| held.contains(digest)));
    looks.gaps.extend(gaps.map(|digests| format!("{}: {digests:?}", node.name())));
}
