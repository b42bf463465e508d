//! Arguments of `images`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};

use super::cluster::ClusterArguments;
use crate::list::config::Architecture;

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
