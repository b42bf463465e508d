//! Messages of kubelets, runtimes, registries and the scheduler → the cause in a few words, and the remedy. Pure.
//!
//! These messages wrap each other and differ between runtimes, so the rules here know the words of containerd, CRI-O and the
//! kubelet. A message that no rule knows is passed on as it is.

use super::scheduling;
use crate::coverage::OMITTED;
use crate::summary::node_state::NodeState;

/// Why nodes are behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// In a few words; empty if the state says it all.
    pub what: String,
    /// What to do about it, if anything can be done.
    pub remedy: Option<&'static str>,
}

/// A rule: what a message with any of these words means, and the remedy.
type Rule = (&'static [&'static str], Meaning, &'static str);

/// What a message means.
#[derive(Clone, Copy)]
enum Meaning {
    /// A whole sentence.
    Says(&'static str),
    /// What the registry answered; its host is appended.
    From(&'static str),
    /// What is wrong with the connection to the registry; its host is put in front.
    Of(&'static str),
}
use Meaning::{From, Of, Says};

/// For images that cannot be pulled. The first rule that matches counts, so special rules come before general ones.
const PULLING: [Rule; 18] = [
    (
        &["no match for platform", "no image found in manifest list for architecture", "no matching manifest"],
        Says("the image does not exist for this node's architecture"),
        "set the architectures of the group (architectures: [amd64]), or build the image for all of them",
    ),
    (
        &["401 Unauthorized", "unauthorized", "no basic auth credentials", "authentication required"],
        From("401"),
        "check imagePullSecrets",
    ),
    (
        &["pull access denied", "access to the resource is denied", "insufficient_scope", "authorization failed"],
        From("pull access denied"),
        "check the image's name and imagePullSecrets",
    ),
    (&["403 Forbidden", "denied:"], From("403"), "check the permissions of the account in imagePullSecrets"),
    (
        &["429 Too Many Requests", "toomanyrequests", "rate limit"],
        From("429, too many requests,"),
        "pull with an account (imagePullSecrets), through a mirror, or with a lower pullRate",
    ),
    (
        &["certificate has expired or is not yet valid"],
        Of("has a certificate that has expired or is not yet valid"),
        "renew the registry's certificate, or set the node's clock",
    ),
    (
        &["certificate is valid for", "certificate is not valid for any names", "doesn't contain any IP SANs"],
        Of("has a certificate for other names"),
        "check the registry's name",
    ),
    (
        &["certificate signed by unknown authority"],
        Of("has a certificate that the node does not trust"),
        "add the registry's CA to the node's runtime",
    ),
    (
        &["server gave HTTP response to HTTPS client"],
        Of("does not use TLS"),
        "configure it as an insecure registry in the node's runtime, or enable TLS on the registry",
    ),
    (
        &["no such host", "server misbehaving", "Temporary failure in name resolution", "dial tcp: lookup "],
        Of("cannot be resolved"),
        "check the registry's name and the nodes' DNS",
    ),
    (
        &["connection refused", "no route to host", "network is unreachable", "connection reset", "i/o timeout"],
        Of("cannot be reached"),
        "check the registry and the nodes' connection to it; nodes that have the image keep it",
    ),
    (
        &["context deadline exceeded", "Client.Timeout", "TLS handshake timeout", "unexpected EOF", "EOF"],
        Of("does not answer in time"),
        "check the registry and the nodes' connection to it; nodes that have the image keep it",
    ),
    (&["no space left on device"], Says("the node's disk is full"), "give the nodes more disk, or shorten the list"),
    (
        &["500 Internal Server Error", "502 Bad Gateway", "503 Service", "504 Gateway", "status code 5"],
        From("an error (5xx)"),
        "check the registry; nodes that have the image keep it",
    ),
    (
        &["manifest unknown", "MANIFEST_UNKNOWN", "name unknown", "NAME_UNKNOWN", "404 Not Found", ": not found"],
        From("no such image or tag"),
        "check the reference; if the tag was deleted, nodes that have the image keep it",
    ),
    (
        &["signature", "Signature"],
        Says("its signature was rejected"),
        "check the signature policy of the nodes' runtime",
    ),
    (
        &["couldn't parse image", "invalid reference", "InvalidImageName"],
        Says("the node's runtime rejects the reference"),
        "check the reference",
    ),
    (
        &["failed commit", "unexpected commit digest", "checksum mismatch"],
        Says("a layer is damaged or does not match its digest"),
        "push the image again",
    ),
];

/// For images whose container does not run.
const STARTING: [Rule; 6] = [
    (
        &["to rootfs at \"/kube-prepull"],
        Says("the holder cannot be mounted into the image"),
        "remove the file or link /kube-prepull from the image: the holder needs a directory there",
    ),
    (
        &["exec format error"],
        Says("the holder is built for another architecture than the node's"),
        "check that the holder's image is multi-arch",
    ),
    (
        &["permission denied", "operation not permitted"],
        Says("the node does not let the holder run"),
        "check for volumes mounted noexec and for security modules on the node",
    ),
    (
        &["OOMKilled", "out of memory"],
        Says("killed because of its memory limit"),
        "raise the group's memory limit, or remove it",
    ),
    (
        &["runAsNonRoot", "securityContext", "SecurityContext"],
        Says("refused by its security context"),
        "check the namespace's Pod Security and admission",
    ),
    (&["no space left on device"], Says("the node's disk is full"), "give the nodes more disk, or shorten the list"),
];

/// Why an image is behind on nodes, from the reason and the message of the kubelet or the scheduler.
pub fn explain(state: NodeState, reason: &str, message: &str, reference: &str) -> Diagnosis {
    let said = match message {
        OMITTED => "(too many different messages; see the pod)",
        message => innermost(message),
    };
    let said = Diagnosis { what: said.to_owned(), remedy: None };
    match state {
        NodeState::Failed => by_rule(&PULLING, reason, message, reference).unwrap_or(said),
        NodeState::CannotStart => by_rule(&STARTING, reason, message, reference)
            .unwrap_or(Diagnosis { remedy: Some("see the pod: kubectl describe pod"), ..said }),
        NodeState::NoCapacity => Diagnosis { remedy: Some(free_capacity(reason, message)), ..said },
        NodeState::Displaced => displaced(reason, said),
        NodeState::Excluded => {
            Diagnosis { what: scheduling::excluded(message), remedy: Some(scheduling::KEEP_OR_REMOVE) }
        }
        // The scheduler's many causes have no other remedy in common.
        NodeState::Unschedulable => Diagnosis { remedy: Some("see the pod: kubectl describe pod"), ..said },
        NodeState::Waiting if reason == "PodNotCreated" => {
            Diagnosis { what: "the DaemonSet controller has not created the pod yet".to_owned(), ..said }
        }
        NodeState::Tainted => {
            Diagnosis { remedy: Some("add a toleration to the group if its images belong there"), ..said }
        }
        _ => said,
    }
}

fn by_rule(rules: &[Rule], reason: &str, message: &str, reference: &str) -> Option<Diagnosis> {
    let fits = |words: &[&str]| words.iter().any(|word| message.contains(word) || reason.contains(word));
    let (_, meaning, remedy) = rules.iter().find(|(words, ..)| fits(words))?;
    let host = || asked_host(message).unwrap_or_else(|| registry(reference));
    let what = match meaning {
        Says(what) => (*what).to_owned(),
        From(what) => format!("{what} from {}", host()),
        Of(what) => format!("{} {what}", host()),
    };
    Some(Diagnosis { what, remedy: Some(remedy) })
}

fn free_capacity(reason: &str, message: &str) -> &'static str {
    match () {
        () if message.contains("Too many pods") || reason == "OutOfpods" => {
            "raise the node's pod limit, or put the images into fewer groups"
        }
        () => "lower the group's requests, or free capacity on the nodes",
    }
}

fn displaced(reason: &str, said: Diagnosis) -> Diagnosis {
    // Kubelets also evict pods that exceed a limit of their own (`k8s.io/kubernetes/pkg/kubelet/eviction`).
    let is_node_low = said.what.contains("low on resource");
    let what = match reason {
        "Missing" => "the DaemonSet has no pod there, and none has come for a while".to_owned(),
        "Altered" if said.what.is_empty() => {
            "the DaemonSet has no pod there and was changed by another client".to_owned()
        }
        "Altered" => format!("the DaemonSet has no pod there and was changed by {}", said.what),
        _ => said.what,
    };
    let remedy = match reason {
        "Evicted" if is_node_low => {
            "give the nodes more of the resource that ran low, or shorten the list; the pod is recreated"
        }
        "Altered" => "edit the list instead; the list's Events say whether the DaemonSet was restored",
        "Missing" => "kubectl describe daemonset shows whether a quota or admission refuses its pods",
        _ => "see the pod: kubectl describe pod",
    };
    Diagnosis { what, remedy: Some(remedy) }
}

/// The host of the last URL in the message: with a mirror it is not the host of the reference.
fn asked_host(message: &str) -> Option<String> {
    let (_, rest) = message.rsplit_once("http://").or_else(|| message.rsplit_once("https://"))?;
    let rest =
        message.rsplit_once("https://").map_or(rest, |(_, https)| if https.len() < rest.len() { https } else { rest });
    let host = rest.split(['/', '"', '?', ' ']).next().unwrap_or_default().trim_end_matches(':');
    Some(host.to_owned()).filter(|host| !host.is_empty())
}

/// The registry of a reference: the part before the first slash, if it can be a host name (like `splitDockerDomain` of the
/// distribution project).
fn registry(reference: &str) -> String {
    let first = reference.split_once('/').map(|(first, _)| first);
    first.filter(|first| first.contains(['.', ':']) || *first == "localhost").unwrap_or("docker.io").to_owned()
}

/// The message without its wrappers, such as `rpc error: code = … desc = …`.
fn innermost(message: &str) -> &str {
    let message = message.rsplit_once(" desc = ").map_or(message, |(_, inner)| inner);
    message.trim_end_matches(['.', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: &str = "ghcr.io/acme/app:7";

    fn pulling(message: &str) -> String {
        explain(NodeState::Failed, "ErrImagePull", message, REFERENCE).what
    }

    #[test]
    fn messages_of_runtimes_about_pulls_become_a_few_words() {
        for (message, expected) in [
            (
                r#"Back-off pulling image "ghcr.io/acme/app:7": ErrImagePull: failed to pull and unpack image "ghcr.io/acme/app:7": failed to resolve reference "ghcr.io/acme/app:7": unexpected status from HEAD request to https://ghcr.io/v2/acme/app/manifests/7: 401 Unauthorized"#,
                "401 from ghcr.io",
            ),
            (
                r#"rpc error: code = NotFound desc = failed to pull and unpack image "ghcr.io/acme/app:7": failed to resolve image: ghcr.io/acme/app:7: not found"#,
                "no such image or tag from ghcr.io",
            ),
            (
                r#"failed to pull and unpack image "ghcr.io/acme/app:7": no match for platform in manifest: not found"#,
                "the image does not exist for this node's architecture",
            ),
            (
                r#"failed to do request: Head "https://mirror.test:5000/v2/acme/app/manifests/7?ns=ghcr.io": dial tcp 10.0.0.2:5000: connect: connection refused"#,
                "mirror.test:5000 cannot be reached",
            ),
            (
                r#"failed to do request: Head "http://mirror.test/v2/": lookup mirror.test: no such host"#,
                "mirror.test cannot be resolved",
            ),
            (
                "initializing source docker://ghcr.io/acme/app:7: reading manifest 7 in ghcr.io/acme/app: manifest unknown",
                "no such image or tag from ghcr.io",
            ),
            ("toomanyrequests: You have reached your pull rate limit", "429, too many requests, from ghcr.io"),
            ("write /var/lib/containerd/x: no space left on device", "the node's disk is full"),
            (
                "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-03-01T12:00:00Z",
                "ghcr.io has a certificate that has expired or is not yet valid",
            ),
            (
                "tls: failed to verify certificate: x509: certificate is valid for mirror.test, not ghcr.io",
                "ghcr.io has a certificate for other names",
            ),
            ("x509: certificate signed by unknown authority", "ghcr.io has a certificate that the node does not trust"),
            ("x509: unhandled critical extension", "x509: unhandled critical extension"),
            ("unexpected commit digest sha256:1, expected sha256:2", "a layer is damaged or does not match its digest"),
            ("failed to extract layer: input/output error", "failed to extract layer: input/output error"),
            ("something new.", "something new"),
            (OMITTED, "(too many different messages; see the pod)"),
        ] {
            assert_eq!(pulling(message), expected, "{message}");
        }
    }

    #[test]
    fn a_reference_without_a_host_is_on_docker_hub() {
        let cause = |reference| explain(NodeState::Failed, "ErrImagePull", "pull access denied", reference).what;
        assert_eq!(cause("acme/app:7"), "pull access denied from docker.io");
        assert_eq!(cause("nginx"), "pull access denied from docker.io");
        assert_eq!(cause("localhost:5000/app"), "pull access denied from localhost:5000");
    }

    #[test]
    fn every_known_cause_has_a_remedy() {
        for (state, reason, message) in [
            (NodeState::CannotStart, "StartError", "exec /kube-prepull/holder: exec format error"),
            (
                NodeState::CannotStart,
                "RunContainerError",
                "error mounting \"/x\" to rootfs at \"/kube-prepull\": not a directory",
            ),
            (NodeState::CannotStart, "CrashLoopBackOff", "back-off 10s restarting"),
            (NodeState::NoCapacity, "Unschedulable", "Too many pods"),
            (NodeState::NoCapacity, "OutOfcpu", ""),
            (NodeState::Displaced, "Evicted", "The node was low on resource: ephemeral-storage. "),
            (NodeState::Displaced, "Altered", "kubectl-patch"),
            (NodeState::Displaced, "Missing", ""),
            (NodeState::Excluded, "NodeSelector", "tier=web"),
            (NodeState::Unschedulable, "Unschedulable", "node(s) didn't match pod topology spread constraints"),
            (NodeState::Tainted, "Unschedulable", "node(s) had untolerated taint {gpu: }"),
        ] {
            assert!(explain(state, reason, message, REFERENCE).remedy.is_some(), "{reason}");
        }
        assert_eq!(explain(NodeState::Pulling, "", "", REFERENCE), Diagnosis { what: String::new(), remedy: None });
    }

    proptest::proptest! {
        #[test]
        fn any_message_is_explained(message in ".{0,200}", reference in ".{0,50}") {
            for (state, _) in NodeState::ALL {
                explain(state, "ErrImagePull", &message, &reference);
            }
        }
    }
}
