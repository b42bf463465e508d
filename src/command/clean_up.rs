//! `clean-up`: deletes what uninstalling the controller would leave behind. The chart runs it before.

use anyhow::anyhow;

use super::arguments::CleanUpArguments;
use super::connection::connect;
use super::outcome::Outcome;
use super::terminal::print_line;
use crate::cluster::clean_up::CleanUp;
use crate::messages::api_errors;

/// Deletes the ImageCaches of the lists in a namespace, or all that was created from lists elsewhere.
///
/// # Errors
/// If something cannot be deleted.
pub async fn clean_up(arguments: CleanUpArguments) -> anyhow::Result<Outcome> {
    let (client, home) = connect(&arguments.cluster).await?;
    let all_namespaces = arguments.all_namespaces;
    let deleted = CleanUp { client: &client, home: &home, all_namespaces }.run().await;
    let deleted = deleted.map_err(|error| anyhow!(api_errors::of_command(&error)))?;
    deleted.iter().for_each(|what| print_line(format!("deleted {what}")));
    if deleted.is_empty() {
        print_line(match all_namespaces {
            true => format!("there is no ImageCache of lists, and nothing of lists outside of {home}"),
            false => format!("there is no ImageCache of the lists in {home}"),
        });
    }
    Ok(Outcome::Good)
}
