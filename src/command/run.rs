//! `run`: runs the controller.

use anyhow::{Context, anyhow, ensure};
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::arguments::{PlatformArgument, RunArguments};
use super::connection::cluster;
use super::outcome::{Outcome, wrong_usage};
use super::{logging, policy, seed, serve};
use crate::cluster::Installation;
use crate::cluster::connect;
use crate::cluster::controller::Controller;
use crate::cluster::leadership::Leadership;
use crate::list::Policy;
use crate::list::config::{GateTaints, TaintKey};
use crate::list::discover::DiscoveryScope;
use crate::list::names::ResourceName;
use crate::metrics::Metrics;
use crate::plan::Platform;
use crate::plan::generation::holder_folder::Seed;

/// Runs the controller until a signal stops it. Errors of the cluster or of a list never end it.
///
/// # Errors
/// At the start only: bad arguments (a bad policy is printed), no cluster configuration at all, an address that it cannot listen on,
/// or an unusable certificate.
pub async fn run(arguments: RunArguments) -> anyhow::Result<Outcome> {
    let policy = match policy::read(arguments.policy.as_deref(), arguments.policy_text.as_deref()) {
        Ok(policy) => policy,
        // As for any other wrong argument: a controller without the policy that was meant would accept what it forbids.
        Err(error) => return Ok(wrong_usage(&error)),
    };
    let gate_taints = match gate_taints(&arguments.node_gate_taints) {
        Ok(gate_taints) => gate_taints,
        Err(error) => return Ok(wrong_usage(&error)),
    };
    if arguments.namespaced_only && gate_taints.keys().next().is_some() {
        let error = anyhow!("--node-gate-taint needs the right to read nodes: leave out --namespaced-only");
        return Ok(wrong_usage(&error));
    }
    if arguments.namespaced_only && arguments.all_namespaces {
        let error = anyhow!("--all-namespaces needs rights in all namespaces: leave out --namespaced-only");
        return Ok(wrong_usage(&error));
    }
    let discovery = match discovery_scope(&arguments.discover_namespaces, arguments.namespaced_only) {
        Ok(discovery) => discovery,
        Err(error) => return Ok(wrong_usage(&error)),
    };
    let policy = policy.with_gate_taints(gate_taints).with_discovery(discovery);
    logging::start(arguments.log_format, &arguments.log_level)?;
    let metrics = Metrics::default();
    let (may_read_nodes, elects) = (!arguments.namespaced_only, arguments.leader_elect);
    let leadership = if elects { Leadership::to_be_elected() } else { Leadership::without_election() };
    let connection = connect::connect_controller(&cluster(&arguments.cluster.kubeconfig), &metrics, &leadership).await;
    let (client, default_namespace) = connection.context("no usable cluster configuration")?;
    let endpoints = serve::listen(&arguments.listen, &client)?;
    let installation = installation(arguments, policy, default_namespace, seed::random()?);
    info!(version = env!("CARGO_PKG_VERSION"), namespace = installation.namespace, "started");
    let mut controller = Controller::start(&client, installation, may_read_nodes, elects, leadership, &metrics);
    let sources =
        serve::Sources { readiness: controller.readiness.clone(), overview: controller.overview.clone(), metrics };
    let serving = endpoints.serve(sources)?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = serving => anyhow::bail!("the HTTP listeners stopped unexpectedly; please report this bug"),
        () = controller.ended() => anyhow::bail!("the controller stopped unexpectedly; please report this bug"),
        _ = terminate.recv() => info!("terminated; images stay held on the nodes"),
        _ = tokio::signal::ctrl_c() => info!("interrupted; images stay held on the nodes"),
    }
    controller.resign().await;
    Ok(Outcome::Good)
}

/// The taints that gates may remove. An environment variable that is set to an empty string names none.
fn gate_taints(keys: &[String]) -> anyhow::Result<GateTaints> {
    let keys = keys.iter().map(|key| key.trim()).filter(|key| !key.is_empty());
    let taint = |key: &str| {
        TaintKey::new(key).with_context(|| {
            format!(
                "--node-gate-taint or NODE_GATE_TAINTS: no gate can remove the taint {key:?}; name one of your own, such as \
                 startup-taint.cluster-autoscaler.kubernetes.io/images"
            )
        })
    };
    keys.map(taint).collect::<anyhow::Result<_>>().map(GateTaints::Only)
}

