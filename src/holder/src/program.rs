//! Carries out the command that the arguments name.

use core::ffi::CStr;

use holder::{
    arguments::{self, HolderCommand, Misuse, USAGE},
    failure::Failure,
    start_delay::StartDelay,
};

use crate::{install, signals::Signals, system};

const GOOD: u8 = 0;
const FAILED: u8 = 1;
const MISUSED: u8 = 2;
/// Added to the number of the signal that ended the program, as shells do.
const SIGNALLED: u8 = 128;

/// Runs the program with the arguments that follow its own name. Returns the exit code.
pub fn run<'a>(arguments: impl Iterator<Item = &'a CStr>) -> u8 {
    match arguments::parse(arguments) {
        Ok(command) => carry_out(command).unwrap_or_else(|failure| failed(&failure)),
        Err(misuse) => misused(&misuse),
    }
}

fn carry_out(command: HolderCommand<'_>) -> Result<u8, Failure<'_>> {
    let signals = Signals::block()?;
    match command {
        HolderCommand::Install { destination, start_delay } => {
            install::install(destination)?;
            wait_for(&start_delay, &signals)
        }
        HolderCommand::Hold => {
            signals.wait()?;
            Ok(GOOD)
        }
    }
}

fn wait_for(start_delay: &StartDelay<'_>, signals: &Signals) -> Result<u8, Failure<'static>> {
    let wait = start_delay.wait(system::seconds_since_1970());
    Ok(match signals.wait_at_most(wait)? {
        Some(signal) => SIGNALLED + signal,
        None => GOOD,
    })
}

fn failed(failure: &Failure<'_>) -> u8 {
    system::write_error(b"holder: ");
    failure.describe(system::write_error);
    system::write_error(b"\n");
    FAILED
}

fn misused(misuse: &Misuse<'_>) -> u8 {
    system::write_error(b"holder: ");
    misuse.describe(system::write_error);
    system::write_error(b"\n");
    system::write_error(USAGE.as_bytes());
    MISUSED
}
