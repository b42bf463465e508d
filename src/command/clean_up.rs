//! `clean-up`: deletes what uninstalling the controller would leave behind. The chart runs it before.

use anyhow::anyhow;

use super::arguments::ClusterArguments;
use super::connection::connect;
use super::outcome::Outcome;
use super::terminal::print_line;
use crate::cluster::delete_image_caches::delete_image_caches;
use crate::messages::api_errors;

/// Deletes the ImageCaches of the lists in a namespace.
///
/// # Errors
/// If one of them cannot be deleted.
pub async fn clean_up(arguments: ClusterArguments) -> anyhow::Result<Outcome> {
    let (client, namespace) = connect(&arguments).await?;
    let deleted = delete_image_caches(&client, &namespace).await;
    let deleted = deleted.map_err(|error| anyhow!(api_errors::of_command(&error)))?;
    deleted.iter().for_each(|name| print_line(format!("deleted the ImageCache {name}")));
    if deleted.is_empty() {
        print_line(format!("there is no ImageCache of the lists in {namespace}"));
    }
    Ok(Outcome::Good)
}
