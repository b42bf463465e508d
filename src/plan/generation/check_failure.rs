//! Why a tag check failed for an image. [`crate::messages::findings`] puts it into words.

use serde::{Deserialize, Serialize};

use crate::coverage::{FailureCause, end_of};

/// Why a tag check failed for an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckFailure {
    /// What went wrong.
    pub cause: CheckFailureCause,
    /// What the kubelet or the scheduler says about it; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What the kubelet says about an init container that has not started; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub init_message: String,
}

/// What went wrong in a tag check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CheckFailureCause {
    /// The image cannot be pulled.
    PullFailed,
    /// The pod ended before the image was pulled.
    PodEnded,
    /// The node has no capacity for the pod.
    NoCapacity,
    /// No pod was created before [`super::tag_check::DEADLINE`].
    NoPod,
    /// The pod did not pull the image before [`super::tag_check::DEADLINE`].
    NoAnswer,
}

impl CheckFailure {
    /// A failure without a message about an init container.
    pub fn new(cause: CheckFailureCause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), init_message: String::new() }
    }

    /// Whether it says why, unlike a kubelet that waits before it pulls again.
    pub fn is_explained(&self) -> bool {
        let (reason, message) = self.message.split_once(": ").unwrap_or((&self.message, ""));
        self.cause != CheckFailureCause::PullFailed || FailureCause { reason, message }.is_known()
    }

    /// The failure with only the end of each message, where the actual error is.
    pub fn shortened(&self) -> Self {
        Self { cause: self.cause, message: end_of(&self.message), init_message: end_of(&self.init_message) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubelet_that_waits_before_it_pulls_again_may_explain_nothing() {
        let explained = |cause, message: &str| CheckFailure::new(cause, message).is_explained();
        assert!(explained(CheckFailureCause::PullFailed, "ErrImagePull: 401 Unauthorized"));
        assert!(explained(
            CheckFailureCause::PullFailed,
            "ImagePullBackOff: Back-off pulling image \"a:1\": ErrImagePull: 401 Unauthorized"
        ));
        assert!(!explained(CheckFailureCause::PullFailed, "ImagePullBackOff: Back-off pulling image \"a:1\""));
        assert!(!explained(CheckFailureCause::PullFailed, "ErrImagePull"));
        assert!(explained(CheckFailureCause::NoPod, ""));
    }
}
