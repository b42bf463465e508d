//! The command line.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::terminal;
use super::wait::goal::{Share, Wanted};
use crate::list::config::Architecture;
use crate::list::schedule::parse_interval;
use crate::naming::own_images::OwnImages;
use rust_decimal::Decimal;

/// Keeps container images warm on every node of a Kubernetes cluster.
#[derive(Debug, Parser)]
#[command(name = "kube-prepull", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Arguments {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

impl Arguments {
    /// Parses the command line of this process. Exits if it is wrong or asks for help.
    ///
    /// kubectl finds plugins by their file names, so with a link named `kubectl-prepull` to this program, `kubectl prepull` runs it.
    pub fn from_command_line() -> Self {
        let called = std::env::args_os().next().unwrap_or_default();
        let is_plugin = Path::new(&called).file_stem().is_some_and(|name| name == "kubectl-prepull");
        let command = match is_plugin {
            true => Self::command().name("kubectl prepull").bin_name("kubectl prepull"),
            false => Self::command(),
        };
        let given = command.try_get_matches().and_then(|given| Self::from_arg_matches(&given));
        given.unwrap_or_else(|error| terminal::refuse(&error))
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the controller, which keeps the images of all lists on their nodes
    Run(Box<RunArguments>),
    /// Print the manifests that the controller creates for a list; only --discovered needs a cluster
    #[command(after_help = "\
        Example: kubectl prepull render --discovered --file list.yaml\n\n\
        Exit codes: 0 success, 1 the list is rejected, or cannot be read from the cluster, 2 wrong usage.")]
    Render(RenderArguments),
    /// Validate a list as the controller does, without a cluster
    #[command(after_help = "\
        Examples:\n  \
        kubectl prepull validate -f tools.yaml -f gpu.yaml\n  \
        kubectl prepull validate -f 'lists/*.yaml'\n\n\
        Exit codes: 0 accepted, 1 rejected or without images, 2 no list to validate; of several files, the highest.")]
    Validate(ValidateArguments),
    /// Show which images are warm on which nodes, and why others are not
    #[command(
        after_help = "Exit codes: 0 all lists are accepted (or have no images yet) and all images are warm, 1 otherwise, 2 wrong usage."
    )]
    Status(StatusArguments),
    /// Estimate what a list costs, without a cluster: ImageCache charges and resource requests
    #[command(after_help = "Exit codes: 0 success, 1 the list is rejected, 2 wrong usage or an invalid price file.")]
    Estimate(EstimateArguments),
    /// Print the images of lists, to pull them ahead of time, for example into the machine image of nodes
    #[command(
        after_help = "Exit codes: 0 success, 1 rejected, unreadable or without a digest, 2 wrong usage. docs/images.md has recipes."
    )]
    Images(ImagesArguments),
    /// Wait until exactly this list is accepted and its images are warm
    #[command(
        after_help = "Exit codes: 0 accepted and warm, or no images yet, 1 rejected, timed out or unreadable, 2 wrong usage. docs/wait.md has recipes."
    )]
    Wait(WaitArguments),
    /// Ask the controller to check a list's tags now
    Refresh(RefreshArguments),
    /// Show the accepted versions of a list, and what each of them changed
    #[command(
        after_help = "Example: kubectl prepull history tools\n\nExit codes: 0 success, 1 no version or unreadable, 2 wrong usage."
    )]
    History(HistoryArguments),
    /// Write an earlier accepted version into a list
    #[command(after_help = "\
        Examples:\n  \
        kubectl prepull rollback tools\n  \
        kubectl prepull rollback tools --to 3 --dry-run\n\n\
        Exit codes: 0 success, 1 no such version, managed by another tool, or not allowed, 2 wrong usage.")]
    Rollback(RollbackArguments),
    /// Print a script with which a shell completes the command line
    #[command(after_help = "\
        Examples:\n  \
        kube-prepull completion bash >/etc/bash_completion.d/kube-prepull\n  \
        kube-prepull completion zsh >\"${fpath[1]}/_kube-prepull\"\n  \
        kube-prepull completion fish >~/.config/fish/completions/kube-prepull.fish")]
    Completion(CompletionArguments),
    /// Show what is warm on which nodes in a browser: forwards a port of this machine to the controller's page, until Ctrl-C
    #[command(
        after_help = "Exit codes: 0 ended by Ctrl-C, 1 the controller cannot be reached, 2 wrong usage. docs/page.md has more."
    )]
    Ui(UiArguments),
    /// Delete what uninstalling the controller would leave behind: the ImageCaches of its lists, and what is in other namespaces
    #[command(hide = true)]
    CleanUp(CleanUpArguments),
}

