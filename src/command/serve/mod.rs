//! The controller's HTTP listeners, on a thread of their own.
//!
//! There is one for each kind of client, so that none can take the places of another:
//! - [`pages`]: what each of them serves: the kubelet's probes, metrics, and the status
//! - [`listener`], [`connections`]: accept connections and serve them within limits
//! - [`heartbeat`]: whether the controller's own thread still gets to its tasks
//! - [`kept`]: a text that is expensive to compute is kept for a second
//! - [`map_page`]: the page for people; [`hosts`]: by which names browsers may ask for it
//! - [`answers`]: how answers are built
//!
//! Metrics can be secured:
//! - [`certificates`]: their certificate
//! - [`access`], [`known_tokens`]: who may get them

mod access;
mod answers;
mod certificates;
mod connections;
mod heartbeat;
mod hosts;
mod kept;
mod known_tokens;
mod listener;
mod map_page;
mod pages;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::arguments::ListenArguments;
use crate::cluster::access_reviews::AccessReviews;
use crate::cluster::readiness::Readiness;
use crate::cluster::status_server::Overview;
use crate::metrics::Metrics;
use access::Guard;
use certificates::Certificates;
use heartbeat::Heartbeat;
use listener::ListenerLimits;
use pages::{MetricsPages, ProbePages, StatusPages};

/// The kubelet waits for a second. Its connections come one by one, and so do those of people.
const OF_PROBES: ListenerLimits =
    ListenerLimits { connections: 32, head: Duration::from_secs(2), answer: Duration::from_secs(5) };
/// A scrape takes 10 s by default, a slow one of many lists up to a minute.
const OF_METRICS: ListenerLimits =
    ListenerLimits { connections: 32, head: Duration::from_secs(5), answer: Duration::from_secs(60) };
/// With a slow line to the cluster, a forwarded port takes its time.
const OF_STATUS: ListenerLimits =
    ListenerLimits { connections: 16, head: Duration::from_secs(10), answer: Duration::from_secs(60) };
/// The usual limit of file descriptors is 1,024. The watches and requests to the API server need a few dozen of them.
const _: () = assert!(OF_PROBES.connections + OF_METRICS.connections + OF_STATUS.connections <= 128);

/// Where the answers come from.
pub struct Sources {
    /// For `/readyz`.
    pub readiness: Readiness,
    /// For `/status`, the page, and the gauges of `/metrics`.
    pub overview: Overview,
    /// For `/metrics`.
    pub metrics: Metrics,
}

/// The listeners, which hold their addresses and answer nobody yet.
pub struct Endpoints {
    probes: std::net::TcpListener,
    metrics: std::net::TcpListener,
    status: std::net::TcpListener,
    secured: Option<(Guard, Arc<Certificates>)>,
}

/// Begins to listen. Separate from [`Endpoints::serve`], so that an address in use is reported at the start. Metrics are secured
/// with reviews by `client`.
///
/// # Errors
/// If the controller cannot listen on an address, or has no usable certificate.
pub fn listen(arguments: &ListenArguments, client: &Client) -> anyhow::Result<Endpoints> {
    let secured = match arguments.secure_metrics {
        true => Some(secure(arguments.metrics_cert_dir.as_deref(), client)?),
        false => None,
    };
    Ok(Endpoints {
        probes: bind(arguments.probe_listen, "--probe-listen")?,
        metrics: bind(arguments.metrics_listen, "--metrics-listen")?,
        status: bind(arguments.status_listen, "--status-listen")?,
        secured,
    })
}

fn secure(folder: Option<&Path>, client: &Client) -> anyhow::Result<(Guard, Arc<Certificates>)> {
    let certificates = Certificates::new(folder).context("no certificate for --secure-metrics")?;
    Ok((Guard::new(AccessReviews::new(client.clone())), Arc::new(certificates)))
}

fn bind(address: SocketAddr, option: &str) -> anyhow::Result<std::net::TcpListener> {
    listener::bind(address).with_context(|| format!("cannot listen on {address}; choose another address with {option}"))
}

impl Endpoints {
    /// Answers requests until this process ends, on a thread of its own: work on large lists does not delay the kubelet's probes.
    /// The receiver learns if it stops before that.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn serve(self, sources: Sources) -> anyhow::Result<oneshot::Receiver<()>> {
        let heartbeat = Heartbeat::new();
        tokio::spawn(heartbeat.clone().beat());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stopped, receiver) = oneshot::channel();
        let thread = std::thread::Builder::new().name("http".to_owned());
        thread.spawn(move || {
            let served = runtime.block_on(self.answer(sources, heartbeat));
            // It only goes when this thread ends, by a panic too.
            drop((served, stopped));
        })?;
        Ok(receiver)
    }

    async fn answer(self, sources: Sources, heartbeat: Heartbeat) -> anyhow::Result<()> {
        let Self { probes, metrics, status, secured } = self;
        let (guard, certificates) = secured.unzip();
        let tls = certificates.as_ref().map(Certificates::acceptor).transpose()?;
        if let Some(certificates) = certificates {
            tokio::spawn(certificates.follow());
        }
        let Sources { readiness, overview, metrics: counted } = sources;
        let status_pages = StatusPages::new(&readiness, &overview);
        let metrics_pages = MetricsPages::new(&counted, &overview, guard);
        let probe_pages = ProbePages { readiness, heartbeat };
        tokio::join!(
            listener::serve(TcpListener::from_std(probes)?, OF_PROBES, None, probe_pages),
            listener::serve(TcpListener::from_std(metrics)?, OF_METRICS, tls, metrics_pages),
            listener::serve(TcpListener::from_std(status)?, OF_STATUS, None, status_pages),
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests;
