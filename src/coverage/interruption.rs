//! Pulls that the node itself held back or cancelled. That is not the fault of an image, and usually over with the next attempt, so
//! it becomes a failure only if it lasts.

use jiff::{SignedDuration, Timestamp};

use super::pod::ImageState;

/// How long an interruption may last before it is a failure: with the kubelet's back-off these are at least four attempts.
pub const INTERRUPTION_GRACE: SignedDuration = SignedDuration::from_mins(5);

/// Why a node interrupted a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// The kubelet limits its own pulls (`registryPullQPS`).
    KubeletLimit,
    /// The kubelet or the runtime cancelled it.
    Cancelled,
}

/// What Go says of what was cancelled: `context`, `net`, `net/http`. An HTTP client that waits for too long says
/// `(Client.Timeout exceeded …)` behind it.
const CANCELLED: [&str; 4] =
    ["context canceled", "request canceled", "operation was canceled", "request canceled while waiting for connection"];

/// Whether a message of a kubelet says that the node interrupted the pull. One that lists several attempts does not.
pub fn interruption(message: &str) -> Option<Interruption> {
    let message = message.trim_end_matches(['.', ' ', '\n']);
    let message = message.strip_suffix(": unknown").unwrap_or(message);
    // `k8s.io/kubernetes/pkg/kubelet/images/helpers.go`
    match message.to_ascii_lowercase() {
        message if message.ends_with("pull qps exceeded") => Some(Interruption::KubeletLimit),
        message if CANCELLED.iter().any(|it| message.ends_with(it)) => Some(Interruption::Cancelled),
        _ => None,
    }
}

impl ImageState {
    /// The state at that time, where an interruption that lasts is a failure. It has lasted since it was first seen. If it was never
    /// seen before, as in a single listing, it has lasted since the pod last made progress.
    pub(super) fn unless_it_lasts(self, before: Option<&Self>, at: Option<Timestamp>) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_node_interrupts_is_distinguished_from_what_fails() {
        use Interruption::{Cancelled, KubeletLimit};
        for (message, expected) in [
            ("pull QPS exceeded", Some(KubeletLimit)),
            (r#"Back-off pulling image "a": ErrImagePull: pull QPS exceeded"#, Some(KubeletLimit)),
            ("net/http: request canceled", Some(Cancelled)),
            ("rpc error: code = Canceled desc = failed to pull and unpack image: context canceled", Some(Cancelled)),
            (
                r#"failed to copy: httpReadSeeker: failed open: Get "https://a": context canceled: unknown"#,
                Some(Cancelled),
            ),
            ("request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)", None),
            ("context deadline exceeded", None),
            ("[401 Unauthorized, context canceled]", None),
            ("", None),
        ] {
            assert_eq!(interruption(message), expected, "{message}");
        }
    }
}
