//! How a command ended.

use std::process::ExitCode;

use super::terminal;

/// How a command ended. The worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Yes: the list is accepted, everything is warm, or the action succeeded.
    Good,
    /// No; the reasons were printed.
    Not,
    /// Unknown, because the arguments or files are unusable; the reasons were printed.
    WrongUsage,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Good => Self::SUCCESS,
            Outcome::Not => Self::FAILURE,
            // The same as clap's.
            Outcome::WrongUsage => Self::from(2),
        }
    }
}

/// Prints what is wrong with the arguments or files.
pub fn wrong_usage(error: &anyhow::Error) -> Outcome {
    terminal::report(error);
    Outcome::WrongUsage
}
