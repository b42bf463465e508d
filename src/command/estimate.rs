//! `estimate`: estimates what a list costs, offline.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, anyhow, ensure};

use super::arguments::{EstimateArguments, EstimateFormat};
use super::outcome::{Outcome, wrong_usage};
use super::{source, validate};
use crate::estimate::prices::Prices;
use crate::estimate::{Estimate, Usage, estimate as compute, print};
use crate::list::manifest::{Defaults, File};
use crate::list::{Config, parse};

/// Prints what a list costs. If it is rejected, prints the same validation result as `validate` to standard error.
///
/// # Errors
/// If the output cannot be written.
pub fn estimate(arguments: &EstimateArguments, output: &mut impl Write) -> anyhow::Result<Outcome> {
    let (file, prices) = match read(arguments) {
        Ok(read) => read,
        Err(error) => return Ok(wrong_usage(&error)),
    };
    let list = &file.lists[0];
    let config = parse(&list.list).config.filter(|_| list.manifest_problems().is_empty());
    let Some(config) = config else {
        validate::report(&arguments.file, &file, &mut anstream::stderr().lock())?;
        return Ok(Outcome::Not);
    };
    let Some(pods) = pods(arguments.pods, &config) else {
        return Ok(wrong_usage(&anyhow!(
            "{}: the list has an ImageCache, whose cost depends on how many pods start from it: pass --pods NUMBER",
            arguments.file.display()
        )));
    };
    let usage = Usage {
        pods,
        pods_hours: arguments.pods_hours,
        build_minutes: arguments.build_minutes,
        nodes: arguments.nodes,
    };
    let estimate = compute(&list.list, &config, prices, &usage);
    write(&estimate, arguments.output, output).context("cannot write the estimate")?;
    Ok(Outcome::Good)
}

/// How many pods start from ImageCaches, which has to be given if there are any.
fn pods(given: Option<u32>, config: &Config) -> Option<u32> {
    given.or(config.image_cache.is_none().then_some(0))
}

/// Reads the file with the list, and the prices.
fn read(arguments: &EstimateArguments) -> anyhow::Result<(File, Prices)> {
    let defaults = Defaults { namespace: None, name: validate::DEFAULT_NAME };
    let file = source::read_all(&arguments.file, defaults)?;
    let lists = file.lists.len();
    ensure!(lists == 1, "{}: the file has {lists} lists; pass one at a time", arguments.file.display());
    let prices = arguments.prices.as_deref().map_or_else(|| Ok(Prices::example()), read_prices)?;
    Ok((file, prices))
}

fn read_prices(path: &Path) -> anyhow::Result<Prices> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    Prices::parse(&text).map_err(|error| anyhow!("{shown}: {error}; see the example config/prices.yaml"))
}

fn write(estimate: &Estimate, format: EstimateFormat, output: &mut impl Write) -> anyhow::Result<()> {
    match format {
        EstimateFormat::Table => print(estimate, output)?,
        EstimateFormat::Json => {
            serde_json::to_writer_pretty(&mut *output, estimate)?;
            writeln!(output)?;
        }
        EstimateFormat::Yaml => output.write_all(serde_yaml::to_string(estimate)?.as_bytes())?,
    }
    Ok(())
}
