//! What commands say of rights that their user lacks.

use anyhow::anyhow;

use crate::error::Error;

/// The error of a command, which names the right that the user needs if it is one that is missing.
pub fn lacking(error: Error, right: &str, namespace: &str) -> anyhow::Error {
    match error {
        Error::Forbidden { action, message } => anyhow!(
            "not allowed to {action}: {message}; grant this user the right to {right} in the namespace {namespace}"
        ),
        error => error.into(),
    }
}
