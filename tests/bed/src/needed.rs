//! What tests need of a bed that does not run.

use std::io::Write;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::state::Kind;

/// What a failed test exits with, too.
const FAILED: i32 = 101;

/// Ends all tests of this program with one line that says what to run: each of them would fail for the same cause.
pub(crate) fn end_without(kind: Kind) -> ! {
    let how = match kind {
        Kind::Simulated => "cargo build --bin bed && target/debug/bed run --simulated -- cargo test NAME",
        Kind::Real => "cargo build --bin bed && target/debug/bed run --real --count 2 -- cargo test NAME",
    };
    // Other tests run beside this one, and one line is enough.
    static SAID: AtomicBool = AtomicBool::new(false);
    while SAID.swap(true, Ordering::SeqCst) {
        thread::park();
    }
    // Not eprintln, whose output a test keeps to itself until it has failed.
    let line = format!("\nno {kind} of this checkout runs: use `make test`, or `{how}` for the tests of that name\n");
    drop(std::io::stderr().write_all(line.as_bytes()));
    process::exit(FAILED)
}
