//! The program's arguments.

use core::ffi::CStr;

use crate::{decimal, start_delay::StartDelay};

/// The version of the arguments that this build understands, the second argument of every command.
pub const VERSION: &str = "v1";

/// Printed after an error in the arguments.
pub const USAGE: &str = "\
usage: holder install v1 DESTINATION EPOCH SPREAD [NODE_NAME]
       holder hold v1
";

/// The command that the arguments name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderCommand<'a> {
    /// `install`: copy the holder, then wait for the node's start delay.
    Install {
        /// The path of the copy.
        destination: &'a CStr,
        /// How long to wait after that.
        start_delay: StartDelay<'a>,
    },
    /// `hold`: run until a signal comes.
    Hold,
}

/// The first wrong argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misuse<'a> {
    /// The name of the argument, as in [`USAGE`] if it has one there.
    pub name: &'static str,
    /// Its value, empty if it is missing.
    pub argument: &'a CStr,
    /// What is wrong with it.
    pub problem: ArgumentProblem,
}

/// What is wrong with an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentProblem {
    /// It is not a known word.
    Unknown,
    /// It must not be empty.
    Empty,
    /// It is not a number of seconds.
    NotSeconds,
    /// The command takes no further argument.
    Surplus,
}

impl Misuse<'_> {
    /// Passes a description to `say`, piece by piece.
    pub fn describe(&self, mut say: impl FnMut(&[u8])) {
        say(self.name.as_bytes());
        say(b" '");
        say(self.argument.to_bytes());
        say(match self.problem {
            ArgumentProblem::Unknown => b"' is unknown to this holder",
            ArgumentProblem::Empty => b"' is empty",
            ArgumentProblem::NotSeconds => b"' is not a whole number of seconds",
            ArgumentProblem::Surplus => b"' is one too many",
        });
    }
}

/// Parses the arguments that follow the program's own name. A missing argument counts as empty.
///
/// # Errors
/// The first [`Misuse`] from the left.
pub fn parse<'a>(arguments: impl IntoIterator<Item = &'a CStr>) -> Result<HolderCommand<'a>, Misuse<'a>> {
    let mut arguments = arguments.into_iter();
    let mut next = || arguments.next().unwrap_or_default();

    let name = next();
    let installs = match name.to_bytes() {
        b"install" => true,
        b"hold" => false,
        _ => return Err(Misuse { name: "command", argument: name, problem: ArgumentProblem::Unknown }),
    };
    let version = next();
    if version.to_bytes() != VERSION.as_bytes() {
        return Err(Misuse { name: "version", argument: version, problem: ArgumentProblem::Unknown });
    }
    let command = if installs {
        HolderCommand::Install {
            destination: file("DESTINATION", next())?,
            start_delay: StartDelay {
                epoch: seconds("EPOCH", next())?,
                spread: seconds("SPREAD", next())?,
                node_name: next().to_bytes(),
            },
        }
    } else {
        HolderCommand::Hold
    };
    match arguments.next() {
        None => Ok(command),
        Some(argument) => Err(Misuse { name: "argument", argument, problem: ArgumentProblem::Surplus }),
    }
}

fn file<'a>(name: &'static str, argument: &'a CStr) -> Result<&'a CStr, Misuse<'a>> {
    if argument.is_empty() {
        return Err(Misuse { name, argument, problem: ArgumentProblem::Empty });
    }
    Ok(argument)
}

fn seconds<'a>(name: &'static str, argument: &'a CStr) -> Result<u64, Misuse<'a>> {
    let problem = ArgumentProblem::NotSeconds;
    decimal::parse(argument.to_bytes()).ok_or(Misuse { name, argument, problem })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::{string::String, vec::Vec};

    use super::*;

    const INSTALL: [&CStr; 6] = [c"install", c"v1", c"/kube-prepull/holder", c"1800000000", c"600", c"node-1"];

    fn install(node_name: &[u8]) -> Result<HolderCommand<'_>, Misuse<'_>> {
        let start_delay = StartDelay { epoch: 1_800_000_000, spread: 600, node_name };
        Ok(HolderCommand::Install { destination: c"/kube-prepull/holder", start_delay })
    }

    /// The description of what is wrong with these arguments.
    fn refusal(arguments: &[&CStr]) -> String {
        let misuse = parse(arguments.iter().copied()).expect_err("these arguments are wrong");
        let mut words = Vec::new();
        misuse.describe(|piece| words.extend_from_slice(piece));
        String::from_utf8(words).expect("text")
    }

    /// The same for the arguments of `install`, with this one at `place`.
    fn refusal_with(place: usize, argument: &CStr) -> String {
        let mut arguments = INSTALL;
        arguments[place] = argument;
        refusal(&arguments)
    }

    #[test]
    fn install_takes_a_destination_and_a_start_delay() {
        assert_eq!(parse(INSTALL), install(b"node-1"));
    }

    #[test]
    fn install_goes_without_the_name_of_the_node() {
        assert_eq!(parse([&INSTALL[..5], &[c""]].concat()), install(b""), "an empty one");
        assert_eq!(parse(INSTALL.into_iter().take(5)), install(b""), "none");
    }

    #[test]
    fn hold_takes_nothing() {
        assert_eq!(parse([c"hold", c"v1"]), Ok(HolderCommand::Hold));
    }

    #[test]
    fn a_wrong_argument_is_named_and_quoted() {
        assert_eq!(refusal_with(0, c"sleep"), "command 'sleep' is unknown to this holder");
        assert_eq!(refusal_with(1, c"v2"), "version 'v2' is unknown to this holder");
        assert_eq!(refusal_with(2, c""), "DESTINATION '' is empty");
        assert_eq!(refusal_with(3, c"soon"), "EPOCH 'soon' is not a whole number of seconds");
        assert_eq!(refusal_with(4, c"-60"), "SPREAD '-60' is not a whole number of seconds");
    }

    #[test]
    fn a_missing_argument_is_named() {
        let only = |count| refusal(&INSTALL[..count]);
        assert_eq!(only(0), "command '' is unknown to this holder");
        assert_eq!(only(1), "version '' is unknown to this holder");
        assert_eq!(only(2), "DESTINATION '' is empty");
        assert_eq!(only(3), "EPOCH '' is not a whole number of seconds");
        assert_eq!(only(4), "SPREAD '' is not a whole number of seconds");
    }

    #[test]
    fn an_argument_too_many_is_quoted() {
        assert_eq!(refusal(&[c"hold", c"v1", c"on"]), "argument 'on' is one too many");
        let arguments = [&INSTALL[..], &[c"node-2"]].concat();
        assert_eq!(refusal(&arguments), "argument 'node-2' is one too many");
    }

    #[test]
    fn the_usage_is_of_the_version_that_is_known() {
        assert_eq!(USAGE.matches(VERSION).count(), 2);
    }
}
