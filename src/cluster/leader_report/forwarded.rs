//! A forwarded port of the leader's pod.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::Portforwarder;
use kube::{Api, Client};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::obstacle::Obstacle;
use super::target::LeaderPort;
use crate::cluster::lease;
use crate::error::Error;
use crate::text::CleanText;

/// How long the kubelet's explanation may take after a connection has failed.
const EXPLANATION: Duration = Duration::from_millis(200);

/// A forwarded port, which ends with the value: kube's task would go on.
pub struct ForwardedPort {
    forwarder: Portforwarder,
    port: u16,
}

impl Drop for ForwardedPort {
    fn drop(&mut self) {
        self.forwarder.abort();
    }
}

/// Where the leader of a namespace serves its status, as its Lease says.
///
/// # Errors
/// If the Lease cannot be read, or names no leader.
pub async fn leader_of(client: &Client, namespace: &str) -> Result<LeaderPort, Obstacle> {
    let leases = Api::<Lease>::namespaced(client.clone(), namespace);
    let lease = leases.get_opt(lease::NAME).await;
    let lease =
        lease.map_err(|error| Obstacle::from_error(&Error::new(format!("get the Lease {}", lease::NAME), error)))?;
    LeaderPort::of(lease.as_ref())
}

impl ForwardedPort {
    /// Forwards the leader's port, with the user's own rights.
    ///
    /// # Errors
    /// If it may not be forwarded.
    pub async fn open(client: &Client, namespace: &str, target: &LeaderPort) -> Result<Self, Obstacle> {
        let pods = Api::<Pod>::namespaced(client.clone(), namespace);
        let forwarder = pods.portforward(&target.pod, &[target.port]).await.map_err(|error| {
            let action = format!("forward the port {} of the pod {}", target.port, target.pod);
            Obstacle::from_error(&Error::new(action, error))
        })?;
        Ok(Self { forwarder, port: target.port })
    }

    /// The connection. There is one.
    ///
    /// # Errors
    /// If it was taken before.
    pub fn stream(&mut self) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static, Obstacle> {
        self.forwarder.take_stream(self.port).ok_or_else(|| Obstacle::Unreachable("no forwarded port".into()))
    }

    /// Why the connection failed: in the words of the kubelet, or else as it was seen here.
    pub async fn explain(&mut self, seen: CleanText) -> Obstacle {
        let explained = match self.forwarder.take_error(self.port) {
            Some(explanation) => timeout(EXPLANATION, explanation).await.ok().flatten(),
            None => None,
        };
        Obstacle::Unreachable(explained.map_or(seen, CleanText::from))
    }
}
