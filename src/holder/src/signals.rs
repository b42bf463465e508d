//! Waits for the signals that end a container.

use holder::failure::{Errno, Failure};

use crate::system::{self, SECOND};

/// The numbers of SIGINT and SIGTERM: signal(7).
const ENDING: [u8; 2] = [2, 15];

/// The signals that end the program, blocked from the moment this value exists.
///
/// They are waited for instead of handled. For process 1 of a container, the kernel drops a signal that has no handler, but it
/// never drops a blocked one (pid_namespaces(7), signal(7)). So a signal that comes early stays pending until the wait.
pub struct Signals(u64);

impl Signals {
    /// Blocks the signals.
    pub fn block() -> Result<Self, Failure<'static>> {
        let set = ENDING.iter().fold(0, |set, signal| set | 1 << (signal - 1));
        match system::block_signals(set) {
            Ok(()) => Ok(Self(set)),
            Err(errno) => Err(Failure { action: "block", object: c"signals", errno }),
        }
    }

    /// Waits for one of the signals without a time limit, and so without a timer that would wake the program.
    pub fn wait(&self) -> Result<u8, Failure<'static>> {
        loop {
            match system::wait_for_signal(self.0, None) {
                Err(Errno::EINTR) => {}
                done => return done.map_err(cannot_wait),
            }
        }
    }

    /// Waits for one of the signals, for at most this many seconds by the monotonic clock. `None` if none came.
    pub fn wait_at_most(&self, seconds: u64) -> Result<Option<u8>, Failure<'static>> {
        let end = system::monotonic().saturating_add(seconds.saturating_mul(SECOND));
        loop {
            let left = end.saturating_sub(system::monotonic());
            match system::wait_for_signal(self.0, Some(left)) {
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                done => return done.map(Some).map_err(cannot_wait),
            }
        }
    }
}

fn cannot_wait(errno: Errno) -> Failure<'static> {
    Failure { action: "wait for", object: c"signals", errno }
}
