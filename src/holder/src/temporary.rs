//! The file that is written before it is renamed to what it is for.

use core::ffi::CStr;

/// The longest path that Linux takes, with the NUL at its end: `PATH_MAX` of `linux/limits.h`.
pub const PATH_MAX: usize = 4096;

const SUFFIX: &[u8] = b".new";

/// The path beside `destination` at which its next content is written, put into `buffer`.
///
/// In the same folder, because rename(2) goes no further than a file system; always of the same name, so that what a
/// killed program left is found and removed by the next. None if the path would be longer than [`PATH_MAX`].
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