/// Arguments of `history`.
#[derive(Debug, Args)]
pub struct HistoryArguments {
    /// The list: the name of its ConfigMap
    pub list: String,
    /// How to find the cluster.
    #[command(flatten)]
    pub cluster: ClusterArguments,
    /// How to print the versions
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: HistoryFormat,
}

/// How versions are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HistoryFormat {
    /// A table, for people
    Table,
    /// An array, for programs: docs/history.md
    Json,
}

/// Arguments of `rollback`.
#[derive(Debug, Args)]
pub struct RollbackArguments {
    /// The list: the name of its ConfigMap
    pub list: String,
    /// How to find the cluster.
    #[command(flatten)]
    pub cluster: ClusterArguments,
    /// The number of the version, as `history` shows it [default: the newest one that the list does not have now]
    #[arg(long, value_name = "VERSION")]
    pub to: Option<i64>,
    /// Only say what would change
    #[arg(long)]
    pub dry_run: bool,
    /// Write the list although another tool manages it, which may undo the change
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `completion`.
#[derive(Debug, Args)]
pub struct CompletionArguments {
    /// The shell
    pub shell: Shell,
}

/// Arguments of `clean-up`.
#[derive(Debug, Args)]
pub struct CleanUpArguments {
    /// How to find the cluster.
    #[command(flatten)]
    pub cluster: ClusterArguments,
    /// Delete all that was created from lists in other namespaces, too
    #[arg(long)]
    pub all_namespaces: bool,
}

/// How to find the cluster.
#[derive(Debug, Args)]
pub struct KubeconfigArguments {
    /// The kubeconfig file [default: $KUBECONFIG, ~/.kube/config or the pod's own account]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

/// How to find the cluster, and a namespace in it.
#[derive(Debug, Args)]
pub struct ClusterArguments {
    /// The cluster.
    #[command(flatten)]
    pub kubeconfig: KubeconfigArguments,
    /// The namespace of the lists [default: the kubeconfig's, or the pod's own]
    #[arg(short, long, env = "POD_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,
}

/// Where the holder comes from.
#[derive(Debug, Args)]
pub struct HolderArguments {
    /// The image that new generations install the holder from [default: the controller's image, with the suffix -holder to its tag]
    #[arg(long, env = "HOLDER_IMAGE", value_name = "IMAGE")]
    pub holder_image: Option<String>,
    /// The controller's image, from which the holder is installed if that image does not exist or this one is pinned by digest
    #[arg(long, env = "CONTROLLER_IMAGE", value_name = "IMAGE", default_value = concat!("kube-prepull:", env!("CARGO_PKG_VERSION")))]
    pub controller_image: String,
    /// The ServiceAccount of pods, unless their group names one [default: the namespace's default]
    #[arg(long, env = "POD_SERVICE_ACCOUNT", value_name = "NAME")]
    pub pod_service_account: Option<String>,
}

impl HolderArguments {
    /// kube-prepull's own images.
    pub fn own_images(&self) -> OwnImages {
        OwnImages::of(self.holder_image.as_deref(), &self.controller_image)
    }
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

/// Arguments of `render`.
#[derive(Debug, Args)]
pub struct RenderArguments {
    /// The list: a ConfigMap's manifest or the text of an images.yaml; - for standard input
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,
    /// How to print the manifests
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    pub output: ManifestFormat,
    /// The namespace of a list whose manifest names none [default: default, or with --discovered the kubeconfig's]
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// The name of the list, if FILE is the text of an images.yaml
    #[arg(long, value_name = "NAME", default_value = "images")]
    pub name: String,
    /// Print the manifests for OpenShift
    #[arg(long)]
    pub openshift: bool,
    /// The number of nodes over which to spread the pulls
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub nodes: usize,
    /// When the pulls begin, in RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    pub epoch: Option<jiff::Timestamp>,
    /// A secret that the holder's folder is computed from, so that no author of an image can guess it [default: random, or known to
    /// everybody with --epoch]
    #[arg(long, value_name = "TEXT")]
    pub seed: Option<String>,
    /// Add the images that the list has discovered in workloads, which only the cluster knows, and say in comments which
    /// workloads name them (docs/discovery.md)
    #[arg(long)]
    pub discovered: bool,
    /// How to find the cluster, with `discovered`.
    #[command(flatten)]
    pub kubeconfig: KubeconfigArguments,
    /// Where holders come from.
    #[command(flatten)]
    pub holder: HolderArguments,
}

/// How manifests are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ManifestFormat {
    /// YAML documents
    Yaml,
    /// One JSON List
    Json,
}

/// Arguments of `validate`.
#[derive(Debug, Args)]
pub struct ValidateArguments {
    /// The lists: manifests of ConfigMaps, the text of an images.yaml, a folder with a file per key (images.yaml or IMAGES), or else
    /// with manifests (*.yaml, *.yml, *.json; not recursive), or a pattern such as 'lists/*.yaml'; may be repeated; - for standard input
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true, num_args = 1..)]
    pub files: Vec<PathBuf>,
    /// How to print the validation result
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: ResultFormat,
    /// The namespace of a list whose manifest names none [default: its key NAMESPACE, or default]
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// The controller's policy, which says what lists may ask for: a file with YAML or JSON (docs/policy.md), or the values of the
    /// chart [default: the controller's default]
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Succeed for a list without images, which may be installed, but is no edit of a list that has some
    #[arg(long)]
    pub allow_empty: bool,
}

