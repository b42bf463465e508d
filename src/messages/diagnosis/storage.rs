//! What goes wrong on the node itself: its disk, its memory, and the runtime's storage. It is never the registry's fault.

use super::cause::Diagnosis;
use super::said::{Said, between, says, says_any};

/// Repairs the storage of a runtime.
pub const REPAIR: &str =
    "wait, since kubelets retry; if it lasts, repair the storage of the node's runtime, or replace the node";

/// Errors of the node's kernel, by their texts in Go and C, with what they mean and the remedy.
type Fault = (&'static [&'static str], &'static str, &'static str);

const FAULTS: [Fault; 10] = [
    (
        &["enough space on thin pool", "out of data space", "out of metadata space", "no free data blocks"],
        "the thin pool of the node's runtime (devmapper) is full",
        "enlarge the pool, or shorten the list",
    ),
    (
        &["no space left on device"],
        "the node's disk for images is full",
        "give the nodes more disk, or shorten the list",
    ),
    (&["disk quota exceeded"], "a disk quota on the node is used up", "raise the quota, or shorten the list"),
    (
        &["read-only file system"],
        "the file system of the node's runtime is read-only",
        "check the node's disk: kernels stop writing to a file system with errors",
    ),
    (
        &["input/output error"],
        "the node cannot read or write its disk (input/output error)",
        "check the node's disk; if a snapshotter reads layers over the network, check that too",
    ),
    (
        &["structure needs cleaning"],
        "the file system of the node's runtime is damaged",
        "check and repair the node's file system, or replace the node",
    ),
    (
        &["too many open files"],
        "the node's runtime has no file handles left (too many open files)",
        "raise the limit of open files of the node's runtime, or restart it",
    ),
    (
        &[
            "dmsetup",
            "device-mapper",
            "failed to create snapshot device",
            "failed to activate device",
            "dm_task_run failed",
        ],
        "the devmapper storage of the node's runtime failed",
        "check the thin pool of the node's runtime",
    ),
    (&["cannot allocate memory"], "the node's kernel has no memory for it", "free memory on the node"),
    (
        &["resource temporarily unavailable"],
        "the node can start no more processes or threads",
        "raise the limits of tasks of the node's runtime, or end other processes there",
    ),
];

/// Explains an error of the node's kernel.
pub fn fault(said: &Said) -> Option<Diagnosis> {
    if let Some(full) = memory(said) {
        return Some(full);
    }
    let (_, what, remedy) = FAULTS.iter().find(|(texts, ..)| says_any(&said.lower, texts))?;
    Diagnosis::new(*what, remedy)
}

/// What is below /run is no disk.
fn memory(said: &Said) -> Option<Diagnosis> {
    let (before, _) = said.lower.rsplit_once(": no space left on device")?;
    let path = before.rsplit(' ').next().unwrap_or_default();
    if !["/run/", "/var/run/"].iter().any(|folder| path.starts_with(folder)) {
        return None;
    }
    Diagnosis::new(
        "the node's /run, which is in memory (tmpfs), is full",
        "free space in /run on the node, or enlarge it",
    )
}

/// Programs that serve a runtime's snapshots, each by a socket of its own.
const SNAPSHOTTERS: [&str; 5] = ["nydus", "stargz", "soci", "overlaybd", "fuse-overlayfs"];

/// Explains that a daemon on the node does not answer: the runtime itself, or a snapshotter.
pub fn daemon(said: &Said) -> Option<Diagnosis> {
    const UNREACHED: [&str; 7] = [
        "dial unix",
        "shared daemon",
        "error while dialing",
        "transport is closing",
        "error reading from server",
        "cannot connect to the docker daemon",
        "client connection is closing",
    ];
    if !says_any(&said.lower, &UNREACHED) {
        return None;
    }
    match SNAPSHOTTERS.iter().find(|name| said.lower.contains(*name)) {
        Some(name) => Diagnosis::new(
            format!("the snapshotter's daemon ({name}) is not running on the node, or does not answer"),
            "check the snapshotter's service on the node",
        ),
        None => Diagnosis::new(
            "the node's container runtime is not running, or does not answer",
            "check the runtime's service on the node",
        ),
    }
}

