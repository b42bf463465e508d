//! `ui`: opens the controller's page in a browser, through a port of this machine.

use std::env;
use std::io::{IsTerminal, stdout};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;

use super::arguments::UiArguments;
use super::connection::connect;
use super::outcome::Outcome;
use super::terminal::{print_error, print_line};
use crate::cluster::leader_report::Obstacle;
use crate::cluster::leader_report::page_tunnels::PageTunnels;

/// The pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(500);

/// Serves the page until Ctrl-C.
///
/// # Errors
/// If the leader's page cannot be reached, or the port is in use.
pub async fn ui(arguments: UiArguments) -> anyhow::Result<Outcome> {
    let (client, namespace) = connect(&arguments.cluster).await?;
    let tunnels = PageTunnels::new(client, namespace.clone());
    tunnels.check().await.map_err(|obstacle| explained(&obstacle, &namespace))?;
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    let listener = TcpListener::bind(wanted).await;
    let listener = listener
        .with_context(|| format!("cannot listen on {wanted}; choose another port with --port, or leave it out"))?;
    let page = format!("http://{}/", listener.local_addr()?);
    print_line(format!("{page} shows what is warm in the namespace {namespace}, until Ctrl-C."));
    if !arguments.no_open && has_display() {
        open_browser(&page);
    }
    tokio::select! {
        () = serve(listener, tunnels) => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(Outcome::Good)
}

/// What is in the way, and what to do about it.
fn explained(obstacle: &Obstacle, namespace: &str) -> anyhow::Error {
    match obstacle {
        Obstacle::NoLeader => anyhow!("{obstacle}; choose another namespace than {namespace} with --namespace"),
        Obstacle::Refused(_) => anyhow!(
            "{obstacle}; grant this user the rights to get the Lease kube-prepull and to get and create pods/portforward in the namespace \
             {namespace} (docs/page.md)"
        ),
        _ => anyhow!("{obstacle}"),
    }
}

/// Carries every connection through a tunnel of its own.
async fn serve(listener: TcpListener, tunnels: PageTunnels) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((browser, _)) => {
                let tunnels = tunnels.clone();
                connections.spawn(async move { tunnels.carry(browser).await });
            }
            Err(error) => {
                print_error(format!("cannot accept a connection: {error}; retrying"));
                tokio::time::sleep(PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Whether somebody sits at this machine who would see a browser.
fn has_display() -> bool {
    let is_set = |variable| env::var_os(variable).is_some_and(|value| !value.is_empty());
    stdout().is_terminal() && (cfg!(target_os = "macos") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY"))
}

/// Opens the page. If that fails, its address has been printed.
fn open_browser(page: &str) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(opener);
    drop(command.arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_lacks_a_right_learns_which() {
        let refused = explained(&Obstacle::Refused("pods is forbidden".into()), "prepull").to_string();
        assert!(refused.starts_with("pods is forbidden; grant ") && refused.contains("pods/portforward"), "{refused}");
        let none = explained(&Obstacle::NoLeader, "prepull").to_string();
        assert!(none.ends_with("choose another namespace than prepull with --namespace"), "{none}");
    }
}
