//! Arguments to command, nothing else.

use std::process::ExitCode;

use kube_prepull::command::{self, arguments::Arguments};

fn main() -> ExitCode {
    match command::execute(Arguments::from_command_line()) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            command::report(&error);
            ExitCode::FAILURE
        }
    }
}
