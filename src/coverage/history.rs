//! What the state of an image, or of a pod's init containers, means beside the one that was known before.

use std::sync::Arc;

use jiff::Timestamp;

use super::cause::FailureCause;
use super::init::Initialization;
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

impl Initialization {
    /// The same for the image of an init container that has not started.
    pub(super) fn in_light_of(self, before: Option<&Self>, at: Option<Timestamp>) -> Self {
        let Some(failure) = self.last_failure() else { return self };
        let before = before.map(|before| before.image_state(&failure.container));
        let state = self.image_state(&failure.container).in_light_of(before.as_ref(), at);
        let with = |reason: &str, message: &str| Arc::new(failure.with_cause(FailureCause { reason, message }));
        match &state {
            ImageState::Interrupted { reason, message, since } => {
                Self::Interrupted { failure: with(reason, message), since: *since }
            }
            ImageState::Failed { reason, message } | ImageState::CannotStart { reason, message, .. } => {
                Self::Failed(with(reason, message))
            }
            ImageState::Waiting | ImageState::Pulling | ImageState::Held | ImageState::Stopped => self,
        }
    }

    /// What it says of the image of this container.
    fn image_state(&self, container: &str) -> ImageState {
        let Some(failure) = self.last_failure().filter(|failure| failure.container == container) else {
            return ImageState::Waiting;
        };
        let (reason, message) = (failure.reason.as_str().into(), failure.message.as_str().into());
        match self {
            Self::Interrupted { since, .. } => ImageState::Interrupted { reason, message, since: *since },
            _ if failure.pulled => ImageState::CannotStart { reason, message, container_exists: false },
            _ => ImageState::Failed { reason, message },
        }
    }
}
