//! `images`: prints the images of lists, for those who pull them ahead of time.
//!
//! - [`file`]: reads the lists of a file
//! - [`cluster`]: reads the lists of a namespace, and what nodes hold of their images
//! - [`read_list`]: a list as it was read

mod cluster;
mod file;
mod read_list;

use std::io::Write;

use anyhow::{Context, anyhow};

use super::arguments::{ImagesArguments, ImagesFormat};
use super::outcome::{Outcome, wrong_usage};
use super::terminal::print_error;
use crate::pull_list::{ListToPull, PullList, PullSelection, some_of};
use crate::text::json;
use read_list::ReadList;

/// Prints the images of lists. What is not as it should be is printed to standard error.
///
/// # Errors
/// If the cluster cannot be read or has no such list, or the output cannot be written.
pub async fn images(arguments: ImagesArguments) -> anyhow::Result<Outcome> {
    let lists = match &arguments.file {
        Some(file) => match file::read(file, arguments.cluster.namespace.as_deref())? {
            Ok(lists) => lists,
            Err(outcome) => return Ok(outcome),
        },
        None => cluster::read(&arguments.cluster, &arguments.lists).await?,
    };
    let to_pull: Vec<ListToPull> = lists.iter().filter_map(ReadList::to_pull).collect();
    let selection =
        PullSelection { groups: arguments.groups, architecture: arguments.architecture, digests: arguments.digests };
    // The groups of a list that was never accepted are not known, and its problem is what there is to say.
    let are_known = lists.iter().all(|list| list.problem().is_none());
    if let Some(unknown) = selection.unknown_group(&to_pull).filter(|_| are_known) {
        return Ok(wrong_usage(&anyhow!(unknown)));
    }
    let pull_list = PullList::of(&to_pull, &selection);
    if arguments.file.is_some() && !pull_list.without_digest.is_empty() {
        return Ok(wrong_usage(&no_cluster(&pull_list)));
    }
    let are_complete = report(&lists, &pull_list);
    print(&pull_list, arguments.output, &mut std::io::stdout().lock()).context("cannot write the images")?;
    Ok(if are_complete { Outcome::Good } else { Outcome::Not })
}

fn no_cluster(pull_list: &PullList) -> anyhow::Error {
    anyhow!(
        "only the nodes of a cluster know the digest of a tag, and these images are not pinned: {}; \
         leave out --digests, or leave out --file to read the lists from a cluster",
        some_of(&pull_list.without_digest)
    )
}

/// Prints what is missing and what else the user should know. Returns whether nothing is missing.
fn report(lists: &[ReadList], pull_list: &PullList) -> bool {
    let notes = lists.iter().filter_map(ReadList::note).chain(pull_list.notes.iter().cloned());
    notes.for_each(|note| print_error(format!("note: {note}")));
    let missing = lists.iter().filter_map(ReadList::problem);
    let missing: Vec<String> = missing.chain(pull_list.without_digest.iter().map(ToString::to_string)).collect();
    missing.iter().for_each(|missing| print_error(format!("error: {missing}")));
    missing.is_empty()
}

fn print(pull_list: &PullList, format: ImagesFormat, output: &mut impl Write) -> anyhow::Result<()> {
    match format {
        ImagesFormat::Text => pull_list.print(output)?,
        ImagesFormat::Json => writeln!(output, "{}", json::escaped(&serde_json::to_string_pretty(pull_list)?))?,
    }
    Ok(())
}
