//! The report for people.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::ListState;
use super::report::{Group, Image, List, NodesBehind, Report};

const GOOD: Style = AnsiColor::Green.on_default();
const BEHIND: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const HEADING: Style = Style::new().bold();

/// So many names of nodes are printed; JSON has all of them.
const NAMED: usize = 3;

/// Prints it. Colours are for whoever is behind `output` to keep or leave out.
///
/// # Errors
/// Where the output cannot be written.
pub fn print(report: &Report, output: &mut impl Write) -> io::Result<()> {
    for (index, list) in report.lists.iter().enumerate() {
        if index > 0 {
            writeln!(output)?;
        }
        print_list(&report.namespace, list, output)?;
    }
    if !report.nodes_known {
        writeln!(output, "\nNodes may not be read: only those are counted that the newest pods are made for.")?;
    }
    Ok(())
}

fn print_list(namespace: &str, list: &List, output: &mut impl Write) -> io::Result<()> {
    let (style, state) = match list.state {
        ListState::Accepted => (GOOD, "accepted"),
        ListState::Rejected => (BAD, "rejected; what was accepted before is in force"),
        ListState::NotJudged => (BEHIND, "edited, and the controller has not looked at it yet"),
        ListState::Missing => (BAD, "missing; what was made of it goes ten minutes after"),
    };
    writeln!(output, "{HEADING}{namespace}/{}{HEADING:#}: {style}{state}{style:#}", list.name)?;
    for problem in &list.problems {
        writeln!(output, "  {BAD}problem{BAD:#}: {}", printable(problem))?;
    }
    list.groups.iter().try_for_each(|group| print_group(group, output))
}

fn print_group(group: &Group, output: &mut impl Write) -> io::Result<()> {
    let generations = match group.generations.as_slice() {
        [] => "no generation yet".to_owned(),
        [newest] => newest.clone(),
        [newest, older @ ..] => format!("{newest}, and before it {}", older.join(", ")),
    };
    writeln!(output, "\ngroup {} ({generations})", group.name)?;
    let references = group.images.iter().map(|image| image.reference.len());
    let width = references.max().unwrap_or_default().max("IMAGE".len());
    writeln!(output, "  {HEADING}{:width$}  {:19}  {:>9}  WORST{HEADING:#}", "IMAGE", "DIGEST", "WARM")?;
    for image in &group.images {
        let style = if image.behind.is_empty() { GOOD } else { BEHIND };
        let warm = format!("{}/{}", image.nodes.by_state.get("warm").unwrap_or(&0), image.nodes.total);
        let worst = image.behind.first().map(reason).unwrap_or_default();
        let line = format!("  {:width$}  {:19}  {style}{warm:>9}{style:#}  {worst}", image.reference, digest(image));
        writeln!(output, "{}", line.trim_end())?;
    }
    print_behind(group, output)?;
    for thrash in &group.thrashing {
        writeln!(
            output,
            "  {BAD}{}{BAD:#}: its holder is evicted again and again for want of disk; give the node more, or shorten the list",
            thrash.node
        )?;
    }
    Ok(())
}

/// One cause mostly keeps several images from a node, so the same nodes with the same cause are one line.
fn print_behind(group: &Group, output: &mut impl Write) -> io::Result<()> {
    let mut lines: BTreeMap<(_, String, &[String]), Vec<&str>> = BTreeMap::new();
    for (image, behind) in group.images.iter().flat_map(|image| image.behind.iter().map(move |behind| (image, behind)))
    {
        lines.entry((behind.state, explained(behind), &behind.nodes)).or_default().push(&image.reference);
    }
    for ((_, why, nodes), images) in &lines {
        let count = if nodes.len() == 1 { "1 node".to_owned() } else { format!("{} nodes", nodes.len()) };
        writeln!(
            output,
            "  {BEHIND}{count}{BEHIND:#}: {why}\n      nodes:  {}\n      images: {}",
            some(nodes),
            some(images)
        )?;
    }
    Ok(())
}

fn reason(behind: &NodesBehind) -> String {
    match &behind.reason {
        Some(reason) => format!("{}: {}", behind.state, printable(reason)),
        None => behind.state.to_string(),
    }
}

fn explained(behind: &NodesBehind) -> String {
    match &behind.message {
        Some(message) => format!("{}: {}", reason(behind), printable(message)),
        None => reason(behind),
    }
}

fn some(names: &[impl AsRef<str>]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMED).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Twelve characters of a digest tell it from all others; where several are held, how many more there are.
fn digest(image: &Image) -> String {
    let mut digests: Vec<&str> =
        image.digests.values().flat_map(|digests| digests.keys()).map(String::as_str).collect();
    digests.sort_unstable();
    digests.dedup();
    let Some(first) = digests.first() else { return "-".to_owned() };
    let hexadecimal = first.rsplit(':').next().unwrap_or(first);
    let short: String = hexadecimal.chars().take(12).collect();
    match digests.len() {
        1 => short,
        number => format!("{short} and {}", number - 1),
    }
}

/// What registries say may hold line breaks and worse.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
