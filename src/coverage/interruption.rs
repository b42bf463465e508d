//! Pulls that the node itself held back or cancelled. That is not the fault of an image, and usually over with the next attempt, so
//! it becomes a failure only if it lasts.

use jiff::SignedDuration;

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

/// Whether a message of a kubelet says that the node interrupted the pull. Of several attempts, it has interrupted all.
pub fn interruption(message: &str) -> Option<Interruption> {
    let message = message.trim_end_matches(['.', ' ', '\n']);
    // `[one, other]` (`k8s.io/apimachinery/pkg/util/errors`)
    if let Some(list) = message.strip_suffix(']') {
        let (_, list) = list.rsplit_once(": [").or_else(|| list.split_once('['))?;
        let mut attempts = list.split(", ").map(interruption);
        let first = attempts.next()??;
        return attempts.all(|it| it.is_some()).then_some(first);
    }
    let message = message.strip_suffix(": unknown").unwrap_or(message);
    // `k8s.io/kubernetes/pkg/kubelet/images/helpers.go`
    match message.to_ascii_lowercase() {
        message if message.ends_with("pull qps exceeded") => Some(Interruption::KubeletLimit),
        message if CANCELLED.iter().any(|it| message.ends_with(it)) => Some(Interruption::Cancelled),
        _ => None,
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
            ("[context canceled, 401 Unauthorized]", None),
            ("[pull QPS exceeded, pull QPS exceeded]", Some(KubeletLimit)),
            (r#"Back-off pulling image "a": ErrImagePull: [pull QPS exceeded, context canceled]"#, Some(KubeletLimit)),
            ("", None),
        ] {
            assert_eq!(interruption(message), expected, "{message}");
        }
    }
}
