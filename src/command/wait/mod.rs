//! `wait`: waits until exactly this list is accepted and its images are warm.
//!
//! - [`goal`]: the goal, and how close it is. Pure
//! - [`progress`]: prints that
//! - [`result`]: the result, for programs. Pure

pub mod goal;
mod progress;
mod result;

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use goal::{Goal, Warmth};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Client, ResourceExt};
use progress::Progress;
use result::WaitResult;

use super::arguments::{WaitArguments, WaitFormat};
use super::connection::connect;
use super::outcome::{Outcome, wrong_usage};
use super::source;
use super::status::view::unreadable;
use super::status::{layout, pause_after};
use super::terminal::{print_error, print_line};
use crate::cluster::leader_report::LeaderReports;
use crate::cluster::{command_reader, status_input};
use crate::error::Error;
use crate::list::ListData;
use crate::list::manifest::Defaults;
use crate::messages::lists;
use crate::naming::labels;
use crate::plan::validation_result::data_hash;
use crate::status::{Filter, ListState, Report, print};
use crate::text::CleanText;

/// The pause before the list is read again, until it is accepted.
const PAUSE: Duration = Duration::from_secs(1);

/// Waits until the list is accepted and its images are warm.
///
/// # Errors
/// If something may not be read, or there is no such list.
pub async fn wait(arguments: WaitArguments) -> anyhow::Result<Outcome> {
    let (begun, format) = (Instant::now(), arguments.output);
    let mut result = WaitResult::new();
    let outcome = wait_for(arguments, &mut result).await;
    if format == WaitFormat::Json {
        result.end(&outcome, begun.elapsed());
        let json = result.as_json().context("cannot write the result")?;
        writeln!(std::io::stdout().lock(), "{json}").context("cannot write the result")?;
    }
    outcome
}

async fn wait_for(arguments: WaitArguments, result: &mut WaitResult) -> anyhow::Result<Outcome> {
    result.list = arguments.list.as_deref().map(CleanText::from);
    let file = match arguments.file.as_deref().map(|file| read(&arguments, file)).transpose() {
        Ok(file) => file,
        Err(error) => return Ok(unusable(result, &error)),
    };
    let (client, namespace) = connect(&arguments.cluster).await?;
    let namespace = match file.as_ref().map(|list| list.namespace.clone()).filter(|namespace| !namespace.is_empty()) {
        Some(namespace) => namespace,
        None => namespace,
    };
    let Some(name) = arguments.list.clone().or_else(|| file.as_ref().map(|list| list.name.clone())) else {
        return Ok(unusable(result, &anyhow!("specify a list, or a file with --file")));
    };
    (result.namespace, result.list) = (Some(CleanText::from(&namespace)), Some(CleanText::from(&name)));
    let begun = Instant::now();
    let mut waiting = Wait {
        leaders: LeaderReports::new(client.clone()),
        client,
        namespace,
        name,
        hash: file.map(|list| data_hash(&list.data)),
        from_file: arguments.file.is_some(),
        images: arguments.images.iter().map(|image| image.as_str().to_owned()).collect(),
        deadline: begun + arguments.timeout,
        progress: Progress::new(),
        answered: false,
        format: arguments.output,
        result,
    };
    if let Some(outcome) = waiting.until_accepted().await? {
        return Ok(outcome);
    }
    waiting.result.accepted = true;
    if arguments.accepted {
        waiting.done("accepted");
        return Ok(Outcome::Good);
    }
    waiting.until_warm(Goal { images: arguments.images, share: arguments.nodes }).await
}

/// Reads the list from a file: the only one, or the one that the arguments name.
fn read(arguments: &WaitArguments, file: &std::path::Path) -> anyhow::Result<ListData> {
    let name = arguments.list.as_deref();
    // The text of an images.yaml has no name. A list without a namespace is in the one that the cluster's configuration names.
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
        0 => bail!("{shown}: the file has no list {}", name.unwrap_or_default()),
        1 => lists.remove(0),
        several => bail!("{shown}: the file has {several} lists; specify the one to wait for"),
    };
    if let Some(problem) = list.manifest_problems().first() {
        bail!("{shown}: {problem}");
    }
    let list = list.list;
    let elsewhere = arguments.cluster.namespace.as_ref().filter(|wanted| **wanted != list.namespace);
    if let Some(wanted) = elsewhere.filter(|_| !list.namespace.is_empty()) {
        bail!("{shown}: the list is in namespace {}, but --namespace is {wanted}", list.namespace);
    }
    if list.name.is_empty() {
        bail!("{shown}: a plain images.yaml has no name: pass the name of its list as an argument");
    }
    Ok(list)
}

/// What is wrong with the arguments or files is a reason, too.
fn unusable(result: &mut WaitResult, error: &anyhow::Error) -> Outcome {
    result.add_reasons(&format!("{error:#}"));
    wrong_usage(error)
}

