//! Carries out what was decided for a list.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;

use super::decide::Decision;
use super::image_caches::ImageCacheDecision;
use super::memory::Memory;
use super::parsed_list::ParsedList;
use super::report::Reporter;
use super::services::Services;
use crate::cluster::accepted_lists::AcceptedLists;
use crate::cluster::apply::Applier;
use crate::cluster::image_caches::ImageCacheApplier;
use crate::cluster::snapshot::Snapshot;
use crate::error::Error;
use crate::list::{self, Config, ListData, Policy};
use crate::messages::lists::Stays;
use crate::messages::refused_pods::DryRun;
use crate::messages::{Message, actions, discovery, findings, image_caches, lists};
use crate::metrics::Metrics;
use crate::naming::labels;
use crate::plan::selecting_services;
use crate::plan::validation_result::ResultState;
use crate::plan::versions::{self, Revision, Write};
use crate::plan::{Action, ConditionReport, Finding};

/// The pause after a failed action on an ImageCache.
const PAUSE: SignedDuration = SignedDuration::from_mins(1);

/// Carries out decisions for the lists of one namespace.
pub struct Executor {
    pub applier: Applier,
    pub image_caches: ImageCacheApplier,
    pub reporter: Reporter,
    pub metrics: Metrics,
    pub owner: Option<OwnerReference>,
    pub policy: Policy,
    pub services: Services,
    pub accepted: AcceptedLists,
}

/// The first failure so far. None of them prevents the rest: a DaemonSet that is refused must not keep the others from nodes. The
/// exception is the loss of the lead.
#[derive(Default)]
struct Failures(Option<Error>);

impl Failures {
    fn add(&mut self, outcome: Result<(), Error>) -> Result<(), Error> {
        match outcome {
            Err(Error::NotLeading) => return Err(Error::NotLeading),
            // A missing right concerns all lists, so it is returned before anything else.
            Err(error @ Error::Forbidden { .. }) if !self.lacks_right() => self.0 = Some(error),
            Err(error) => self.0 = self.0.take().or(Some(error)),
            Ok(()) => {}
        }
        Ok(())
    }

    fn lacks_right(&self) -> bool {
        matches!(self.0, Some(Error::Forbidden { .. }))
    }

    fn first(self) -> Result<(), Error> {
        self.0.map_or(Ok(()), Err)
    }
}

impl Executor {
    /// Writes the history that has to exist before anything follows from it: a list is kept before its DaemonSets are created.
    pub async fn write_first(&self, label: &str, seen: &Snapshot, decision: &Decision<'_>) -> Result<(), Error> {
        let list = self.reporter.reference(seen);
        for write in &decision.history_plan.first {
            let outcome = self.write_history(label, seen, decision, write).await;
            self.reporter.report_failure(&list, outcome).await?;
        }
        Ok(())
    }

    /// Does all the rest. Returns when to try again, if something can wait.
    pub async fn carry_out(
        &self,
        label: &str,
        seen: &Snapshot,
        decision: &Decision<'_>,
        memory: &mut Memory,
    ) -> Result<Option<Timestamp>, Error> {
        let list = self.reporter.reference(seen);
        let mut failures = Failures::default();
        failures.add(self.write_result(seen, decision).await)?;
        for action in &decision.plan.actions {
            failures.add(self.carry_out_action(label, &list, action).await)?;
        }
        for condition_report in &decision.plan.condition_reports {
            let outcome = self.report_conditions(&list, seen, condition_report, memory).await;
            failures.add(self.reporter.report_failure(&list, outcome).await)?;
        }
        let again = self.carry_out_image_caches(seen, &list, &decision.image_caches).await?;
        failures.first()?;
        if again.is_some() || decision.image_caches.holds_history {
            return Ok(again);
        }
        for write in &decision.history_plan.last {
            self.write_history(label, seen, decision, write).await?;
        }
        Ok(None)
    }

    async fn carry_out_action(&self, label: &str, list: &ObjectReference, action: &Action) -> Result<(), Error> {
        let outcome = self.reporter.report_action(list, action, self.applier.apply(action).await).await?;
        self.metrics.carried_out(&self.reporter.namespace, label, action, &outcome);
        if let Some(message) = actions::done(action, &outcome) {
            self.reporter.recorder.record(list, message).await;
        }
        Ok(())
    }

    async fn write_history(
        &self,
        label: &str,
        seen: &Snapshot,
        decision: &Decision<'_>,
        write: &Write<'_>,
    ) -> Result<(), Error> {
        let (owner, list) = (self.owner.as_ref(), self.reporter.reference(seen));
        match write {
            Write::Store { number, ledger } => {
                let Some(written) = &decision.written else { return Ok(()) };
                let data = &written.list;
                let kept = self.applier.keep(&versions::build(data, label, *number, *ledger, owner)).await?;
                // From now on, no other list may have its names, whenever the watch sees it.
                self.accepted.record_ahead(&kept, written.config.clone());
                let before = versions::newest(&seen.revisions).and_then(|newest| newest.list.found.as_deref());
                if let Some(message) = discovery::found(before, data.found.as_deref()) {
                    self.reporter.recorder.record(&list, message).await;
                }
                Ok(())
            }
            Write::StoreEmpty { missing_since } => {
                let namespace = self.reporter.namespace.clone();
                let data = ListData { namespace, name: seen.name.clone(), ..ListData::default() };
                self.applier.keep(&versions::build_missing(&data, label, *missing_since, owner)).await?;
                self.reporter.recorder.record(&list, lists::missing(*missing_since)).await;
                Ok(())
            }
            Write::RecordMissing { revision, missing_since } => {
                self.applier.note(revision, *missing_since).await?;
                let message = missing_since.map_or_else(lists::back, lists::missing);
                self.reporter.recorder.record(&list, message).await;
                Ok(())
            }
            Write::Delete(revision) => self.applier.forget(revision).await,
        }
    }

