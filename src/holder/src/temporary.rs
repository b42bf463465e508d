//! The temporary file that becomes the installed one by renaming.

use core::ffi::CStr;

/// The longest path that Linux accepts, including the NUL at its end: `PATH_MAX` of `linux/limits.h`.
pub const PATH_MAX: usize = 4096;

const SUFFIX: &[u8] = b".new";

/// The path of the temporary file for `destination`, stored in `buffer`. `None` if it would be longer than [`PATH_MAX`].
///
/// It is in the same folder, because rename(2) cannot cross file systems. Its name is always the same, so that the next installer
/// removes the file of one that was killed.
pub fn path<'a>(destination: &CStr, buffer: &'a mut [u8; PATH_MAX]) -> Option<&'a CStr> {
    let length = destination.count_bytes() + SUFFIX.len();
    let (path, rest) = buffer.split_at_mut_checked(length)?;
    *rest.first_mut()? = 0;
    for (to, from) in path.iter_mut().zip(destination.to_bytes().iter().chain(SUFFIX)) {
        *to = *from;
    }
    CStr::from_bytes_until_nul(buffer).ok()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::{ffi::CString, vec};

    use super::*;

    #[test]
    fn the_temporary_file_lies_beside_its_destination() {
        let mut buffer = [b'x'; PATH_MAX];
        assert_eq!(path(c"/kube-prepull/holder", &mut buffer), Some(c"/kube-prepull/holder.new"));
    }

    #[test]
    fn a_path_that_linux_would_not_take_is_refused() {
        let longest = PATH_MAX - 1 - SUFFIX.len();
        for (length, fits) in [(longest, true), (longest + 1, false), (2 * PATH_MAX, false)] {
            let destination = CString::new(vec![b'a'; length]).expect("no NUL inside");
            assert_eq!(path(&destination, &mut [0; PATH_MAX]).is_some(), fits, "{length} bytes");
        }
    }
}
