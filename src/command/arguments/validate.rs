//! Arguments of `validate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

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
