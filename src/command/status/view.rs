//! Reads the lists that the arguments of `status` select.

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
    list: Option<String>,
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
            list: arguments.list.clone(),
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
                self.ensure_has_lists(!report.lists.is_empty())?;
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
        // On which nodes an image is warm is not in a report, and neither is what several namespaces' pods request on one node.
        let namespace = match namespaces {
            [namespace] if self.filter.nodes.is_empty() => Some(namespace),
            _ => None,
        };
        let list = self.list.as_deref();
        match (self.from, namespace) {
            (ReportSource::Objects, _) | (ReportSource::Auto, None) => Ok(None),
            (ReportSource::Auto, Some(namespace)) => Ok(self.leaders.report_if_any(namespace, list).await),
            (ReportSource::Leader, Some(namespace)) => match self.leaders.report(namespace, list).await {
                Ok(report) => Ok(Some(report)),
                Err(obstacle) => bail!("no report from the leader: {obstacle}"),
            },
            (ReportSource::Leader, None) => {
                bail!("a leader reports on all nodes, and on one namespace; leave out --from leader")
            }
        }
    }

    async fn of_objects(&self, namespaces: &[String]) -> anyhow::Result<Report> {
        let inputs = command_reader::read(&self.client, namespaces, self.list.as_deref()).await;
        let inputs = inputs.map_err(|errors| self.unreadable(&errors))?;
        self.ensure_has_lists(inputs.iter().any(|(input, _)| !input.lists.is_empty()))?;
        self.ensure_nodes_exist(&inputs)?;
        let inputs: Vec<(&StatusInput, &Coverage)> = inputs.iter().map(|(input, coverage)| (input, coverage)).collect();
        Ok(Report::of(&inputs, &self.filter))
    }

    fn ensure_has_lists(&self, has_some: bool) -> anyhow::Result<()> {
        if !has_some {
            let which = self.list.as_ref().map(|list| format!(" {list}")).unwrap_or_default();
            let hint = match (&self.namespace, &self.list) {
                (Some(_), None) => "; choose another with --namespace, or all with --all-namespaces",
                _ => "",
            };
            bail!("there is no image list{which}{}{hint}", self.place());
        }
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
