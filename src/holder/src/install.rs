//! Copying the running program to where the other containers find it.

use core::ffi::CStr;

use holder::{
    failure::{Errno, Failure},
    temporary::{self, PATH_MAX},
};

use crate::system::{self, File};

/// What runs right now, whatever path it was started by: proc(5).
const OWN_PROGRAM: &CStr = c"/proc/self/exe";

/// For everyone to read and run: nothing says that the other containers run as the user of this one.
const MODE: u32 = 0o755;

/// Puts a copy of the running program at `destination`, in place of what may be there. A failure leaves that as it was.
pub fn install(destination: &CStr) -> Result<(), Failure<'_>> {
    let failure = |errno| Failure { action: "install", object: destination, errno };

    let program = File::open(OWN_PROGRAM).map_err(|errno| Failure { action: "read", object: OWN_PROGRAM, errno })?;
    let mut buffer = [0; PATH_MAX];
    let temporary = temporary::path(destination, &mut buffer).ok_or_else(|| failure(Errno::ENAMETOOLONG))?;

    // Of an installer that was killed while it wrote. Mostly there is none, and if it cannot go, creating says why.
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
    // A program that is open for writing cannot be run, and some file systems say only now that there was no space.
    file.close()
}
