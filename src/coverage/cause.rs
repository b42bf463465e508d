//! What a kubelet says between two attempts to start a container.
//!
//! A kubelet says why an attempt failed until its next sync of the pod. From then on it waits, and its words may be about the wait alone:
//! - Kubelets before 1.32 say `Back-off pulling image "…"`, and newer ones add the cause (`k8s.io/kubernetes/pkg/kubelet/images`).
//! - While a container that ended cannot be started again because its image cannot be pulled, every kubelet says `CrashLoopBackOff` and how
//!   the container ended, which was before (`doBackOff` in `k8s.io/kubernetes/pkg/kubelet/kuberuntime`).

use super::pod::{ImageState, PULL_FAILURES};

/// Why an image could not be pulled or started, in the kubelet's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FailureCause<'a> {
    /// The kubelet's reason.
    pub reason: &'a str,
    /// The message of the registry or the runtime.
    pub message: &'a str,
}

impl FailureCause<'_> {
    /// Whether this is about a pull.
    pub fn is_of_pull(&self) -> bool {
        PULL_FAILURES.contains(&self.reason)
    }

    /// This cause or, if it says none, the one that another source knows.
    pub(super) fn or(self, known: Option<Self>) -> Self {
        // That a container could not be started is said with every attempt. That its image could not be pulled is not.
        known.filter(|known| !self.is_known() && known.is_of_pull() && known.is_known()).unwrap_or(self)
    }

    /// Whether it says why the last attempt failed.
    pub fn is_known(&self) -> bool {
        match self.reason {
            "ImagePullBackOff" | "ErrImagePullBackOff" => !is_bare_back_off(self.message),
            "ErrImagePull" => !self.message.is_empty(),
            "CrashLoopBackOff" => !is_bare_end(self.message),
            _ => true,
        }
    }
}

/// `Back-off pulling image "…"`, and nothing after it.
fn is_bare_back_off(message: &str) -> bool {
    let after = message.strip_prefix("Back-off pulling image").map(str::trim_start);
    let image = |rest: &str| rest.strip_prefix('"').and_then(|rest| Some(rest.split_once('"')?.1.is_empty()));
    message.is_empty() || after.is_some_and(|rest| rest.is_empty() || image(rest).unwrap_or(false))
}

/// How a container ended that was killed or whose end nobody saw: `Error (exit code 137)`. Lack of memory is a cause.
fn is_bare_end(message: &str) -> bool {
    let reason = message.strip_suffix(')').and_then(|message| Some(message.split_once(" (exit code ")?.0));
    reason.is_some_and(|reason| matches!(reason, "" | "Error" | "Unknown" | "Completed" | "ContainerStatusUnknown"))
}

impl ImageState {
    /// Why the image cannot be held, if it cannot.
    pub fn cause(&self) -> Option<FailureCause<'_>> {
        match self {
            Self::Failed { reason, message } | Self::CannotStart { reason, message, .. } => {
                Some(FailureCause { reason, message })
            }
            Self::Waiting | Self::Pulling | Self::Interrupted { .. } | Self::Held | Self::Stopped => None,
        }
    }

    /// The cause that another source knows, if this state says none: what was seen before, or is stored.
    pub fn cause_or<'a>(&'a self, known: Option<FailureCause<'a>>) -> Option<FailureCause<'a>> {
        Some(self.cause()?.or(known))
    }

    /// This state, with the cause that was known before if it says none.
    pub(super) fn with_cause_of(self, before: &Self) -> Self {
        let says_nothing = self.cause().is_some_and(|cause| cause.is_of_pull() && !cause.is_known());
        if let (Self::Interrupted { .. }, true) = (before, says_nothing) {
            return before.clone();
        }
        let known = match (before, before.cause()) {
            (Self::Failed { reason, message } | Self::CannotStart { reason, message, .. }, Some(cause))
                if self.cause().is_some() && self.cause_or(Some(cause)) == Some(cause) =>
            {
                (reason.clone(), message.clone())
            }
            _ => return self,
        };
        match self {
            Self::Failed { .. } => Self::Failed { reason: known.0, message: known.1 },
            Self::CannotStart { container_exists, .. } => {
                Self::CannotStart { reason: known.0, message: known.1, container_exists }
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(reason: &str, message: &str) -> ImageState {
        ImageState::Failed { reason: reason.into(), message: message.into() }
    }

    fn cannot_start(reason: &str, message: &str) -> ImageState {
        ImageState::CannotStart { reason: reason.into(), message: message.into(), container_exists: true }
    }

    #[test]
    fn a_wait_without_a_cause_is_known_by_its_words() {
        for (reason, message, known) in [
            ("ErrImagePull", "503 Service Unavailable", true),
            ("ErrImagePull", "", false),
            ("ImagePullBackOff", "", false),
            ("ImagePullBackOff", "Back-off pulling image \"a:1\"", false),
            ("ImagePullBackOff", "Back-off pulling image \"a:1\": ErrImagePull: 503 Service Unavailable", true),
            ("CrashLoopBackOff", "Error (exit code 137)", false),
            ("CrashLoopBackOff", "Unknown (exit code 255)", false),
            ("CrashLoopBackOff", "OOMKilled (exit code 137)", true),
            ("CrashLoopBackOff", "exec format error", true),
            ("CreateContainerError", "", true),
        ] {
            assert_eq!(FailureCause { reason, message }.is_known(), known, "{reason}: {message}");
        }
    }

    #[test]
    fn a_wait_keeps_the_cause_of_the_attempt_before_it() {
        let refused = failed("ErrImagePull", "503");
        let bare = failed("ImagePullBackOff", "Back-off pulling image \"a:1\"");
        assert_eq!(bare.clone().with_cause_of(&refused), refused);
        let with = failed("ImagePullBackOff", "Back-off pulling image \"a:1\": ErrImagePull: 401");
        assert_eq!(with.clone().with_cause_of(&refused), with, "it says the cause itself");
        let dead = cannot_start("ErrImagePull", "503");
        let crashed = cannot_start("CrashLoopBackOff", "Unknown (exit code 255)");
        assert_eq!(crashed.clone().with_cause_of(&dead), dead);
        assert_eq!(crashed.clone().with_cause_of(&ImageState::Held), crashed, "it ran in the meantime");
        assert_eq!(crashed.clone().with_cause_of(&cannot_start("StartError", "no such file")), crashed);
        assert_eq!(ImageState::Held.with_cause_of(&refused), ImageState::Held);
        let held_back = ImageState::Interrupted {
            reason: "ErrImagePull".into(),
            message: "pull QPS exceeded".into(),
            since: Some(jiff::Timestamp::UNIX_EPOCH),
        };
        assert_eq!(bare.with_cause_of(&held_back), held_back, "the node still holds it back");
        assert_eq!(refused.clone().with_cause_of(&held_back), refused);
    }
}
