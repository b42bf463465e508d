//! Where the holder is mounted in containers.
//!
//! Containerd copies what an image has below each of its `VOLUME`s into a folder of the node, which runc then mounts over the
//! container's file system, following links of the image on the way (`github.com/containerd/containerd/v2/internal/cri/opts`,
//! `WithVolumes`; `github.com/opencontainers/runc/libcontainer`, `rootfs_linux.go`). Such a mount comes after those of the pod with
//! as many parts in their path (`orderedMounts`), so `VOLUME /vol`, where `/vol` is a link to the holder's folder, covers the holder
//! with the image's own files. So no author of an image may know the folder's name before the image is pulled.

use std::fmt;

use sha2::{Digest, Sha256};

/// The folder in templates of earlier formats.
const FORMER: &str = "/kube-prepull";
/// The beginning of all others.
const PREFIX: &str = "/kube-prepull-";
/// The length of the rest: 128 bits in hexadecimal digits.
const DIGITS: usize = 32;

/// What the names of folders are computed from. The default is known to everybody.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl Seed {
    /// A seed of these bytes. Nobody can guess the names if nobody can guess the bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The seed for another namespace. Who sees the folders there cannot guess those of others.
    #[must_use]
    pub fn within(&self, namespace: &str) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(namespace).finalize().into())
    }

    /// A seed from a text. Nobody can guess the names if nobody can guess the text.
    pub fn of_text(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }
}

impl fmt::Debug for Seed {
    /// It must not get into a log.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("Seed(…)")
    }
}

/// The folder that the holder is mounted at, as an absolute path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderFolder(String);

impl Default for HolderFolder {
    /// The folder in templates of earlier formats.
    fn default() -> Self {
        Self(FORMER.to_owned())
    }
}

impl HolderFolder {
    /// The folder for a DaemonSet, which `purpose` identifies. Without the seed, it cannot be guessed.
    pub fn new(seed: &Seed, purpose: &str) -> Self {
        let digest = Sha256::new().chain_update(seed.0).chain_update(purpose).finalize();
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).take(DIGITS / 2).collect();
        Self(format!("{PREFIX}{digits}"))
    }

    /// Reads a path. Returns `None` if it is none of such a folder.
    pub fn from_path(path: &str) -> Option<Self> {
        let digits = path.strip_prefix(PREFIX)?;
        let is_digit = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
        (digits.len() == DIGITS && digits.bytes().all(is_digit)).then(|| Self(path.to_owned()))
    }

    /// The path of the folder.
    pub fn path(&self) -> &str {
        &self.0
    }

    /// The path of the holder in it.
    pub fn holder(&self) -> String {
        format!("{}/holder", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_depends_on_seed_and_purpose_and_on_nothing_else() {
        let folder = |seed: u8, purpose: &str| HolderFolder::new(&Seed::new([seed; 32]), purpose);
        assert_eq!(folder(1, "a"), folder(1, "a"));
        assert_ne!(folder(1, "a"), folder(2, "a"));
        assert_ne!(folder(1, "a"), folder(1, "b"));
        assert_ne!(folder(0, "a"), HolderFolder::default());
    }

    #[test]
    fn a_path_is_read_only_if_it_is_of_such_a_folder() {
        let folder = HolderFolder::new(&Seed::default(), "a");
        assert_eq!(HolderFolder::from_path(folder.path()), Some(folder.clone()));
        assert_eq!(folder.holder(), format!("{}/holder", folder.path()));
        let digits = &folder.path()[PREFIX.len()..];
        for path in [
            "",
            "/",
            FORMER,
            PREFIX,
            digits,
            &format!("{PREFIX}{digits}0"),
            &format!("{PREFIX}{}", &digits[1..]),
            &format!("{PREFIX}{}", "X".repeat(DIGITS)),
            &format!("{PREFIX}../{}", &digits[3..]),
        ] {
            assert_eq!(HolderFolder::from_path(path), None, "{path}");
        }
    }

    #[test]
    fn a_seed_is_not_printed() {
        assert_eq!(format!("{:?}", Seed::new([7; 32])), "Seed(…)");
    }
}
