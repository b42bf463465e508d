//! Failed system calls and their messages.

use core::ffi::CStr;

use crate::decimal;

/// Why a system call failed, as a number: errno(3). These are the same on x86_64 and aarch64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub u16);

impl Errno {
    /// No such file or folder.
    pub const ENOENT: Self = Self(2);
    /// Interrupted by a signal or a stop.
    pub const EINTR: Self = Self(4);
    /// Try again; from rt_sigtimedwait(2): the time limit is over.
    pub const EAGAIN: Self = Self(11);
    /// No permission.
    pub const EACCES: Self = Self(13);
    /// A folder instead of a file.
    pub const EISDIR: Self = Self(21);
    /// No space left.
    pub const ENOSPC: Self = Self(28);
    /// A read-only file system.
    pub const EROFS: Self = Self(30);
    /// A path or name that is too long.
    pub const ENAMETOOLONG: Self = Self(36);

    /// What went wrong and how to fix it, for errors that a pod's volumes can cause.
    fn words(self) -> Option<&'static str> {
        Some(match self {
            Self::ENOENT => "no such file or folder; mount a volume at its folder",
            Self::EACCES => "permission denied; let this container's user write there",
            Self::EISDIR => "a folder is in its place; give the path of a file",
            Self::ENOSPC => "no space left; give the volume or the node more",
            Self::EROFS => "read-only file system; mount a writable volume at its folder",
            Self::ENAMETOOLONG => "the path is too long",
            _ => return None,
        })
    }
}

/// Something that the program could not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure<'a> {
    /// The verb: "install", "read", …
    pub action: &'static str,
    /// The object, which is usually a path.
    pub object: &'a CStr,
    /// Why it failed.
    pub errno: Errno,
}

impl Failure<'_> {
    /// Passes a description to `say`, piece by piece.
    pub fn describe(&self, mut say: impl FnMut(&[u8])) {
        say(b"cannot ");
        say(self.action.as_bytes());
        say(b" ");
        say(self.object.to_bytes());
        say(b": ");
        match self.errno.words() {
            Some(words) => say(words.as_bytes()),
            None => {
                say(b"error ");
                decimal::describe(self.errno.0, &mut say);
                say(b" of errno(3)");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::{string::String, vec::Vec};

    use super::*;

    fn message(errno: Errno) -> String {
        let mut words = Vec::new();
        Failure { action: "install", object: c"/kube-prepull/holder", errno }
            .describe(|piece| words.extend_from_slice(piece));
        String::from_utf8(words).expect("text")
    }

    #[test]
    fn a_usual_error_is_put_in_words_with_its_remedy() {
        assert_eq!(
            message(Errno::EROFS),
            "cannot install /kube-prepull/holder: read-only file system; mount a writable volume at its folder"
        );
    }

    #[test]
    fn any_other_error_is_named_by_its_number() {
        assert_eq!(message(Errno(122)), "cannot install /kube-prepull/holder: error 122 of errno(3)");
    }
}
