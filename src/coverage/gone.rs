//! Pods that are gone. An old change that arrives late would bring one back.

use std::collections::VecDeque;

/// The uids of the pods that went last; no pod ever has one of them again.
#[derive(Debug, Default)]
pub struct Gone(VecDeque<Box<str>>);

/// Changes that arrive out of order are a moment old, not thousands of deletions.
const REMEMBERED: usize = 256;

impl Gone {
    /// Takes in that the pod is gone.
    pub fn insert(&mut self, uid: &str) {
        if self.contains(uid) {
            return;
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(uid.into());
    }

    /// Whether the pod is known to be gone.
    pub fn contains(&self, uid: &str) -> bool {
        self.0.iter().any(|gone| **gone == *uid)
    }
}
