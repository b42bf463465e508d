//! `history` and `rollback`: the accepted versions of a list, and back to one of them.
//!
//! - [`versions`]: what is known of each version. Pure
//! - [`rollback`]: writes the data of an earlier version

mod rollback;
mod versions;

use std::io::Write;

use anyhow::bail;
use jiff::Timestamp;
use kube::Client;

use super::arguments::{HistoryArguments, HistoryFormat};
use super::connection::connect;
use super::outcome::Outcome;
use crate::cluster::command_reader;
use crate::error::Error;
use crate::plan::versions::Revision;
pub use rollback::rollback;
use versions::{VersionReport, table};

/// Prints the accepted versions of a list, the newest first.
///
/// # Errors
/// If there are none, or they cannot be read.
pub async fn history(arguments: HistoryArguments, out: &mut impl Write) -> anyhow::Result<Outcome> {
    let (client, namespace) = connect(&arguments.cluster).await?;
    let versions = VersionReport::all(&read(&client, &namespace, &arguments.list).await?);
    match arguments.output {
        HistoryFormat::Table => out.write_all(table(&versions, Timestamp::now()).as_bytes())?,
        HistoryFormat::Json => writeln!(out, "{}", serde_json::to_string_pretty(&versions)?)?,
    }
    Ok(Outcome::Good)
}

/// The accepted versions of a list, the newest first.
async fn read(client: &Client, namespace: &str, name: &str) -> anyhow::Result<Vec<Revision>> {
    match command_reader::versions(client, namespace, name).await {
        Ok(versions) if versions.is_empty() => bail!(
            "the list {namespace}/{name} has no accepted version: it is not there, or the controller has not accepted it yet; \
             choose another namespace with --namespace"
        ),
        Ok(mut versions) => {
            versions.sort_by(|one, other| other.order().cmp(&one.order()));
            Ok(versions)
        }
        Err(Error::Forbidden { action, message }) => bail!(
            "not allowed to {action}: {message}; grant this user the right to list controllerrevisions.apps in the namespace \
             {namespace}"
        ),
        Err(error) => Err(error.into()),
    }
}
