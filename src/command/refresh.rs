//! `refresh`: asks the controller to check a list's tags again.

use anyhow::bail;

use super::arguments::RefreshArguments;
use super::connection::connect;
use super::outcome::Outcome;
use super::terminal::print_line;
use crate::cluster::refresh::request_refresh;
use crate::error::Error;

/// Requests a refresh of a list.
///
/// # Errors
/// If there is no such list, or the request cannot be written.
pub async fn refresh(arguments: RefreshArguments) -> anyhow::Result<Outcome> {
    let (client, namespace) = connect(&arguments.cluster).await?;
    let name = &arguments.list;
    match request_refresh(&client, &namespace, name).await {
        Ok(true) => {}
        Ok(false) => {
            bail!("there is no ConfigMap {name} in the namespace {namespace}; choose another with --namespace")
        }
        Err(Error::Forbidden { action, message }) => bail!(
            "not allowed to {action}: {message}; grant this user the right to get and patch configmaps in the namespace \
             {namespace}"
        ),
        Err(error) => return Err(error.into()),
    }
    print_line(format!(
        "Requested a refresh of {namespace}/{name}. `kubectl prepull status --namespace {namespace} {name}` shows the result."
    ));
    Ok(Outcome::Good)
}
