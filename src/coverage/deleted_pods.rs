//! Deleted pods, so that an old change that arrives late does not bring one back.

use std::collections::VecDeque;

/// The uids of the pods that were deleted last. Uids are never reused.
#[derive(Debug, Default)]
pub struct DeletedPods(VecDeque<Box<str>>);

/// Changes that arrive out of order are a moment late, not thousands of deletions.
const REMEMBERED: usize = 256;

impl DeletedPods {
    /// Adds a deleted pod.
    pub fn insert(&mut self, uid: &str) {
        if self.contains(uid) {
            return;
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(uid.into());
    }

    /// Whether the pod is known to be deleted.
    pub fn contains(&self, uid: &str) -> bool {
        self.0.iter().any(|deleted| **deleted == *uid)
    }
}
