//! What the state of an image means beside the one that was known before.

use jiff::Timestamp;

use super::interruption::{INTERRUPTION_GRACE, interruption};
use super::pod::ImageState;

impl ImageState {
    /// The state at that time, with what was known before and the kubelet does not repeat. An interruption that lasts is a failure.
    pub(super) fn in_light_of(self, before: Option<&Self>, at: Option<Timestamp>) -> Self {
        match before {
            Some(before) => self.with_cause_of(before).unless_it_lasts(Some(before), at),
            None => self.unless_it_lasts(None, at),
        }
    }

    /// The state at that time, where an interruption that lasts is a failure. It has lasted since it was first seen. If it was never
    /// seen before, as in a single listing, it has lasted since the pod last made progress.
    fn unless_it_lasts(self, before: Option<&Self>, at: Option<Timestamp>) -> Self {
        let Self::Interrupted { reason, message, since } = self else { return self };
        let since = match before {
            None => since,
            Some(Self::Interrupted { since: first, .. }) => first.or(since),
            Some(Self::Failed { message: was, .. }) if interruption(was).is_some() => {
                return Self::Failed { reason, message };
            }
            Some(_) => at.or(since),
        };
        let lasts = since.zip(at).is_some_and(|(since, at)| at.duration_since(since) >= INTERRUPTION_GRACE);
        if lasts { Self::Failed { reason, message } } else { Self::Interrupted { reason, message, since } }
    }
}
