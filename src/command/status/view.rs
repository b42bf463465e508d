//! What `status` and `wait` look at.

use anyhow::{bail, ensure};
use kube::Client;

use crate::cluster::connect::{self, ClusterArguments};
use crate::cluster::{Error, reader};
use crate::command::arguments::{self, StatusArguments};
use crate::coverage::Coverage;
use crate::status::{Filter, Report, StatusInput};

/// A part of a cluster.
pub struct View {
    client: Client,
    /// `None`: all in which there are lists.
    namespace: Option<String>,
    list: Option<String>,
    filter: Filter,
}

impl View {
    /// What the arguments of `status` name.
    ///
    /// # Errors
    /// Where there is no usable configuration of a cluster.
    pub async fn open(arguments: &StatusArguments) -> anyhow::Result<Self> {
        let (client, namespace) = connect(&arguments.cluster).await?;
        let images = arguments.images.clone();
        Ok(Self {
            client,
            namespace: Some(namespace).filter(|_| !arguments.all_namespaces),
            list: arguments.list.clone(),
            filter: Filter { images, nodes: arguments.nodes.iter().cloned().collect() },
        })
    }

    /// Looks at it.
    ///
    /// # Errors
    /// Where something cannot be read, or nothing is there.
    pub async fn report(&self) -> anyhow::Result<Report> {
        let namespaces = match &self.namespace {
            Some(namespace) => vec![namespace.clone()],
            None => reader::namespaces_with_lists(&self.client).await.map_err(|error| self.in_words(&[error]))?,
        };
        let looks = reader::read(&self.client, &namespaces, self.list.as_deref()).await;
        let looks = looks.map_err(|errors| self.in_words(&errors))?;
        self.ensure_something_is_there(&looks)?;
        let looks: Vec<(&StatusInput, &Coverage)> = looks.iter().map(|(input, coverage)| (input, coverage)).collect();
        let report = Report::of(&looks, &self.filter);
        ensure!(
            self.filter.images.is_empty() || !report.lists.is_empty(),
            "no list{} has an image like {}",
            self.place(),
            self.filter.images.join(" or ")
        );
        Ok(report)
    }

    fn ensure_something_is_there(&self, looks: &[(StatusInput, Coverage)]) -> anyhow::Result<()> {
        if looks.iter().all(|(input, _)| input.lists.is_empty()) {
            let which = self.list.as_ref().map(|list| format!(" {list}")).unwrap_or_default();
            let hint = match (&self.namespace, &self.list) {
                (Some(_), None) => "; choose another with --namespace, or look at all with --all-namespaces",
                _ => "",
            };
            bail!("there is no image list{which}{}{hint}", self.place());
        }
        let known = looks.iter().find_map(|(input, _)| input.nodes.as_ref());
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

    /// Rights that are missing are told together, since whoever grants them wants to do so once.
    fn in_words(&self, errors: &[Error]) -> anyhow::Error {
        in_words(&self.place(), errors)
    }
}

/// A client, and the namespace that the arguments or the configuration name.
///
/// # Errors
/// Where there is no usable configuration of a cluster.
pub async fn connect(arguments: &arguments::ClusterArguments) -> anyhow::Result<(Client, String)> {
    let cluster = ClusterArguments { kubeconfig: arguments.kubeconfig.clone(), context: arguments.context.clone() };
    let (client, default_namespace) = connect::connect(&cluster).await?;
    Ok((client, arguments.namespace.clone().unwrap_or(default_namespace)))
}

/// What could not be read `place`, and which rights would help.
pub fn in_words(place: &str, errors: &[Error]) -> anyhow::Error {
    let missing: Vec<&str> = errors
        .iter()
        .filter_map(|error| match error {
            Error::Forbidden { message, .. } => Some(message.as_str()),
            _ => None,
        })
        .collect();
    if missing.is_empty() {
        return anyhow::anyhow!(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }
    anyhow::anyhow!(
        "not allowed to read what the report is made from:\n  {}\n\
         grant this user the right to list configmaps, pods, daemonsets.apps and controllerrevisions.apps and to get \
         configmaps{place}, and to list nodes if possible",
        missing.join("\n  ")
    )
}
