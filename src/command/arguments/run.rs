//! Arguments of `run`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::cluster::ClusterArguments;
use super::holder::HolderArguments;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// How to find the cluster.
    #[command(flatten)]
    pub cluster: ClusterArguments,
    /// Where holders come from.
    #[command(flatten)]
    pub holder: HolderArguments,
    /// A ConfigMap that is a list without the label kube-prepull.io/image-list=true; may be repeated
    #[arg(long = "config-map", env = "CONFIG_MAPS", value_name = "NAME", value_delimiter = ',')]
    pub config_maps: Vec<String>,
    /// The controller's own Deployment, which owns all namespaced objects that the controller creates
    #[arg(long, env = "DEPLOYMENT_NAME", value_name = "NAME")]
    pub deployment: Option<String>,
    /// The kind of cluster
    #[arg(long, env = "PLATFORM", value_name = "KIND", default_value = "auto")]
    pub platform: PlatformArgument,
    /// The policy, which says what lists may ask for: a file with YAML or JSON (docs/policy.md), or the values of the chart; - for
    /// standard input
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// The same as text
    #[arg(long, env = "POLICY", value_name = "YAML")]
    pub policy_text: Option<String>,
    /// The controller's own ServiceAccount, which no list may use
    #[arg(long, env = "CONTROLLER_SERVICE_ACCOUNT", value_name = "NAME")]
    pub controller_service_account: Option<String>,
    /// Keep the lists of all namespaces warm, each with DaemonSets in its own (docs/all-namespaces.md)
    #[arg(long, env = "ALL_NAMESPACES")]
    pub all_namespaces: bool,
    /// Do not read nodes: rollouts are not spread out, and deleted nodes are known only by their pods
    #[arg(long, env = "NAMESPACED_ONLY")]
    pub namespaced_only: bool,
    /// The key of a startup taint that lists may have removed from nodes once their images are there (docs/node-gate.md); may be
    /// repeated
    #[arg(long = "node-gate-taint", env = "NODE_GATE_TAINTS", value_name = "KEY", value_delimiter = ',')]
    pub node_gate_taints: Vec<String>,
    /// The namespaces whose workloads lists may take images from (docs/discovery.md), separated by commas; * alone means all
    #[arg(long, env = "DISCOVER_NAMESPACES", value_name = "NAME", value_delimiter = ',')]
    pub discover_namespaces: Vec<String>,
    /// Write only while holding the Lease kube-prepull, so that several controllers may run; with false, a restart need not wait
    /// for the Lease of a crashed predecessor
    #[arg(long, env = "LEADER_ELECT", value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub leader_elect: bool,
    /// Where it listens.
    #[command(flatten)]
    pub listen: ListenArguments,
    /// The format of log lines
    #[arg(long, env = "LOG_FORMAT", value_name = "FORMAT", default_value = "auto")]
    pub log_format: LogFormat,
    /// What to log: error, warn, info, debug, trace, or a filter such as kube_prepull=debug
    #[arg(long, env = "LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
}

/// Where the controller listens, and who gets metrics.
#[derive(Debug, Args)]
pub struct ListenArguments {
    /// The address that serves /livez and /readyz to the kubelet
    #[arg(long, env = "PROBE_LISTEN", value_name = "ADDRESS", default_value = "0.0.0.0:8081")]
    pub probe_listen: SocketAddr,
    /// The address that serves /metrics
    #[arg(long, env = "METRICS_LISTEN", value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub metrics_listen: SocketAddr,
    /// The address that serves /status and the page: on loopback, which users reach by a forwarded port
    #[arg(long, env = "STATUS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8082")]
    pub status_listen: SocketAddr,
    /// Serve /metrics over TLS, and only to clients whose token has the right to get /metrics
    #[arg(long, env = "SECURE_METRICS")]
    pub secure_metrics: bool,
    /// A folder with tls.crt and tls.key for --secure-metrics, which are read again when they change [default: a self-signed
    /// certificate]
    #[arg(long, env = "METRICS_CERT_DIR", value_name = "FOLDER")]
    pub metrics_cert_dir: Option<PathBuf>,
}

/// The kind of cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlatformArgument {
    /// Detect OpenShift by its API group security.openshift.io
    Auto,
    /// Pods run as user 65532
    Kubernetes,
    /// The SecurityContextConstraints choose the user of pods
    Openshift,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise
    Auto,
    /// Text
    Human,
    /// A JSON object per line
    Json,
}
