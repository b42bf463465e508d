//! Arguments of `render`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::cluster::KubeconfigArguments;
use super::holder::HolderArguments;

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
