//! `run`: the controller.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::arguments::{PlatformArgument, RunArguments};
use super::{Outcome, health, logging};
use crate::cluster::Installation;
use crate::cluster::connect::{self, ClusterArguments};
use crate::cluster::controller::Controller;
use crate::plan::Platform;

/// Runs until it is told to stop. Only a wrong start ends it otherwise: errors of the cluster or of a list never do.
///
/// # Errors
/// Bad arguments, no cluster configuration at all, or an address that cannot be listened on.
pub async fn run(arguments: RunArguments) -> anyhow::Result<Outcome> {
    logging::start(arguments.log_format, &arguments.log_level)?;
    let cluster = ClusterArguments {
        kubeconfig: arguments.cluster.kubeconfig.clone(),
        context: arguments.cluster.context.clone(),
    };
    let (client, default_namespace) =
        connect::connect(&cluster).await.context("cannot tell which cluster to work for")?;
    let listener = health::listen(arguments.listen).await?;
    let (may_read_nodes, elects) = (!arguments.namespaced_only, arguments.leader_elect);
    let installation = installation(arguments, default_namespace);
    info!(version = env!("CARGO_PKG_VERSION"), namespace = installation.namespace, "started");
    let mut controller = Controller::start(&client, installation, may_read_nodes, elects);
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        () = health::serve(listener, controller.readiness.clone()) => {}
        () = controller.ended() => anyhow::bail!("the controller ended by itself, which is a bug"),
        _ = terminate.recv() => info!("told to stop; everything stays warm"),
        _ = tokio::signal::ctrl_c() => info!("interrupted; everything stays warm"),
    }
    controller.resign().await;
    Ok(Outcome::Good)
}

fn installation(arguments: RunArguments, default_namespace: String) -> Installation {
    Installation {
        namespace: arguments.cluster.namespace.unwrap_or(default_namespace),
        config_maps: arguments.config_maps,
        holder_image: arguments.holder.holder_image,
        pod_service_account: arguments.holder.pod_service_account,
        deployment: arguments.deployment,
        platform: match arguments.platform {
            PlatformArgument::Auto => None,
            PlatformArgument::Kubernetes => Some(Platform::Kubernetes),
            PlatformArgument::Openshift => Some(Platform::OpenShift),
        },
    }
}