    /// Writes the validation result on the list, once per edit.
    async fn write_result(&self, seen: &Snapshot, decision: &Decision<'_>) -> Result<(), Error> {
        let Some((config_map, written)) = seen.config_map.as_ref().zip(decision.written.as_ref()) else {
            return Ok(());
        };
        if !decision.write_result {
            return Ok(());
        }
        let validated = self.applier.write_result(&written.validation_result.patch(&config_map.metadata)).await;
        let validated = self.reporter.report_failure(&self.reporter.reference(seen), validated).await?;
        let label = labels::list_value(&seen.name);
        self.metrics.validated(&self.reporter.namespace, &label, written.validation_result.state);
        let message = message(config_map, written, &seen.revisions, &self.policy);
        let list = validated.object_ref(&());
        self.reporter.recorder.record(&list, message).await;
        if let Some(config) = &written.config {
            self.report_services(&list, &seen.name, config).await;
        }
        Ok(())
    }

    /// Reports Services that select the pods of a list that was just accepted.
    async fn report_services(&self, list: &ObjectReference, name: &str, config: &Config) {
        let found = selecting_services::selecting(&self.services.list().await, &labels::list_value(name), config);
        if let Some(message) = lists::selected(&found) {
            self.reporter.recorder.record(list, message).await;
        }
    }

    /// Reports conditions, and then notes that they were reported. So a crash in between repeats a report rather than losing it.
    async fn report_conditions(
        &self,
        list: &ObjectReference,
        seen: &Snapshot,
        condition_report: &ConditionReport,
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let mut report = condition_report.clone();
        let dry_run = match report.findings.iter().find_map(Finding::refused_pod) {
            Some((pod, labels)) => Some(self.applier.dry_run(pod).await?.on_nodes(labels)),
            None => None,
        };
        if !dry_run.as_ref().is_some_and(DryRun::shows_refusal) {
            let before = seen.generations.iter().find(|it| it.name == report.daemon_set).map(|it| &it.reported);
            if report.leave_out_refusal(before) {
                memory.accepted_pods.insert(report.daemon_set.clone(), Timestamp::now());
                if before == Some(&report.reported) {
                    return Ok(());
                }
            }
        }
        for finding in &report.findings {
            self.reporter.recorder.record(list, findings::found(finding, dry_run.as_ref())).await;
        }
        self.applier.note_conditions(&report).await
    }

    /// Carries out actions on ImageCaches, each only if those before it succeeded. Returns when to retry after a failure.
    async fn carry_out_image_caches(
        &self,
        seen: &Snapshot,
        list: &ObjectReference,
        decision: &ImageCacheDecision,
    ) -> Result<Option<Timestamp>, Error> {
        for action in &decision.plan.actions {
            let outcome = self.image_caches.apply(action, &seen.revisions).await;
            match self.reporter.report_failure(list, outcome).await {
                Ok(()) => {}
                Err(Error::NotLeading) => return Err(Error::NotLeading),
                Err(_) => return Ok(Timestamp::now().checked_add(PAUSE).ok()),
            }
            for message in image_caches::done(action) {
                self.reporter.recorder.record(list, message).await;
            }
        }
        Ok(None)
    }
}

/// What to report about the list's validation.
fn message(config_map: &ConfigMap, written: &ParsedList, revisions: &[Revision], policy: &Policy) -> Message {
    let (problems, hash) = (&written.problems, written.validation_result.data_hash.as_str());
    match (written.validation_result.state, &written.config) {
        (ResultState::Empty, _) => lists::empty(&written.list, problems, hash),
        (_, Some(config)) => {
            let before = versions::before(&config_map.metadata, &written.list, revisions);
            let before = before.and_then(|revision| list::parse_accepted(&revision.list, policy.gate_taints()));
            lists::accepted(config, problems, before.as_ref(), hash)
        }
        (_, None) => {
            let stays = versions::newest(revisions).and_then(|newest| stays(newest, written, policy));
            lists::rejected(problems, stays, hash)
        }
    }
}

/// What stays in effect although the list is rejected.
fn stays(newest: &Revision, written: &ParsedList, policy: &Policy) -> Option<Stays> {
    let config = list::parse_accepted(&newest.list, policy.gate_taints())?;
    Some(Stays {
        accepted_at: newest.created,
        forbidden: !list::policy::violations(policy, &newest.list, &config).is_empty(),
        is_this: newest.list.data == written.list.data,
    })
}