/// How a validation result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResultFormat {
    /// A line per problem, for people
    Text,
    /// One object, for programs
    Json,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArguments {
    /// The lists: the names of their ConfigMaps [default: all lists of the namespace]
    #[arg(id = "list", value_name = "LIST")]
    pub lists: Vec<String>,
    /// How to find the cluster.
    #[command(flatten)]
    pub cluster: ClusterArguments,
    /// Report the lists of all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Report only this list, as LIST does; may be repeated
    #[arg(long = "list", value_name = "NAME")]
    pub named_lists: Vec<String>,
    /// Report only images whose reference contains this text; may be repeated
    #[arg(long = "image", value_name = "TEXT")]
    pub images: Vec<String>,
    /// Report only this node; may be repeated
    #[arg(long = "node", value_name = "NAME")]
    pub nodes: Vec<String>,
    /// Where the report comes from; the leader's needs the right to forward ports to its pod (docs/status.md)
    #[arg(long, value_name = "SOURCE", default_value = "auto")]
    pub from: ReportSource,
    /// How to print the report
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: StatusFormat,
    /// Keep reporting until Ctrl-C: redraw on a terminal, elsewhere print a report for each change
    #[arg(short, long)]
    pub watch: bool,
}

impl StatusArguments {
    /// The names of the lists to report, however they were given. Empty for all lists.
    pub fn list_names(&self) -> BTreeSet<String> {
        self.lists.iter().chain(&self.named_lists).cloned().collect()
    }
}

/// Where a report comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportSource {
    /// The leader if it can be asked, or else the objects
    Auto,
    /// The controller that leads
    Leader,
    /// ConfigMaps, DaemonSets, pods and nodes
    Objects,
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    /// A table, for people
    Table,
    /// A table with nothing left out
    Wide,
    /// One object, for programs: docs/status.md
    Json,
    /// The same as YAML
    Yaml,
}

/// Arguments of `wait`.
#[derive(Debug, Args)]
pub struct WaitArguments {
    /// The list: the name of its ConfigMap [default: the name in FILE]
    pub list: Option<String>,
    /// How to find the cluster.
    #[command(flatten)]
    pub cluster: ClusterArguments,
    /// Wait for the data in this file instead of the data in the cluster: a ConfigMap's manifest, the text of an images.yaml, or a
    /// folder with a file per key; - for standard input
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Wait only until the list is accepted
    #[arg(long, conflicts_with_all = ["images", "nodes"])]
    pub accepted: bool,
    /// Wait only for this image, with @sha256:… only for that digest; may be repeated
    #[arg(long = "image", value_name = "REFERENCE")]
    pub images: Vec<Wanted>,
    /// On how many nodes the images must be warm: a share of those that count, such as 90%, or a number
    #[arg(long, value_name = "SHARE", default_value = "100%")]
    pub nodes: Share,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
    pub timeout: std::time::Duration,
    /// What standard output gets at the end; progress and reasons are on standard error
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: WaitFormat,
}

/// How the result of waiting is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WaitFormat {
    /// A sentence, for people
    Text,
    /// One object, for programs: docs/wait.md
    Json,
}

