//! Seeds for the names of the holders' folders.

use anyhow::Context;

use crate::plan::generation::holder_folder::Seed;

/// A seed that nobody can guess.
///
/// # Errors
/// If the operating system gives no random numbers.
pub fn random() -> anyhow::Result<Seed> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the operating system gives no random numbers")?;
    Ok(Seed::new(bytes))
}
