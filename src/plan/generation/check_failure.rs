//! Why a tag check failed for an image. [`crate::messages::findings`] puts it into words.

use serde::{Deserialize, Serialize};

use crate::coverage::{FailureCause, InitFailure, end_of};
use crate::text::CleanText;

/// Why a tag check failed for an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckFailure {
    /// What went wrong.
    pub cause: CheckFailureCause,
    /// What the kubelet or the scheduler says about it; may be empty.
    #[serde(default, skip_serializing_if = "CleanText::is_empty")]
    pub message: CleanText,
    /// Why an init container of the pod failed, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<InitFailure>,
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
    /// A failure of which no init container is the cause.
    pub fn new(cause: CheckFailureCause, message: impl Into<CleanText>) -> Self {
        Self { cause, message: message.into(), init: None }
    }

    /// Whether it says why, unlike a kubelet that waits before it pulls again.
    pub fn is_explained(&self) -> bool {
        let (reason, message) = self.message.split_once(": ").unwrap_or((self.message.as_str(), ""));
        self.cause != CheckFailureCause::PullFailed || FailureCause { reason, message }.is_known()
    }

    /// The failure with only the end of the message, where the actual error is. An init container's message is kept, since what
    /// to do is found out from all of it.
    pub fn shortened(&self) -> Self {
        Self { message: end_of(&self.message).into(), ..self.clone() }
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
