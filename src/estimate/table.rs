//! The estimate as a table.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::Estimate;
use super::serverless::{ImageCacheCosts, shown};
use crate::coverage::requests::Requests;
use crate::messages::format;

const HEADING: Style = Style::new().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// Prints the estimate with colours, which `output` may strip.
///
/// # Errors
/// The output cannot be written.
pub fn print(estimate: &Estimate, output: &mut impl Write) -> io::Result<()> {
    let Estimate { namespace, name, prices, .. } = estimate;
    writeln!(output, "{HEADING}{namespace}/{name}{HEADING:#}")?;
    match &estimate.image_caches {
        Some(serverless) => {
            print_charges(serverless, &prices.currency, output)?;
            let example = if prices.example { ", an example: give your own with --prices FILE" } else { "" };
            writeln!(output, "Prices of {} from {}{example}.", prices.date, prices.source)?;
        }
        None => writeln!(output, "The list asks for no ImageCache, so nothing is charged for virtual nodes.")?,
    }
    print_reserved(estimate, output)?;
    estimate.warnings.iter().try_for_each(|warning| writeln!(output, "{WARNING}warning{WARNING:#}: {warning}"))
}

fn print_charges(serverless: &ImageCacheCosts, currency: &str, output: &mut impl Write) -> io::Result<()> {
    let ImageCacheCosts { number, images, size_gib, .. } = serverless;
    let caches = if *number == 1 { "ImageCache".to_owned() } else { format!("{number} ImageCaches") };
    writeln!(output, "{caches} of {size_gib} GiB for {}, in {currency}:\n", format::number(*images, "image"))?;
    let widths = serverless.charges.iter().map(|charge| charge.what.len());
    let what = widths.max().unwrap_or_default();
    let money = shown(serverless.sum.month).len().max("A MONTH".len());
    writeln!(output, "  {HEADING}  {:what$}  {:>money$}  {:>money$}{HEADING:#}", "", "NOW", "A MONTH")?;
    for charge in &serverless.charges {
        let (now, month) = (shown(charge.amounts.now), shown(charge.amounts.month));
        writeln!(
            output,
            "  {} {:what$}  {now:>money$}  {month:>money$}  {}",
            charge.item, charge.what, charge.formula
        )?;
    }
    let (now, month) = (shown(serverless.sum.now), shown(serverless.sum.month));
    writeln!(output, "  {HEADING}  {:what$}  {now:>money$}  {month:>money$}{HEADING:#}\n", "sum")?;
    writeln!(
        output,
        "Each change of the list or of a digest adds {}: a build, and the previous snapshot for {} h more.",
        shown(serverless.each_change),
        serverless.keep_previous_hours.round_dp(2).normalize()
    )
}

fn print_reserved(estimate: &Estimate, output: &mut impl Write) -> io::Result<()> {
    let reserved = &estimate.reserved;
    writeln!(output, "\nReserved on nodes, up to twice as much during a rollout:\n")?;
    let names = reserved.groups.iter().map(|group| group.name.len() + "group ".len());
    let width = names.max().unwrap_or_default().max("all nodes".len());
    let mut line = |what: &str, requests: Requests, more: &str| {
        let (cpu, memory) = (requests.cpu_millis, format::bytes(requests.memory_bytes));
        let storage = match requests.ephemeral_storage_bytes {
            0 => String::new(),
            bytes => format!("; {} ephemeral storage", format::bytes(bytes)),
        };
        writeln!(output, "  {what:width$}  {:>8}  {memory:>8}{more}{storage}", format!("{cpu}m"))
    };
    for group in &reserved.groups {
        let pods = if group.pods == 1 { String::new() } else { format!(" in {}", format::number(group.pods, "pod")) };
        line(
            &format!("group {}", group.name),
            group.per_node,
            &format!("  on each of its nodes, {}{pods}", format::number(group.images, "image")),
        )?;
    }
    if reserved.groups.len() > 1 {
        line("all", reserved.per_node, "  on a node that matches all groups")?;
    }
    if let Some(cluster) = reserved.cluster {
        line("all nodes", cluster, "  if each matches all groups")?;
    }
    let overhead = format::bytes(reserved.overhead_bytes);
    let nodes = if reserved.groups.len() > 1 { "a node that matches all groups" } else { "each of these nodes" };
    writeln!(
        output,
        "\nkubelet and containerd need about {overhead} of memory more on {nodes}, which no request covers.\n"
    )
}
