//! What kubelets, runtimes, registries and the scheduler say → the cause in a few words, and what to do about it. Pure.
//!
//! Their messages wrap each other and differ between runtimes; these are the words of containerd, CRI-O and the kubelet for
//! the same things. What is not known here is passed on as it was said.

use crate::summary::node_state::NodeState;

/// Why nodes are behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// In a few words; empty where the state says all.
    pub what: String,
    /// What to do about it, where anybody can do anything.
    pub remedy: Option<&'static str>,
}

/// A rule: with any of these words in it, a message means that.
type Rule = (&'static [&'static str], Meaning, &'static str);

/// What a message means.
#[derive(Clone, Copy)]
enum Meaning {
    /// A sentence that stands for itself.
    Says(&'static str),
    /// What the registry answered: its host follows.
    From(&'static str),
    /// What is the matter with the way to the registry: its host goes before.
    Of(&'static str),
}
use Meaning::{From, Of, Says};

/// For images that cannot be pulled. The first that fits counts, so what is more special stands first.
const PULLING: [Rule; 16] = [
    (
        &["no match for platform", "no image found in manifest list for architecture", "no matching manifest"],
        Says("it does not exist for this node's architecture"),
        "name the architectures of the group (architectures: [amd64]), or build the image for all",
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
    (&["403 Forbidden", "denied:"], From("403"), "check the rights of the account in imagePullSecrets"),
    (
        &["429 Too Many Requests", "toomanyrequests", "rate limit"],
        From("429, too many requests,"),
        "pull with an account (imagePullSecrets), through a mirror, or with a lower pullRate",
    ),
    (
        &["x509:", "certificate"],
        Of("shows a certificate that the node does not trust"),
        "give the node's runtime the registry's CA",
    ),
    (
        &["server gave HTTP response to HTTPS client"],
        Of("speaks no TLS"),
        "configure the node's runtime for it, or give the registry a certificate",
    ),
    (
        &["no such host", "server misbehaving", "Temporary failure in name resolution", "dial tcp: lookup "],
        Of("cannot be looked up"),
        "check the registry's name and the nodes' DNS",
    ),
    (
        &["connection refused", "no route to host", "network is unreachable", "connection reset", "i/o timeout"],
        Of("cannot be reached"),
        "check the registry and the way to it from the nodes; what is held stays held",
    ),
    (
        &["context deadline exceeded", "Client.Timeout", "TLS handshake timeout", "unexpected EOF", "EOF"],
        Of("does not answer in time"),
        "check the registry and the way to it from the nodes; what is held stays held",
    ),
    (&["no space left on device"], Says("the node's disk is full"), "give the nodes more disk, or shorten the list"),
    (
        &["500 Internal Server Error", "502 Bad Gateway", "503 Service", "504 Gateway", "status code 5"],
        From("an error (5xx)"),
        "check the registry; what is held stays held",
    ),
    (
        &["manifest unknown", "MANIFEST_UNKNOWN", "name unknown", "NAME_UNKNOWN", "404 Not Found", ": not found"],
        From("no such image or tag"),
        "check the reference; if the tag was deleted, nodes that have the image keep it",
    ),
    (
        &["signature", "Signature"],
        Says("its signature was refused"),
        "check the signature policy of the nodes' runtime",
    ),
    (
        &["couldn't parse image", "invalid reference", "InvalidImageName"],
        Says("the node's runtime does not take the reference"),
        "check the reference",
    ),
    (&["layer", "checksum", "digest"], Says("a layer is damaged, or not what its digest says"), "push the image again"),
];

/// For images whose container does not run.
const STARTING: [Rule; 6] = [
    (
        &["to rootfs at \"/kube-prepull"],
        Says("the holder cannot be mounted into it"),
        "the image has a file or a link called /kube-prepull where a folder is needed",
    ),
    (
        &["exec format error"],
        Says("the holder is of another architecture than the node"),
        "check that the holder's image is multi-arch",
    ),
    (
        &["permission denied", "operation not permitted"],
        Says("the node does not let the holder run"),
        "check for volumes mounted noexec and for security modules on the node",
    ),
    (
        &["OOMKilled", "out of memory"],
        Says("killed for its memory limit"),
        "raise the group's memory limit, or remove it",
    ),
    (
        &["runAsNonRoot", "securityContext", "SecurityContext"],
        Says("refused by its security context"),
        "check the namespace's Pod Security and admission",
    ),
    (&["no space left on device"], Says("the node's disk is full"), "give the nodes more disk, or shorten the list"),
];

/// Why an image is behind on nodes, from the word and the words of whoever knows.
pub fn explain(state: NodeState, reason: &str, message: &str, reference: &str) -> Diagnosis {
    let said = Diagnosis { what: innermost(message).to_owned(), remedy: None };
    match state {
        NodeState::Failed => by_rule(&PULLING, reason, message, reference).unwrap_or(said),
        NodeState::CannotStart => by_rule(&STARTING, reason, message, reference)
            .unwrap_or(Diagnosis { remedy: Some("see the pod: kubectl describe pod"), ..said }),
        NodeState::NoCapacity => Diagnosis { remedy: Some(room(reason, message)), ..said },
        NodeState::Displaced => displaced(reason, said),
        NodeState::Tainted => {
            Diagnosis { remedy: Some("add a toleration to the group, if its images belong there"), ..said }
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

fn room(reason: &str, message: &str) -> &'static str {
    match () {
        () if message.contains("Too many pods") || reason == "OutOfpods" => {
            "the node's pod limit is reached: raise it, or put the images into fewer groups"
        }
        () if message.contains("Insufficient") || reason.starts_with("OutOf") => {
            "lower the group's requests, or make room on the nodes"
        }
        () => "make room on the nodes, or take them out by a nodeSelector",
    }
}

fn displaced(reason: &str, said: Diagnosis) -> Diagnosis {
    let what = match reason {
        "Altered" => format!("the DaemonSet has no pod there and was changed by {}", said.what),
        _ => said.what,
    };
    let remedy = match reason {
        "Evicted" => "give the nodes more of what they ran low on, or shorten the list; the pod comes back",
        "Altered" => "edit the list instead; its Events say whether the DaemonSet was restored",
        "Missing" => "see kubectl describe daemonset: a quota or admission may refuse the pod",
        _ => "see the pod: kubectl describe pod",
    };
    Diagnosis { what, remedy: Some(remedy) }
}

/// The host of the last URL that the message names: with mirrors it is not the one of the reference.
fn asked_host(message: &str) -> Option<String> {
    let (_, rest) = message.rsplit_once("http://").or_else(|| message.rsplit_once("https://"))?;
    let rest =
        message.rsplit_once("https://").map_or(rest, |(_, https)| if https.len() < rest.len() { https } else { rest });
    let host = rest.split(['/', '"', '?', ' ']).next().unwrap_or_default().trim_end_matches(':');
    Some(host.to_owned()).filter(|host| !host.is_empty())
}

/// The registry of a reference: what is before the first slash, if it can be a host's name (the distribution project's
/// `splitDockerDomain`).
fn registry(reference: &str) -> String {
    let first = reference.split_once('/').map(|(first, _)| first);
    first.filter(|first| first.contains(['.', ':']) || *first == "localhost").unwrap_or("docker.io").to_owned()
}

/// The kubelet's wrapping off: `Back-off pulling image "x": ErrImagePull: …`, `rpc error: code = … desc = …`.
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
    fn what_runtimes_say_of_a_pull_is_reported_in_a_few_words() {
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
                "it does not exist for this node's architecture",
            ),
            (
                r#"failed to do request: Head "https://mirror.test:5000/v2/acme/app/manifests/7?ns=ghcr.io": dial tcp 10.0.0.2:5000: connect: connection refused"#,
                "mirror.test:5000 cannot be reached",
            ),
            (
                r#"failed to do request: Head "http://mirror.test/v2/": lookup mirror.test: no such host"#,
                "mirror.test cannot be looked up",
            ),
            (
                "initializing source docker://ghcr.io/acme/app:7: reading manifest 7 in ghcr.io/acme/app: manifest unknown",
                "no such image or tag from ghcr.io",
            ),
            ("toomanyrequests: You have reached your pull rate limit", "429, too many requests, from ghcr.io"),
            ("write /var/lib/containerd/x: no space left on device", "the node's disk is full"),
            ("something new.", "something new"),
        ] {
            assert_eq!(pulling(message), expected, "{message}");
        }
    }

    #[test]
    fn a_reference_without_a_host_is_of_docker_hub() {
        let cause = |reference| explain(NodeState::Failed, "ErrImagePull", "pull access denied", reference).what;
        assert_eq!(cause("acme/app:7"), "pull access denied from docker.io");
        assert_eq!(cause("nginx"), "pull access denied from docker.io");
        assert_eq!(cause("localhost:5000/app"), "pull access denied from localhost:5000");
    }

    #[test]
    fn whatever_keeps_an_image_from_a_node_has_a_remedy_but_for_what_nobody_knows() {
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
            (NodeState::Displaced, "Missing", "the DaemonSet has no pod there"),
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
