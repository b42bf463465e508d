//! The clusters that a program has started for itself, and ends when it leaves.

use anyhow::Result;

use crate::state::Kind;
use crate::{down, wait};

/// The clusters to end, in whatever way the program leaves.
#[derive(Debug, Default)]
pub struct Started(Vec<Kind>);

impl Started {
    /// Starts a cluster. What has been started of one that does not come up is ended; its logs are kept for whoever reads
    /// the error, unless it is the user who broke it off.
    pub fn start<T>(&mut self, kind: Kind, start: impl FnOnce() -> Result<T>) -> Result<T> {
        let started = start().or_else(|error| {
            if wait::interrupted() { down::down(kind).map(drop) } else { down::halt(kind) }?;
            Err(error)
        })?;
        self.0.push(kind);
        Ok(started)
    }

    /// Ends them now, to learn of errors.
    pub fn end(&mut self) -> Result<()> {
        while let Some(kind) = self.0.pop() {
            down::down(kind)?;
        }
        Ok(())
    }

    /// Leaves them running.
    pub fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("{error:#}");
        }
    }
}
