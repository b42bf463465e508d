//! What a runtime was doing when a pull failed. The same words mean something else in each operation: `not found` is a missing tag
//! while a reference is resolved, and a damaged store while a layer is unpacked.

use super::registry;
use super::said::{Said, place};

/// What a runtime was doing, in the order of a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// It asked for a token, with credentials or without.
    Authorize,
    /// It asked for the image by its tag or digest.
    Resolve,
    /// It read the manifests, the configuration and the layers of the image.
    Fetch,
    /// It compared what it had read with its size and digest.
    Commit,
    /// It checked signatures.
    Verify,
    /// It unpacked layers into its storage on the node.
    Unpack,
}
use Operation::{Authorize, Commit, Fetch, Resolve, Unpack, Verify};

/// How containerd (`core/remotes/docker`, `core/unpack`, `core/content`, before version 2 without `core`), CRI-O
/// (`github.com/containers/image`) and Docker (`github.com/moby/moby/distribution`) begin what they say about an operation.
const BEGINNINGS: [(Operation, &[&str]); 6] = [
    (
        Authorize,
        &[
            "failed to authorize",
            "failed to fetch oauth token",
            "failed to fetch anonymous token",
            "requesting bearer token",
            "requesting bear token",
            "unable to retrieve auth token",
            "getting credentials",
        ],
    ),
    (
        Resolve,
        &[
            "failed to resolve reference",
            "failed to resolve image",
            "initializing source",
            "pinging container registry",
            "error pinging docker registry",
            "reading manifest",
            "manifest for",
            "pulling from host",
            "pull access denied for",
        ],
    ),
    (
        Fetch,
        &[
            "failed to copy",
            "httpreadseeker",
            "httpreaderseeker",
            "failed to fetch",
            "could not fetch content descriptor",
            "failed to read expected number of bytes",
            "from manifest list",
            "writing blob",
            "reading blob",
            "fetching blob",
            "copying blob",
            "happened during read",
            "parsing image configuration",
            "error pulling image configuration",
            "download failed after attempts",
        ],
    ),
    (
        Commit,
        &[
            "failed commit on ref",
            "failed size validation",
            "unexpected commit digest",
            "filesystem layer verification failed",
            "digest did not match",
        ],
    ),
    (Verify, &["source image rejected", "signature verification failed"]),
    (
        Unpack,
        &[
            "failed to unpack image",
            "failed to extract layer",
            "failed to prepare extraction snapshot",
            "failed to apply layer",
            "apply layer error",
            "failed to register layer",
            "adding layer with blob",
            "applying layer",
            "creating layer",
            "storing layer",
            "committing the finished image",
            "unpacking failed",
            "error processing tar file",
            "mount callback failed",
            "failed to stat parent",
            "failed to commit snapshot",
            "failed to get stream processor",
            "failed to get reader from content store",
            "expected at /",
            "wrong diff id calculated",
        ],
    ),
];

/// The innermost operation of a message, with the words that follow its beginning.
pub fn of(said: &Said) -> Option<(Operation, &str)> {
    let begins = |(operation, beginnings): &(Operation, &'static [&str])| {
        let places = beginnings.iter().filter_map(|words| Some(place(&said.words, words)? + words.len()));
        places.max().map(|end| (end, *operation))
    };
    match BEGINNINGS.iter().filter_map(begins).max() {
        Some((end, operation)) => Some((operation, &said.words[end..])),
        None => Some((by_url(registry::url(&said.text)?)?, &said.words)),
    }
}

/// Docker says only what it asked for.
fn by_url(url: &str) -> Option<Operation> {
    match () {
        () if url.contains("/token") || url.contains("/oauth2") => Some(Authorize),
        () if url.contains("/blobs/") => Some(Fetch),
        () if url.contains("/v2/") || url.contains("/v1/") => Some(Resolve),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::said::attempts;
    use super::*;

    #[test]
    fn the_innermost_operation_counts() {
        for (message, operation) in [
            (
                r#"failed to pull and unpack image "a": failed to resolve reference "a": failed to authorize: no"#,
                Some(Authorize),
            ),
            (r#"failed to pull and unpack image "a": failed to resolve reference "a": no"#, Some(Resolve)),
            ("failed to copy: httpReadSeeker: failed open: no", Some(Fetch)),
            (r#"failed commit on ref "layer-sha256:1": no"#, Some(Commit)),
            ("copying system image from manifest list: Source image rejected: no", Some(Verify)),
            ("writing blob: adding layer with blob \"sha256:1\": no", Some(Unpack)),
            (r#"failed to resolve reference "h/failed to extract layer": no"#, Some(Resolve)),
            ("Get https://a.test/v2/: EOF", Some(Resolve)),
            ("Get https://a.test/token?x: EOF", Some(Authorize)),
            ("something new", None),
        ] {
            assert_eq!(of(&attempts(message)[0]).map(|(operation, _)| operation), operation, "{message}");
        }
    }
}
