//! Reads the lists of a file, offline.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use super::read_list::ReadList;
use crate::command::outcome::{Outcome, wrong_usage};
use crate::command::{source, validate};
use crate::list::manifest::{Defaults, FileList};
use crate::list::parse;

/// The lists of a file. If one is rejected, prints the same validation result as `validate` to standard error, and returns how the
/// command ends.
///
/// # Errors
/// If the validation result cannot be written.
pub fn read(file: &Path, namespace: Option<&str>) -> anyhow::Result<Result<Vec<ReadList>, Outcome>> {
    let read = match source::read_all(file, Defaults { namespace, name: validate::DEFAULT_NAME }) {
        Ok(read) => read,
        Err(error) => return Ok(Err(wrong_usage(&error))),
    };
    let lists: Option<Vec<ReadList>> = read.lists.iter().map(accepted).collect();
    let Some(lists) = lists else {
        validate::report(file, &read, &mut anstream::stderr().lock()).context("cannot write the validation result")?;
        return Ok(Err(Outcome::Not));
    };
    Ok(Ok(lists))
}

/// A list that the controller would accept, or that is new and has no images yet.
fn accepted(list: &FileList) -> Option<ReadList> {
    let parsed = parse(&list.list);
    let is_accepted = list.manifest_problems().is_empty() && (parsed.config.is_some() || parsed.empty);
    is_accepted.then(|| ReadList {
        namespace: list.list.namespace.clone(),
        name: list.list.name.clone(),
        config: parsed.config.map(Arc::new),
        report: None,
    })
}
