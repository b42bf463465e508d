//! `wait`: until exactly this list is accepted, and its images are warm.
//!
//! - [`goal`]: what is waited for, and how far it is. Pure
//! - [`progress`]: a line that tells it

pub mod goal;
mod progress;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use goal::{Goal, Warmth};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Client, ResourceExt};
use progress::Progress;

use super::Outcome;
use super::arguments::WaitArguments;
use super::source;
use super::status::view::{connect, in_words};
use super::status::{layout, pause_after};
use crate::cluster::{Error, objects, reader};
use crate::list::ListData;
use crate::list::manifest::Defaults;
use crate::naming::labels;
use crate::plan::validation_result::data_hash;
use crate::status::{Filter, ListState, Report, print};

/// The pause between two looks at the list alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Waits until the list is accepted and its images are warm.
///
/// # Errors
/// Where something may not be read, or there is no such list.
pub async fn wait(arguments: WaitArguments) -> anyhow::Result<Outcome> {
    let file = match arguments.file.as_deref().map(|file| read(&arguments, file)).transpose() {
        Ok(file) => file,
        Err(error) => return Ok(super::wrong_usage(&error)),
    };
    let (client, namespace) = connect(&arguments.cluster).await?;
    let namespace = match file.as_ref().map(|list| list.namespace.clone()).filter(|namespace| !namespace.is_empty()) {
        Some(namespace) => namespace,
        None => namespace,
    };
    let Some(name) = arguments.list.clone().or_else(|| file.as_ref().map(|list| list.name.clone())) else {
        return Ok(super::wrong_usage(&anyhow::anyhow!("name the list, or give the file that it is in (--file)")));
    };
    let begun = Instant::now();
    let mut waiting = Waiting {
        client,
        namespace,
        name,
        hash: file.map(|list| data_hash(&list.data)),
        from_file: arguments.file.is_some(),
        deadline: begun + arguments.timeout,
        progress: Progress::new(),
    };
    if let Some(outcome) = waiting.until_accepted().await? {
        return Ok(outcome);
    }
    if arguments.accepted {
        waiting.done("accepted");
        return Ok(Outcome::Good);
    }
    waiting.until_warm(Goal { images: arguments.images, share: arguments.nodes }).await
}

/// The list in a file: the only one, or the one that is named.
fn read(arguments: &WaitArguments, file: &std::path::Path) -> anyhow::Result<ListData> {
    let name = arguments.list.as_deref();
    // A text without a manifest has no name of its own, and what names no namespace is where the cluster's configuration says.
    let namespace = arguments.cluster.namespace.as_deref().unwrap_or_default();
    let defaults = Defaults { namespace: Some(namespace), name: name.unwrap_or_default() };
    let mut lists = source::read_all(file, defaults)?.lists;
    if let (true, Some(name)) = (file.is_dir(), name) {
        lists.iter_mut().for_each(|list| name.clone_into(&mut list.list.name));
    }
    if let Some(name) = name {
        lists.retain(|list| list.list.name == name || list.list.name.is_empty());
    }
    let shown = file.display();
    let list = match lists.len() {
        0 => bail!("{shown}: there is no list {} in it", name.unwrap_or_default()),
        1 => lists.remove(0),
        several => bail!("{shown}: there are {several} lists in it; name the one to wait for"),
    };
    if let Some(problem) = list.manifest_problems().first() {
        bail!("{shown}: {problem}");
    }
    let list = list.list;
    let elsewhere = arguments.cluster.namespace.as_ref().filter(|wanted| **wanted != list.namespace);
    if let Some(wanted) = elsewhere.filter(|_| !list.namespace.is_empty()) {
        bail!("{shown}: the list is of the namespace {}, and --namespace says {wanted}", list.namespace);
    }
    if list.name.is_empty() {
        bail!("{shown}: this text names no list; name the one that it is the data of");
    }
    Ok(list)
}

/// A list that is waited for.
struct Waiting {
    client: Client,
    namespace: String,
    name: String,
    /// The hash of the data that is waited for, once it is known.
    hash: Option<String>,
    from_file: bool,
    deadline: Instant,
    progress: Progress,
}

impl Waiting {
    /// `None` once it is accepted.
    async fn until_accepted(&mut self) -> anyhow::Result<Option<Outcome>> {
        loop {
            let told = match self.read_list().await? {
                Some(Ok(list)) => match self.list_state(list.as_ref())? {
                    Validation::Accepted => return Ok(None),
                    Validation::Rejected(problems) => return Ok(Some(self.rejected(&problems))),
                    Validation::Pending(why) => why,
                },
                Some(Err(condition)) => condition,
                None => "the cluster does not answer".to_owned(),
            };
            self.progress.tell(&format!("{}: {told}", self.what()));
            if !self.pause(PAUSE).await {
                eprintln!("not in time: {}: {told}", self.what());
                return Ok(Some(Outcome::Not));
            }
        }
    }

    /// The list, or what kept it from being read; `None` where the time ran out.
    async fn read_list(&self) -> anyhow::Result<Option<Result<Option<ConfigMap>, String>>> {
        let Some(answer) = self.in_time(reader::list(&self.client, &self.namespace, &self.name)).await else {
            return Ok(None);
        };
        match answer {
            Ok(list) => Ok(Some(Ok(list))),
            Err(error @ Error::Forbidden { .. }) => Err(in_words(&self.place(), &[error])),
            Err(error) => Ok(Some(Err(error.to_string()))),
        }
    }

