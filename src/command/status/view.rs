//! Reads the lists that the arguments of `status` select.

use std::collections::BTreeSet;

use anyhow::{bail, ensure};
use kube::Client;

use crate::cluster::command_reader;
use crate::cluster::leader_report::LeaderReports;
use crate::command::arguments::{ReportSource, StatusArguments};
use crate::command::connection::connect;
use crate::command::terminal::ErrorLines;
use crate::coverage::Coverage;
use crate::error::Error;
use crate::status::{Filter, Report, StatusInput};
use crate::text::CleanText;

/// The part of a cluster that is to be reported.
pub struct View {
    client: Client,
    leaders: LeaderReports,
    from: ReportSource,
    /// `None` for all namespaces that have lists.
    namespace: Option<String>,
    /// Empty for all lists.
    lists: BTreeSet<String>,
    filter: Filter,
}

impl View {
    /// Connects to the cluster that the arguments name.
    ///
    /// # Errors
    /// If there is no usable configuration of a cluster.
    pub async fn open(arguments: &StatusArguments) -> anyhow::Result<Self> {
        let (client, namespace) = connect(&arguments.cluster).await?;
        let images = arguments.images.clone();
        Ok(Self {
            leaders: LeaderReports::new(client.clone()),
            from: arguments.from,
            client,
            namespace: Some(namespace).filter(|_| !arguments.all_namespaces),
            lists: arguments.list_names(),
            filter: Filter { images, nodes: arguments.nodes.iter().cloned().collect() },
        })
    }

    /// The leader's report, or one that is made of what the cluster has.
    ///
    /// # Errors
    /// If something cannot be read, or nothing matches the arguments.
    pub async fn report(&self) -> anyhow::Result<Report> {
        let namespaces = match &self.namespace {
            Some(namespace) => vec![namespace.clone()],
            None => {
                command_reader::namespaces_with_lists(&self.client).await.map_err(|error| self.unreadable(&[error]))?
            }
        };
        let report = match self.of_leader(&namespaces).await? {
            Some(report) => {
                self.ensure_has_lists(&report.lists.iter().map(|list| list.name.as_str()).collect())?;
                report.on_images(&self.filter)
            }
            None => self.of_objects(&namespaces).await?,
        };
        ensure!(
            self.filter.images.is_empty() || !report.lists.is_empty(),
            "no list{} has an image like {}",
            self.place(),
            self.filter.images.join(" or ")
        );
        Ok(report)
    }

    /// `None` if the objects have to be read.
    async fn of_leader(&self, namespaces: &[String]) -> anyhow::Result<Option<Report>> {
        // On which nodes an image is warm is not in a report, and neither is what the pods of several namespaces or chosen lists request on
        // one node.
        let namespace = match namespaces {
            [namespace] if self.filter.nodes.is_empty() && self.lists.len() <= 1 => Some(namespace),
            _ => None,
        };
        let list = only(&self.lists);
        match (self.from, namespace) {
            (ReportSource::Objects, _) | (ReportSource::Auto, None) => Ok(None),
            (ReportSource::Auto, Some(namespace)) => Ok(self.leaders.report_if_any(namespace, list).await),
            (ReportSource::Leader, Some(namespace)) => match self.leaders.report(namespace, list).await {
                Ok(report) => Ok(Some(report)),
                Err(obstacle) => bail!("no report from the leader: {obstacle}"),
            },
            (ReportSource::Leader, None) => {
                bail!(
                    "a leader reports on all nodes, and on one list or all lists of one namespace; leave out --from leader"
                )
            }
        }
    }

    async fn of_objects(&self, namespaces: &[String]) -> anyhow::Result<Report> {
        let inputs = command_reader::read(&self.client, namespaces, only(&self.lists)).await;
        let mut inputs = inputs.map_err(|errors| self.unreadable(&errors))?;
        inputs.iter_mut().for_each(|(input, _)| input.lists.retain(|list| is_wanted(&self.lists, &list.name)));
        let lists = inputs.iter().flat_map(|(input, _)| &input.lists);
        self.ensure_has_lists(&lists.map(|list| list.name.as_str()).collect())?;
        self.ensure_nodes_exist(&inputs)?;
        let inputs: Vec<(&StatusInput, &Coverage)> = inputs.iter().map(|(input, coverage)| (input, coverage)).collect();
        Ok(Report::of(&inputs, &self.filter))
    }

