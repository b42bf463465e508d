//! Copies the running program to where the other containers find it.

use core::ffi::CStr;

use holder::{
    failure::{Errno, Failure},
    temporary::{self, PATH_MAX},
};

use crate::system::{self, File};

/// The running program, whatever its path is: proc(5).
const OWN_PROGRAM: &CStr = c"/proc/self/exe";

/// Everyone may read and run it, since the other containers may run as other users.
const MODE: u32 = 0o755;

/// Copies the running program to `destination`, and replaces a file there. A failure leaves that file as it was.
pub fn install(destination: &CStr) -> Result<(), Failure<'_>> {
    let failure = |errno| Failure { action: "install", object: destination, errno };

    let program = File::open(OWN_PROGRAM).map_err(|errno| Failure { action: "read", object: OWN_PROGRAM, errno })?;
    let mut buffer = [0; PATH_MAX];
    let temporary = temporary::path(destination, &mut buffer).ok_or_else(|| failure(Errno::ENAMETOOLONG))?;

    // An earlier installer may have been killed while it wrote. If the file cannot be removed, creating it fails and says why.
    let _ = system::remove(temporary);
    let copied = copy(&program, temporary).and_then(|()| system::rename(temporary, destination));
    copied.map_err(|errno| {
        let _ = system::remove(temporary);
        failure(errno)
    })
}

fn copy(program: &File, path: &CStr) -> Result<(), Errno> {
    let file = File::create(path)?;
    while file.append_from(program)? > 0 {}
    file.set_mode(MODE)?;
    // A program that is open for writing cannot be run. And some file systems report only now that there was no space.
    file.close()
}
