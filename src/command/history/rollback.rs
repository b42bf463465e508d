//! `rollback`: writes the data of an earlier version into the list.

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;

use super::read;
use crate::cluster::{command_reader, list_data};
use crate::command::arguments::RollbackArguments;
use crate::command::connection::connect;
use crate::command::outcome::Outcome;
use crate::command::rights::lacking;
use crate::command::terminal::{print_error, print_line};
use crate::list::manager::ListManager;
use crate::list::{ListData, parse};
use crate::messages::list_changes::list_changes;
use crate::plan::versions::Revision;

/// Writes the data of an earlier version into the list.
///
/// # Errors
/// If there is no such version, the list belongs to another tool, or it cannot be written.
pub async fn rollback(arguments: RollbackArguments) -> anyhow::Result<Outcome> {
    let (client, namespace) = connect(&arguments.cluster).await?;
    let name = arguments.list.as_str();
    let list = present(&client, &namespace, name).await?;
    if let Some(manager) = ListManager::of(&list.metadata).filter(|_| !arguments.force) {
        bail!("{manager} manages the list {namespace}/{name}: change it there, or write it all the same with --force");
    }
    let versions = read(&client, &namespace, name).await?;
    let written = ListData {
        namespace: namespace.clone(),
        name: name.to_owned(),
        data: list.data.clone().unwrap_or_default(),
        found: None,
    };
    let target = target(&versions, &written, arguments.to)?;
    let parsed = parse(&ListData { found: None, ..(*target.list).clone() });
    let Some(config) = parsed.config else {
        parsed.problems.iter().for_each(|problem| print_error(problem.to_string()));
        bail!("version {} would be rejected now", target.number);
    };
    let before = parse(&written).config;
    before.iter().flat_map(|before| list_changes(before, &config)).for_each(print_line);
    if arguments.dry_run {
        print_line(format!("{namespace}/{name} would go back to version {}; nothing was written", target.number));
        return Ok(Outcome::Good);
    }
    let written = list_data::write(&client, &list, &target.list.data).await;
    if !written.map_err(|error| lacking(error, "patch configmaps", &namespace))? {
        bail!("the list {namespace}/{name} was changed meanwhile; run the command again");
    }
    print_line(format!(
        "{namespace}/{name} is back at version {}. `kubectl prepull wait {name} --namespace {namespace}` waits until it is warm.",
        target.number
    ));
    Ok(Outcome::Good)
}

async fn present(client: &Client, namespace: &str, name: &str) -> anyhow::Result<ConfigMap> {
    let list = command_reader::list(client, namespace, name).await;
    let list = list.map_err(|error| lacking(error, "get and patch configmaps", namespace))?;
    list.with_context(|| {
        format!("there is no ConfigMap {name} in the namespace {namespace}; choose another with --namespace")
    })
}

/// The version to go back to: that of the number, or the newest one that is not what the list says now. They are sorted, the newest first.
fn target<'v>(versions: &'v [Revision], written: &ListData, number: Option<i64>) -> anyhow::Result<&'v Revision> {
    let is_other = |version: &&Revision| version.list.data != written.data;
    let Some(number) = number else {
        let Some(target) = versions.iter().find(is_other) else {
            bail!("the list has no accepted version but the present one");
        };
        return Ok(target);
    };
    let numbers = || versions.iter().map(|version| version.number.to_string()).collect::<Vec<_>>().join(", ");
    match versions.iter().find(|version| version.number == number) {
        None => bail!("there is no version {number}; there are {}", numbers()),
        Some(version) if !is_other(&version) => bail!("version {number} has the text that the list has now"),
        Some(version) => Ok(version),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn list(text: &str) -> ListData {
        ListData { data: [("images.yaml".to_owned(), text.to_owned())].into(), ..ListData::default() }
    }

    fn version(number: i64, text: &str) -> Revision {
        Revision {
            name: number.to_string(),
            uid: number.to_string(),
            number,
            list: Arc::new(list(text)),
            missing_since: None,
            created: None,
            image_caches: None,
        }
    }

    #[test]
    fn without_a_number_it_is_the_newest_version_that_the_list_does_not_have_now() {
        let versions = [version(9, "c"), version(7, "b"), version(3, "a")];
        let number = |written: &str, number| target(&versions, &list(written), number).map(|it| it.number).ok();
        assert_eq!(number("c", None), Some(7));
        assert_eq!(number("a bad edit", None), Some(9), "what is in effect");
        assert_eq!(number("c", Some(3)), Some(3));
        assert_eq!((number("c", Some(9)), number("c", Some(4))), (None, None));
        let only = [version(1, "a")];
        assert!(target(&only, &list("a"), None).is_err());
    }
}
