//! Why an image cannot be pulled: by operation, then by cause.

use super::cause::Diagnosis;
use super::operation::{self, Operation};
use super::registry::Asked;
use super::said::{Said, between, says, says_any};
use super::{answer, image, network, storage};
use crate::coverage::{Interruption, interruption};

/// Explains one attempt, with the operation that it got to.
pub fn explain(reason: &str, said: &Said, reference: &str) -> (Option<Operation>, Option<Diagnosis>) {
    let during = operation::of(said);
    let operation = during.map(|(operation, _)| operation);
    let before = || image::reference(reason, said).or_else(|| image::signature(reason, said));
    let diagnosis = interrupted(said)
        .or_else(before)
        .or_else(|| image::text(said))
        .or_else(|| storage::daemon(said).or_else(|| storage::lock(said)).or_else(|| program(said)))
        .or_else(|| match during {
            _ if reason == "ImageInspectError" => inspecting(said),
            Some((Operation::Unpack, rest)) => unpacking(said, rest),
            Some((Operation::Commit, rest)) => committing(said, rest),
            Some((operation, rest)) => asking(Some(operation), rest, said, &Asked::of(said, reference)),
            None => asking(None, &said.words, said, &Asked::of(said, reference)),
        });
    (operation, diagnosis)
}

/// The image is not to blame.
fn interrupted(said: &Said) -> Option<Diagnosis> {
    match interruption(&said.text)? {
        Interruption::KubeletLimit => Diagnosis::new(
            "the node's kubelet limits its own pulls (registryPullQPS) and tries again",
            "nothing is wrong with the image; if it lasts, raise registryPullQPS and registryBurst of the node's kubelet",
        ),
        Interruption::Cancelled => Diagnosis::new(
            "the node's kubelet or runtime cancelled the pull, as after minutes without progress, and tries again",
            "if it lasts, check the node's disk, and raise the limit for pulls without progress (containerd: \
             image_pull_progress_timeout)",
        ),
    }
}

/// The runtime asks a registry, a mirror or a token server, and stores what it gets.
fn asking(operation: Option<Operation>, rest: &str, said: &Said, asked: &Asked) -> Option<Diagnosis> {
    if says(&said.words, "no resolve hosts") {
        return Diagnosis::new(
            "the node's runtime has no host configured that it could ask for this registry",
            "check the registries and mirrors configured in the node's runtime",
        );
    }
    // What timed out or ended is unknown, unless the message says what was asked.
    let vague = operation.is_none() && !says_any(&said.words, &["dial tcp", "lookup", "x509:", "tls:"]);
    let content = || image::content(said).filter(|_| operation != Some(Operation::Authorize));
    let connection = || network::fault(operation.unwrap_or(Operation::Resolve), said, asked).filter(|_| !vague);
    // An answer proves a connection, and a page of a registry's answer may quote anything.
    network::proxy(said, asked)
        .or_else(content)
        .or_else(|| answer::given(operation, rest, said, asked))
        .or_else(|| image::page(said))
        .or_else(connection)
        .or_else(|| storage::fault(said))
}

/// The kubelet asks the runtime which images the node has.
fn inspecting(said: &Said) -> Option<Diagnosis> {
    let late = || {
        let is = says(&said.words, "deadline exceeded");
        let what = "the node's runtime did not answer the kubelet in time: the node is slow or stuck";
        if is { Diagnosis::new(what, storage::RETRY_RUNTIME) } else { None }
    };
    late().or_else(|| storage::fault(said)).or_else(|| storage::damage(said, &said.words))
}

/// The runtime unpacks what is on the node.
fn unpacking(said: &Said, rest: &str) -> Option<Diagnosis> {
    let specific = || image::content(said).or_else(|| owner(said)).or_else(|| storage::fault(said));
    specific()
        .or_else(|| mount(said))
        .or_else(|| refused(rest))
        .or_else(|| bytes(&said.lower))
        .or_else(|| storage::damage(said, rest))
}

/// The runtime compares what it received, and moves it into its storage.
fn committing(said: &Said, rest: &str) -> Option<Diagnosis> {
    storage::fault(said).or_else(|| storage::mismatch(said)).or_else(|| storage::damage(said, rest))
}

/// What runtimes run besides: to decompress, to mount, to get credentials.
fn program(said: &Said) -> Option<Diagnosis> {
    if !says(&said.lower, "executable file not found") {
        return None;
    }
    let name = between(&said.lower, "exec: \"", &['"']).map_or_else(String::new, |name| format!(" ({name})"));
    Diagnosis::new(
        format!("a program that the node's runtime needs for this pull is not installed on the node{name}"),
        "install it on the node, or change what the node's runtime is configured to use",
    )
}

/// A layer's file belongs to a user whom the node's user namespace does not have.
pub fn owner(said: &Said) -> Option<Diagnosis> {
    let text = said.lower.as_str();
    let mapped = says_any(text, &["cannot be mapped to a host id", "subordinate ids", "insufficient uids or gids"]);
    let is = mapped || says(text, "lchown") && says(text, "invalid argument");
    let what = "a file of the image has an owner outside the range of the user namespace on the node (as with hostUsers: false)";
    if is {
        Diagnosis::new(what, "give the image's files owners below 65536, or enlarge the range on the node")
    } else {
        None
    }
}

fn mount(said: &Said) -> Option<Diagnosis> {
    const WHAT: &str = "the node's kernel or file system refuses to mount a layer while it is unpacked";
    let is = says_any(&said.words, &["failed to mount", "creating overlay mount"]);
    if is && !says(&said.words, "no such file or directory") {
        Diagnosis::new(WHAT, "check the node's kernel, and the file system below its runtime's storage")
    } else {
        None
    }
}

fn refused(rest: &str) -> Option<Diagnosis> {
    if !says_any(rest, &["permission denied", "operation not permitted", "operation not supported", "not supported"]) {
        return None;
    }
    Diagnosis::new(
        "the node's runtime may not create a file that a layer of the image holds",
        "check security modules and user namespaces on the node, and the file system below its runtime's storage",
    )
}

fn bytes(text: &str) -> Option<Diagnosis> {
    const BROKEN: [&str; 11] = [
        "crc32 mismatch",
        "corrupted",
        "corrupt input",
        "invalid checksum",
        "checksum error",
        "checksum mismatch",
        "unexpected eof",
        "unexpected end of file",
        "invalid header",
        "invalid magic",
        "wrong diff id calculated",
    ];
    if !says_any(text, &BROKEN) {
        return None;
    }
    Diagnosis::new(
        "a layer cannot be unpacked: its bytes on the node end early or do not match their checksum",
        "wait, since kubelets retry; if it lasts on one node only, check its disk and memory; if on all, push the image again",
    )
}