    fn ensure_has_lists(&self, found: &BTreeSet<&str>) -> anyhow::Result<()> {
        let hint = match &self.namespace {
            Some(_) => "; choose another with --namespace, or all with --all-namespaces",
            None => "",
        };
        let missing = missing(&self.lists, found);
        ensure!(missing.is_empty(), "there is no image list {}{}", missing.join(" or "), self.place());
        ensure!(!found.is_empty(), "there is no image list{}{hint}", self.place());
        Ok(())
    }

    fn ensure_nodes_exist(&self, inputs: &[(StatusInput, Coverage)]) -> anyhow::Result<()> {
        let known = inputs.iter().find_map(|(input, _)| input.nodes.as_ref());
        let unknown =
            self.filter.nodes.iter().find(|name| known.is_some_and(|it| it.iter().all(|node| node.name != **name)));
        match unknown {
            Some(name) => bail!("there is no node {name}"),
            None => Ok(()),
        }
    }

    fn place(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!(" in the namespace {namespace}"),
            None => " in any namespace".to_owned(),
        }
    }

    fn unreadable(&self, errors: &[Error]) -> anyhow::Error {
        unreadable(&self.place(), errors)
    }
}

/// The name of the only list that is wanted.
fn only(names: &BTreeSet<String>) -> Option<&str> {
    names.first().filter(|_| names.len() == 1).map(String::as_str)
}

fn is_wanted(names: &BTreeSet<String>, list: &str) -> bool {
    names.is_empty() || names.contains(list)
}

/// The names of wanted lists that were not found.
fn missing<'w>(wanted: &'w BTreeSet<String>, found: &BTreeSet<&str>) -> Vec<&'w str> {
    wanted.iter().map(String::as_str).filter(|name| !found.contains(name)).collect()
}

/// The error for what could not be read in `place`. It names all missing rights, so that they can be granted at once.
pub fn unreadable(place: &str, errors: &[Error]) -> anyhow::Error {
    let missing: Vec<&str> = errors
        .iter()
        .filter_map(|error| match error {
            Error::Forbidden { message, .. } => Some(message.as_str()),
            _ => None,
        })
        .collect();
    // All requests fail for the same reason then.
    if let Some(problem) = errors.iter().find_map(Error::connection_problem) {
        return anyhow::anyhow!("{problem}");
    }
    if missing.is_empty() {
        return ErrorLines(errors.iter().map(CleanText::of).collect()).into();
    }
    let mut lines = vec!["not allowed to read everything that the report needs:".into()];
    lines.extend(missing.into_iter().map(|missing| CleanText::from(format!("  {missing}"))));
    lines.push(
        format!(
            "grant this user the right to list configmaps, pods, daemonsets.apps and controllerrevisions.apps and to get \
             configmaps{place}, and to list nodes if possible"
        )
        .into(),
    );
    ErrorLines(lines).into()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::command::arguments::{Arguments, Command};

    fn names(arguments: &[&str]) -> BTreeSet<String> {
        let line = [&["kube-prepull", "status"], arguments].concat();
        match Arguments::try_parse_from(line).expect("the arguments are right").command {
            Command::Status(arguments) => arguments.list_names(),
            other => panic!("not status: {other:?}"),
        }
    }

    #[test]
    fn a_list_is_named_with_and_without_the_option() {
        assert_eq!(names(&[]), BTreeSet::new());
        assert_eq!(names(&["tools"]), names(&["--list", "tools"]));
        let all = names(&["tools", "more", "--list", "gpu", "--list=tools"]);
        assert_eq!(all.iter().collect::<Vec<_>>(), ["gpu", "more", "tools"]);
        assert_eq!((only(&all), only(&names(&["tools"])), only(&names(&[]))), (None, Some("tools"), None));
    }

    #[test]
    fn all_lists_are_wanted_unless_some_are_named() {
        let (none, two) = (names(&[]), names(&["a", "b"]));
        assert!(is_wanted(&none, "c") && is_wanted(&two, "a") && !is_wanted(&two, "c"));
        let found = BTreeSet::from(["a"]);
        assert_eq!(missing(&none, &found), [""; 0]);
        assert_eq!(missing(&two, &found), ["b"]);
    }
}
