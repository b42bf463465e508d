//! Ends a bed, whatever state it is in.

use anyhow::Result;

use crate::state::{Kind, State};
use crate::{cgroup, member};

/// Ends this checkout's bed of that kind and removes all traces of it. Tells whether there was anything.
pub fn down(kind: Kind) -> Result<bool> {
    let state = State::of_checkout(kind);
    let _lock = state.lock_to_clean_up()?;
    let existed = state.folder().exists();
    remove(&state)?;
    Ok(existed)
}

/// Ends everything of this checkout's bed of that kind and keeps its files, so that the logs can be read.
pub fn halt(kind: Kind) -> Result<()> {
    let state = State::of_checkout(kind);
    let _lock = state.lock_to_clean_up()?;
    stop(&state)
}

/// What [`down`] does, for those who hold the lock.
pub(crate) fn remove(state: &State) -> Result<()> {
    stop(state)?;
    state.remove()
}

fn stop(state: &State) -> Result<()> {
    member::kill_all(&state.folder())?;
    if state.kind() == Kind::Real {
        cgroup::remove(&format!("{}-", state.unique_name()))?;
    }
    Ok(())
}