fn time(text: &str) -> Result<std::time::Duration, String> {
    let time = parse_interval(text).map_err(|error| format!("{error}; write it as 90s or 10m"))?;
    time.try_into().map_err(|_| "it must not be negative".to_owned())
}

/// Arguments of `refresh`.
#[derive(Debug, Args)]
pub struct RefreshArguments {
    /// The list: the name of its ConfigMap
    pub list: String,
    /// How to find the cluster.
    #[command(flatten)]
    pub cluster: ClusterArguments,
}

/// Arguments of `ui`.
#[derive(Debug, Args)]
pub struct UiArguments {
    /// How to find the cluster.
    #[command(flatten)]
    pub cluster: ClusterArguments,
    /// The port of this machine that the page is at; 0 for any that is free
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,
    /// Only print the address of the page, and open no browser
    #[arg(long)]
    pub no_open: bool,
}

/// The hours of the longest month.
const MOST_HOURS: u32 = 31 * 24;
/// A week.
const MOST_MINUTES: u32 = 7 * 24 * 60;

/// Arguments of `estimate`.
#[derive(Debug, Args)]
pub struct EstimateArguments {
    /// The list: a ConfigMap's manifest, the text of an images.yaml, or a folder with a file per key; - for standard input
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,
    /// How many pods start from the ImageCache; required if the list has one
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub pods: Option<u32>,
    /// How many hours a month each pod runs.
    #[arg(long, value_name = "HOURS", default_value = "720", value_parser = |text: &str| up_to(text, MOST_HOURS))]
    #[arg(help = format!("How many hours a month each pod runs, up to {MOST_HOURS}"))]
    pub pods_hours: Decimal,
    /// How many minutes building the ImageCache takes.
    #[arg(long, value_name = "MINUTES", default_value = "10", value_parser = |text: &str| up_to(text, MOST_MINUTES))]
    #[arg(help = format!("How many minutes building the ImageCache takes, up to {MOST_MINUTES}"))]
    pub build_minutes: Decimal,
    /// How many nodes the list's groups are on [default: report only the requests per node]
    #[arg(long, value_name = "NUMBER")]
    pub nodes: Option<u32>,
    /// A price file [default: the example config/prices.yaml]
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// How to print the estimate
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: EstimateFormat,
}

/// Parses a number of hours or minutes, which may have a fraction.
fn up_to(text: &str, most: u32) -> Result<Decimal, String> {
    let number = Decimal::from_str_exact(text).map_err(|_| "not a number such as 720 or 0.5".to_owned())?;
    if (Decimal::ZERO..=Decimal::from(most)).contains(&number) {
        Ok(number)
    } else {
        Err(format!("not between 0 and {most}"))
    }
}

/// How an estimate is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EstimateFormat {
    /// A table, for people
    Table,
    /// One object, for programs: docs/estimate.md
    Json,
    /// The same as YAML
    Yaml,
}

/// Arguments of `images`.
#[derive(Debug, Args)]
pub struct ImagesArguments {
    /// The lists: the names of their ConfigMaps [default: all lists of the namespace]
    #[arg(id = "list", value_name = "LIST", conflicts_with = "file")]
    pub lists: Vec<String>,
    /// How to find the cluster.
    #[command(flatten)]
    pub cluster: ClusterArguments,
    /// Read the lists from this file instead of the cluster: manifests of ConfigMaps, the text of an images.yaml, or a folder with a
    /// file per key; - for standard input
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Print only the images of this group; may be repeated
    #[arg(long = "group", value_name = "NAME")]
    pub groups: Vec<String>,
    /// Print only the images of groups that nodes of this architecture may belong to
    #[arg(long, value_name = "ARCHITECTURE", value_parser = architecture())]
    pub architecture: Option<Architecture>,
    /// Print each image by the digest that most nodes hold (of that architecture, if one is given), instead of by its tag
    #[arg(long)]
    pub digests: bool,
    /// How to print the images
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: ImagesFormat,
}

fn architecture() -> impl TypedValueParser<Value = Architecture> {
    PossibleValuesParser::new(Architecture::ALL.map(|(name, _)| name)).try_map(|name| {
        let found = Architecture::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, architecture)| *architecture).ok_or_else(|| format!("unknown architecture {name}"))
    })
}

/// How images are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImagesFormat {
    /// A reference per line
    Text,
    /// One object, for programs: docs/images.md
    Json,
}