/// The namespaces whose workloads may be read. An environment variable that is set to an empty string names none.
fn discovery_scope(names: &[String], namespaced_only: bool) -> anyhow::Result<DiscoveryScope> {
    const ALL: &str = "*";
    let names: Vec<&str> = names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
    if names.contains(&ALL) {
        ensure!(
            names.len() == 1,
            "--discover-namespaces or DISCOVER_NAMESPACES: {ALL:?} means all namespaces; write only that, or only \
             names"
        );
        ensure!(
            !namespaced_only,
            "--discover-namespaces {ALL:?} needs rights in all namespaces: name the namespaces, or leave out \
             --namespaced-only"
        );
        return Ok(DiscoveryScope::All);
    }
    let namespace = |name: &&str| {
        ResourceName::parse(name).map_err(|why| {
            anyhow!("--discover-namespaces or DISCOVER_NAMESPACES: {name:?} is not the name of a namespace: it {why}")
        })
    };
    names.iter().map(namespace).collect::<anyhow::Result<_>>().map(DiscoveryScope::Namespaces)
}

fn installation(arguments: RunArguments, policy: Policy, default_namespace: String, seed: Seed) -> Installation {
    let own_images = arguments.holder.own_images();
    let (own, of_pods) = (arguments.controller_service_account, arguments.holder.pod_service_account);
    Installation {
        policy: policy.of_installation(own.as_deref(), of_pods.as_deref()),
        namespace: arguments.cluster.namespace.unwrap_or(default_namespace),
        all_namespaces: arguments.all_namespaces,
        is_elsewhere: false,
        // An environment variable that is set to an empty string gives one empty name.
        config_maps: arguments.config_maps.into_iter().filter(|name| !name.is_empty()).collect(),
        own_images,
        pod_service_account: of_pods,
        deployment: arguments.deployment,
        platform: match arguments.platform {
            PlatformArgument::Auto => None,
            PlatformArgument::Kubernetes => Some(Platform::Kubernetes),
            PlatformArgument::Openshift => Some(Platform::OpenShift),
        },
        status_port: arguments.listen.status_listen.port(),
        seed,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::command::arguments::{Arguments, Command};

    fn named_lists(given: &str) -> Vec<String> {
        let arguments = Arguments::parse_from(["kube-prepull", "run", "--config-map", given]);
        let Command::Run(arguments) = arguments.command else { unreachable!("the command is run") };
        installation(*arguments, Policy::default(), "prepull".to_owned(), Seed::default()).config_maps
    }

    #[test]
    fn an_empty_variable_names_no_list() {
        assert_eq!(named_lists(""), [""; 0]);
        assert_eq!(named_lists("tools,,more,"), ["tools", "more"]);
    }

    #[test]
    fn only_taints_of_ones_own_can_be_removed() {
        let of = |keys: &[&str]| gate_taints(&keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
        let names = |keys: &[&str]| of(keys).expect("taints").keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&[""]), [""; 0]);
        assert_eq!(names(&["b.example.com/images", " a"]), ["a", "b.example.com/images"]);
        for bad in ["node.kubernetes.io/not-ready", "a b", "a:NoSchedule"] {
            let error = of(&[bad]).expect_err(bad).to_string();
            assert!(error.contains(bad), "{error}");
        }
    }

    fn scope(given: &[&str]) -> Result<DiscoveryScope, String> {
        let given = ["kube-prepull", "run"].iter().chain(given);
        let Command::Run(arguments) = Arguments::parse_from(given).command else { unreachable!("the command is run") };
        discovery_scope(&arguments.discover_namespaces, arguments.namespaced_only).map_err(|error| error.to_string())
    }

    #[test]
    fn workloads_are_read_in_the_namespaces_that_are_named_in_all_or_in_none() {
        let named = |names: &[&str]| {
            let names = names.iter().map(|name| ResourceName::parse(name).expect("a name"));
            Ok(DiscoveryScope::Namespaces(names.collect()))
        };
        assert_eq!(scope(&[]), named(&[]));
        assert_eq!(scope(&["--discover-namespaces", ""]), named(&[]));
        assert_eq!(scope(&["--discover-namespaces", "shop, checkout,,shop"]), named(&["checkout", "shop"]));
        assert_eq!(scope(&["--discover-namespaces", "shop", "--namespaced-only"]), named(&["shop"]));
        assert_eq!(scope(&["--discover-namespaces", " *"]), Ok(DiscoveryScope::All));
    }

    #[test]
    fn what_names_no_namespaces_is_refused() {
        let cases: [(&[&str], [&str; 2]); 4] = [
            (&["--discover-namespaces", "Shop"], ["\"Shop\" is not the name of a namespace", "lower case"]),
            (&["--discover-namespaces", "shop-*"], ["\"shop-*\" is not the name of a namespace", "contains '*'"]),
            (&["--discover-namespaces", "shop,*"], ["all namespaces", "only names"]),
            (&["--discover-namespaces", "*", "--namespaced-only"], ["rights", "leave out --namespaced-only"]),
        ];
        for (bad, words) in cases {
            let error = scope(bad).expect_err("what is refused");
            assert!(words.iter().all(|word| error.contains(word)), "{bad:?}: {error}");
        }
    }
}