/// The list to wait for.
struct Wait<'r> {
    client: Client,
    leaders: LeaderReports,
    namespace: String,
    name: String,
    /// The hash of the expected data, once that is known.
    hash: Option<String>,
    from_file: bool,
    /// The images to wait for; empty: all.
    images: Vec<String>,
    deadline: Instant,
    progress: Progress,
    /// Whether the cluster has answered a request.
    answered: bool,
    format: WaitFormat,
    /// The result so far.
    result: &'r mut WaitResult,
}

impl Wait<'_> {
    /// Waits until the list is accepted; `None` once it is.
    async fn until_accepted(&mut self) -> anyhow::Result<Option<Outcome>> {
        loop {
            let state = match self.read_list().await? {
                Some(Ok(list)) => match self.list_state(list.as_ref())? {
                    Validation::Accepted => return Ok(None),
                    Validation::Rejected(problems) => return Ok(Some(self.rejected(&problems).await)),
                    Validation::Empty => return Ok(Some(self.empty())),
                    Validation::Pending(why) => why,
                },
                Some(Err(condition)) => condition,
                None => "the cluster does not answer".to_owned(),
            };
            self.progress.report(&format!("{}: {state}", self.what()));
            if !self.pause(PAUSE).await {
                self.fail(&format!("timed out: {}: {state}", self.what()));
                return Ok(Some(Outcome::Not));
            }
        }
    }

    /// Reads the list, or the reason why it cannot be read; `None` if the time ran out.
    async fn read_list(&mut self) -> anyhow::Result<Option<Result<Option<ConfigMap>, String>>> {
        let Some(answer) = self.in_time(command_reader::list(&self.client, &self.namespace, &self.name)).await else {
            return Ok(None);
        };
        match answer {
            Ok(list) => {
                self.answered = true;
                Ok(Some(Ok(list)))
            }
            Err(error @ Error::Forbidden { .. }) => Err(unreadable(&self.place(), &[error])),
            // Later, it may be a disturbance that passes.
            Err(error) if error.connection_problem().is_some() && !self.answered => {
                Err(unreadable(&self.place(), &[error]))
            }
            Err(error) => Ok(Some(Err(error.to_string()))),
        }
    }

    /// What the controller says about the expected data.
    fn list_state(&mut self, list: Option<&ConfigMap>) -> anyhow::Result<Validation> {
        let Some(list) = list else {
            if self.from_file {
                return Ok(Validation::Pending("the list does not exist yet".to_owned()));
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
                return Ok(Validation::Pending("its data does not match the file yet".to_owned()));
            }
            bail!("{}/{} was edited while waiting; the awaited version was superseded", self.namespace, self.name);
        }
        Ok(match status_input::state(list) {
            ListState::Accepted => Validation::Accepted,
            ListState::Empty => Validation::Empty,
            ListState::Rejected => {
                Validation::Rejected(list.annotations().get(labels::PROBLEMS).cloned().unwrap_or_default())
            }
            _ => Validation::Pending("the controller has not validated it yet".to_owned()),
        })
    }

    async fn rejected(&mut self, problems: &str) -> Outcome {
        self.result.accepted = false;
        // What is in effect is only said if it is known.
        let report = self.report().await.ok().flatten().and_then(Result::ok);
        let list = report.as_ref().and_then(|report| report.lists.first());
        let in_effect = list.map_or_else(String::new, |list| format!("; {}", lists::in_effect(list.accepted_at)));
        print_error(format!("{} is rejected{in_effect}:", self.what()));
        problems.lines().for_each(|problem| print_error(format!("  {problem}")));
        self.result.add_reasons(&format!("{} is rejected{in_effect}", self.what()));
        self.result.add_reasons(problems);
        Outcome::Not
    }

    /// There is nothing to wait for, unless an image is asked for.
    fn empty(&mut self) -> Outcome {
        self.progress.end();
        if let Some(image) = self.images.first() {
            let error = anyhow!("{image} is not on the list, which has no images yet");
            return unusable(self.result, &error);
        }
        self.conclude(format!("{} has no images yet, so there is nothing to wait for", self.what()));
        Outcome::Good
    }

    async fn until_warm(mut self, goal: Goal) -> anyhow::Result<Outcome> {
        let begun = Timestamp::now();
        let (mut first, mut last): (Option<Warmth>, Option<Report>) = (None, None);
        let mut settled = false;
        loop {
            let started = Instant::now();
            let mut condition = None;
            match self.report().await? {
                None => {}
                Some(Err(error)) => condition = Some(error),
                Some(Ok(report)) => {
                    let warmth = match self.warmth(&goal, &report).await? {
                        Ok(warmth) => warmth,
                        Err(outcome) => return Ok(outcome),
                    };
                    self.result.measure(&warmth);
                    // Without the right to read nodes, they are known from their pods only, which come one after the other.
                    let is_enough = warmth.is_reached() && (report.nodes_known || settled);
                    if is_enough {
                        let how = if warmth.counted == 0 { "accepted" } else { "accepted and warm" };
                        self.done(&format!("{how}: {warmth}"));
                        return Ok(Outcome::Good);
                    }
                    settled = warmth.is_reached();
                    let first = first.get_or_insert_with(|| warmth.clone());
                    let left = warmth.time_left(first, begun, report.time);
                    self.progress.explain(goal.obstacles(&report));
                    self.progress.report_with(&format!("{}: {warmth}", self.what()), left);
                    last = Some(report);
                }
            }
            if let Some(condition) = condition {
                self.progress.report(&format!("{}: {condition}", self.what()));
            }
            if !self.pause(pause_after(started.elapsed())).await {
                return self.too_late(&goal, last.as_ref());
            }
        }
    }

    /// How close the goal is, or the outcome if it cannot be reached.
    async fn warmth(&mut self, goal: &Goal, report: &Report) -> anyhow::Result<Result<Warmth, Outcome>> {
        let list = report.lists.first();
        let in_effect = list
            .is_some_and(|list| list.state == ListState::Accepted && list.data_hash.as_deref() == self.hash.as_deref());
        if let (true, Some(list)) = (in_effect, list) {
            return Ok(match goal.warmth(list, report.nodes_known) {
                Ok(warmth) => Ok(warmth),
                Err(unknown) => Err(unusable(self.result, &anyhow!("{unknown}"))),
            });
        }
        // The list was accepted only a moment ago, or it was edited again.
        match self.read_list().await? {
            Some(Ok(found)) => match self.list_state(found.as_ref())? {
                Validation::Rejected(problems) => Ok(Err(self.rejected(&problems).await)),
                _ => Ok(Ok(Warmth::default())),
            },
            _ => Ok(Ok(Warmth::default())),
        }
    }

    /// A report on the list, or the reason why there is none; `None` if the time ran out.
    async fn report(&self) -> anyhow::Result<Option<Result<Report, String>>> {
        // It has seen the list as it is now, see `leader_report::versions`, and so the edit that is waited for.
        match self.in_time(self.leaders.report_if_any(&self.namespace, Some(&self.name))).await {
            None => return Ok(None),
            Some(Some(report)) => return Ok(Some(Ok(report))),
            Some(None) => {}
        }
        let namespaces = [self.namespace.clone()];
        let Some(inputs) = self.in_time(command_reader::read(&self.client, &namespaces, Some(&self.name))).await else {
            return Ok(None);
        };
        match inputs {
            Ok(inputs) => {
                let inputs: Vec<_> = inputs.iter().map(|(input, coverage)| (input, coverage)).collect();
                Ok(Some(Ok(Report::of(&inputs, &Filter::default()))))
            }
            Err(errors) if errors.iter().any(|error| matches!(error, Error::Forbidden { .. })) => {
                Err(unreadable(&self.place(), &errors))
            }
            Err(errors) => Ok(Some(Err(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))),
        }
    }

    fn too_late(&mut self, goal: &Goal, report: Option<&Report>) -> anyhow::Result<Outcome> {
        self.progress.end();
        let Some(report) = report else {
            self.fail(&format!("timed out: {}: the cluster did not answer", self.what()));
            return Ok(Outcome::Not);
        };
        self.fail(&format!("timed out: {}", self.what()));
        let lacking = goal.lacking(report);
        let mut output = anstream::stderr().lock();
        print(&lacking, layout(&std::io::stderr(), false), &mut output).context("cannot write the report")?;
        for line in goal.other_digests(report) {
            print_error(format!("  {line}"));
            self.result.add_reasons(&line);
        }
        goal.reasons(report).iter().for_each(|reason| self.result.add_reasons(reason));
        Ok(Outcome::Not)
    }

    /// Prints a reason why it failed.
    fn fail(&mut self, reason: &str) {
        print_error(reason);
        self.result.add_reasons(reason);
    }

    fn done(&mut self, how: &str) {
        self.progress.end();
        self.conclude(format!("{} is {how}", self.what()));
    }

    /// Prints the result for people.
    fn conclude(&self, sentence: String) {
        match self.format {
            WaitFormat::Text => print_line(sentence),
            WaitFormat::Json => print_error(sentence),
        }
    }

    /// The result of the work; `None` if the time ran out.
    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout_at(self.deadline.into(), work).await.ok()
    }

    /// Pauses. Returns whether there is time left.
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

/// What the controller says about the expected data.
enum Validation {
    Accepted,
    /// With its problems, one line each.
    Rejected(String),
    /// It has no images, and never had any.
    Empty,
    /// Nothing yet, and why.
    Pending(String),
}
