//! Arguments of `estimate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rust_decimal::Decimal;

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