    /// What the controller says of the data that is waited for.
    fn list_state(&mut self, list: Option<&ConfigMap>) -> anyhow::Result<Validation> {
        let Some(list) = list else {
            if self.from_file {
                return Ok(Validation::Pending("the list is not there yet".to_owned()));
            }
            bail!(
                "there is no ConfigMap {} in the namespace {}; choose another with --namespace",
                self.name,
                self.namespace
            );
        };
        let hash = data_hash(&list.data.clone().unwrap_or_default());
        let wanted = self.hash.get_or_insert_with(|| hash.clone());
        if *wanted != hash {
            if self.from_file {
                return Ok(Validation::Pending("its data is not that of the file yet".to_owned()));
            }
            bail!("{}/{} was edited meanwhile, so what was waited for will never be", self.namespace, self.name);
        }
        Ok(match objects::state(list) {
            ListState::Accepted => Validation::Accepted,
            ListState::Rejected => {
                Validation::Rejected(list.annotations().get(labels::PROBLEMS).cloned().unwrap_or_default())
            }
            _ => Validation::Pending("the controller has not looked at it yet".to_owned()),
        })
    }

    fn rejected(&self, problems: &str) -> Outcome {
        eprintln!("{} is rejected; what was accepted before stays in force:", self.what());
        problems.lines().for_each(|problem| eprintln!("  {problem}"));
        Outcome::Not
    }

    async fn until_warm(mut self, goal: Goal) -> anyhow::Result<Outcome> {
        let begun = Timestamp::now();
        let (mut first, mut last): (Option<Warmth>, Option<Report>) = (None, None);
        let mut settled = false;
        loop {
            let looked = Instant::now();
            let mut condition = None;
            match self.report().await? {
                None => {}
                Some(Err(error)) => condition = Some(error),
                Some(Ok(report)) => {
                    let warmth = match self.warmth(&goal, &report).await? {
                        Ok(warmth) => warmth,
                        Err(outcome) => return Ok(outcome),
                    };
                    // Where nodes may not be read, pods tell of them, and these come one after the other.
                    let is_enough = warmth.is_reached() && (report.nodes_known || settled);
                    if is_enough {
                        self.done(&format!("accepted and warm: {warmth}"));
                        return Ok(Outcome::Good);
                    }
                    settled = warmth.is_reached();
                    let first = first.get_or_insert_with(|| warmth.clone());
                    let left = warmth.time_left(first, begun, report.time);
                    self.progress.report_with(&format!("{}: {warmth}", self.what()), left);
                    last = Some(report);
                }
            }
            if let Some(condition) = condition {
                self.progress.tell(&format!("{}: {condition}", self.what()));
            }
            if !self.pause(pause_after(looked.elapsed())).await {
                return self.too_late(&goal, last.as_ref());
            }
        }
    }

    /// How far it is; or that it will never be.
    async fn warmth(&mut self, goal: &Goal, report: &Report) -> anyhow::Result<Result<Warmth, Outcome>> {
        let list = report.lists.first();
        let in_force = list.is_some_and(|list| list.state == ListState::Accepted && list.data_hash == self.hash);
        if let (true, Some(list)) = (in_force, list) {
            return Ok(match goal.warmth(list, report.nodes_known) {
                Ok(warmth) => Ok(warmth),
                Err(unknown) => Err(super::wrong_usage(&anyhow::anyhow!("{unknown}"))),
            });
        }
        // It was accepted a moment ago.
        match self.read_list().await? {
            Some(Ok(found)) => match self.list_state(found.as_ref())? {
                Validation::Rejected(problems) => Ok(Err(self.rejected(&problems))),
                _ => Ok(Ok(Warmth::default())),
            },
            _ => Ok(Ok(Warmth::default())),
        }
    }

    /// A report on the list, or what kept it from being made; `None` where the time ran out.
    async fn report(&self) -> anyhow::Result<Option<Result<Report, String>>> {
        let namespaces = [self.namespace.clone()];
        let Some(looks) = self.in_time(reader::read(&self.client, &namespaces, Some(&self.name))).await else {
            return Ok(None);
        };
        match looks {
            Ok(looks) => {
                let looks: Vec<_> = looks.iter().map(|(input, coverage)| (input, coverage)).collect();
                Ok(Some(Ok(Report::of(&looks, &Filter::default()))))
            }
            Err(errors) if errors.iter().any(|error| matches!(error, Error::Forbidden { .. })) => {
                Err(in_words(&self.place(), &errors))
            }
            Err(errors) => Ok(Some(Err(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))),
        }
    }

    fn too_late(&mut self, goal: &Goal, report: Option<&Report>) -> anyhow::Result<Outcome> {
        self.progress.end();
        let Some(report) = report else {
            eprintln!("not in time: {}: the cluster did not answer", self.what());
            return Ok(Outcome::Not);
        };
        eprintln!("not in time: {}", self.what());
        let lacking = goal.lacking(report);
        let mut output = anstream::stderr().lock();
        print(&lacking, layout(&std::io::stderr(), false), &mut output).context("cannot write the report")?;
        for line in goal.other_digests(report) {
            eprintln!("  {line}");
        }
        Ok(Outcome::Not)
    }

    fn done(&mut self, how: &str) {
        self.progress.end();
        println!("{} is {how}", self.what());
    }

    /// What comes out in time.
    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout_at(self.deadline.into(), work).await.ok()
    }

    /// Whether there is still time after a pause.
    async fn pause(&self, pause: Duration) -> bool {
        let until = (Instant::now() + pause).min(self.deadline);
        tokio::time::sleep_until(until.into()).await;
        Instant::now() < self.deadline
    }

    fn what(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    fn place(&self) -> String {
        format!(" in the namespace {}", self.namespace)
    }
}

/// What the controller says of the data that is waited for.
enum Validation {
    Accepted,
    /// With its problems, a line each.
    Rejected(String),
    /// It has not said anything; why not.
    Pending(String),
}