/// Where containerd, CRI-O and Docker keep content and layers. What else may be missing has other causes.
const OWN_FILES: [&str; 4] =
    ["io.containerd.content.", "io.containerd.snapshotter.", "/containers/storage", "/overlay2/"];

/// Explains that the storage of the runtime is not as the runtime left it. `text` is what was said about an operation on it.
pub fn damage(said: &Said, text: &str) -> Option<Diagnosis> {
    // A layer whose link leads nowhere is damaged itself.
    if says(text, "failed to extract layer") && says_any(text, &["link", "symlink"]) {
        return None;
    }
    let renames = says(text, "rename") && says_any(text, &["file exists", "directory not empty"]);
    let lacks = says_any(text, &["not found", "does not exist", "no such file or directory", "file does not exist"]);
    let own_file = OWN_FILES.iter().any(|part| text.contains(part));
    let what = match () {
        () if lacks && says(text, "parent snapshot") => "it lacks a layer on which another one builds",
        () if lacks
            && says_any(&said.lower, &["content digest", "blob not found", "content store", "expected at /"]) =>
        {
            "it lacks a part of the image that it had before"
        }
        () if says_any(
            text,
            &["does not resolve to an image id", "image not known", "locating image", "locating item named"],
        ) =>
        {
            "it lost the image, or never finished storing it"
        }
        () if lacks && (own_file || says_any(text, &["layer not known", "snapshots", "snapshot", "stat parent"])) => {
            "its records and its files of layers disagree"
        }
        () if renames || says_any(text, &["no bucket", "already exists"]) => {
            "its records and its files of layers disagree"
        }
        () => return None,
    };
    Diagnosis::new(format!("the storage of the node's runtime is damaged: {what}"), REPAIR)
}

/// Explains that another pull on the node has a part of the image.
pub fn lock(said: &Said) -> Option<Diagnosis> {
    if !says_any(&said.words, &["locked for", "locked: unavailable"]) {
        return None;
    }
    Diagnosis::new("another download of the same layer is still going on, or hangs, on the node", RETRY_RUNTIME)
}

/// Explains what was received and does not match its size or its digest.
pub fn mismatch(said: &Said) -> Option<Diagnosis> {
    /// The SHA-256 of no bytes at all.
    const EMPTY: &str =
        "unexpected commit digest sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    /// What containerd, Docker and CRI-O say when they compare.
    const CLAIMS: [&str; 4] = [
        "failed size validation",
        "unexpected commit digest",
        "filesystem layer verification failed",
        "digest did not match",
    ];
    let text = said.lower.as_str();
    if !says_any(text, &CLAIMS) {
        return None;
    }
    if says(text, EMPTY) {
        return Diagnosis::new(
            "what the node's runtime stored of a layer is empty, as after an interrupted download",
            "wait, since kubelets retry; if it lasts, clear the runtime's folder of unfinished downloads on the node \
             (containerd: io.containerd.content.v1.content/ingest)",
        );
    }
    if let Some(sizes) = between(text, "failed size validation: ", &[';']) {
        let mut sizes = sizes.split([' ', ':']).filter_map(|size| size.parse::<u64>().ok());
        let (received, expected) = (sizes.next(), sizes.next());
        // What is no layer is small and was received as a whole: the index or the manifest names a wrong size.
        if !text.contains("\"layer-") {
            return Diagnosis::new(
                "the published image is inconsistent: it states a wrong size for one of its manifests",
                "push the image again",
            );
        }
        if received < expected {
            return Diagnosis::new("the download of a layer stopped short", NETWORK);
        }
    }
    Diagnosis::new("what the node received of the image does not match its size or digest", NETWORK)
}

const NETWORK: &str = "wait, since kubelets retry; if it lasts, check the network, proxies and mirrors between the nodes and the registry";
/// Restarts a runtime that is stuck.
pub const RETRY_RUNTIME: &str =
    "wait, since kubelets retry; if it lasts, check the node's disk, and restart its runtime";
