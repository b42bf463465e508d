//! One list, once: decide on what was observed; if there is something to do, look again and do that.
//!
//! ```text
//! observed ─► decide ─► nothing to do
//!                └────► look again ─► decide ─► carry out: keep the list ─► validation result ─► DaemonSets ─► forget
//! ```
//! The second look is what makes a stale watch harmless: nothing is created twice, and nothing is deleted on old messages.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Client, Resource, ResourceExt};
use tokio::sync::Mutex;

use super::apply::Applier;
use super::events::EventRecorder;
use super::image_caches::Serverless;
use super::lease::Leadership;
use super::observed::Observed;
use super::snapshot::{Reader, Snapshot};
use super::{Error, Installation};
use crate::image_cache::CacheWait;
use crate::list::{self, Config, ListData, Parsed};
use crate::messages::{Message, actions, found, image_caches, lists, waiting};
use crate::metrics::Metrics;
use crate::naming::labels;
use crate::plan::adoption;
use crate::plan::claims::{self, Claimant};
use crate::plan::history::{self, InForce, Revision, Ruling, Write, Written};
use crate::plan::{
    AcceptedList, Action, ConditionReport, Context, DeletionReason, Finding, Generation, Plan, Settings,
    ValidationResult, Waiting, plan, tag_check,
};

/// Reconciles the lists of one namespace.
pub struct Reconciler {
    pub(super) observed: Observed,
    settings: Settings,
    pub(super) namespace: String,
    reader: Reader,
    pub(super) applier: Applier,
    pub(super) recorder: EventRecorder,
    metrics: Metrics,
    /// Held while a list is accepted, so that two lists do not take one name at the same time.
    accepting: Mutex<()>,
}

/// What a worker keeps between two runs to spare itself work. Nothing is decided by it that the cluster does not hold, but
/// for how long to wait for a second edit.
#[derive(Debug, Default)]
pub struct Memory {
    /// The list as it was written last.
    written: Option<Arc<ParsedList>>,
    /// What is in force of all lists, by the names of the ControllerRevisions.
    kept: HashMap<String, Arc<ParsedList>>,
    edited_at: Option<Timestamp>,
    waiting: Vec<Waiting>,
    caches_waiting: Vec<CacheWait>,
    /// What kept ImageCaches from being looked after.
    pub(super) condition: Option<Message>,
}

#[derive(Debug)]
struct ParsedList {
    list: ListData,
    parsed: Parsed,
    validation_result: ValidationResult,
}

/// What there is to do for a list.
struct Decision<'p> {
    /// The list as it is written, where there is one.
    written: Option<Arc<ParsedList>>,
    /// Whether that is yet to be said on it.
    write_result: bool,
    ruling: Ruling<'p>,
    plan: Plan,
    serverless: Serverless,
}

impl Decision<'_> {
    fn is_idle(&self) -> bool {
        let of_nodes = self.plan.actions.is_empty() && self.plan.condition_reports.is_empty();
        let nothing_to_do = of_nodes && self.serverless.plan.actions.is_empty();
        // What is held back is written when it may be, and is no reason to look again and again.
        let nothing_to_write = self.ruling.is_idle() || (self.serverless.holds_history && self.ruling.first.is_empty());
        !self.write_result && nothing_to_write && nothing_to_do
    }

    fn wake_at(&self) -> Option<Timestamp> {
        self.plan.wake_at.into_iter().chain(self.ruling.wake_at).chain(self.serverless.plan.wake_at).min()
    }
}

impl Reconciler {
    /// Reconciles with this client what was observed.
    pub fn new(
        client: &Client,
        installation: &Installation,
        observed: Observed,
        settings: Settings,
        leadership: Leadership,
        metrics: Metrics,
    ) -> Self {
        Self {
            observed,
            settings,
            namespace: installation.namespace.clone(),
            reader: Reader::new(client, &installation.namespace, &installation.config_maps),
            applier: Applier::new(client, &installation.namespace, leadership),
            recorder: EventRecorder::new(client, &installation.namespace),
            metrics,
            accepting: Mutex::new(()),
        }
    }

    /// Does what there is to do for a list, and says when to look again.
    ///
    /// # Errors
    /// The first of what the API server or the way to it said. What was done until then stands.
    pub async fn reconcile(&self, label: &str, memory: &mut Memory) -> Result<Option<Timestamp>, Error> {
        let seen = Snapshot::observed(&self.observed, label);
        memory.forget_all_but(&seen);
        if seen.is_empty() {
            return Ok(None);
        }
        let decision = self.decide(label, &seen, memory);
        self.report_waiting(&self.reference(&seen), &decision, memory).await;
        if decision.is_idle() {
            return Ok(decision.wake_at());
        }
        let accepting = match decision.ruling.accepts() {
            true => Some(self.accepting.lock().await),
            false => None,
        };
        let seen = self.reader.look(label, &seen).await?;
        let decision = self.decide(label, &seen, memory);
        self.write_first(label, &seen, &decision).await?;
        drop(accepting);
        let again = self.carry_out(label, &seen, &decision).await?;
        Ok(decision.wake_at().into_iter().chain(again).min())
    }

    fn decide<'p>(&self, label: &str, seen: &'p Snapshot, memory: &mut Memory) -> Decision<'p> {
        let now = Timestamp::now();
        let written = seen.data().map(|data| validated(memory.parse_written(data), seen, memory));
        let ruling = history::rule(&standing(seen, written.as_deref()), &seen.revisions, now);
        let in_force = match ruling.in_force {
            InForce::Written => written.clone(),
            InForce::Kept(revision) => Some(memory.parse_kept(revision)),
            InForce::Nothing | InForce::Gone => None,
        };
        let config = in_force.as_ref().and_then(|list| list.parsed.config.as_ref());
        let serverless = self.serverless(label, seen, &ruling, config, now);
        let plan = match config {
            Some(config) => {
                let mut plan = self.plan(label, config, seen, memory, now);
                self.plan_adoption(config, seen, memory, &mut plan, now);
                plan
            }
            None if ruling.in_force == InForce::Gone => release(seen),
            None => {
                Plan { actions: tag_check::check::left_over(&seen.tag_checks, &BTreeSet::new()), ..Plan::default() }
            }
        };
        let unsaid = |config_map, list: &Arc<ParsedList>| !list.validation_result.stands_on(config_map);
        let write_result =
            seen.config_map.as_ref().zip(written.as_ref()).is_some_and(|(it, list)| unsaid(&it.metadata, list));
        Decision { written, write_result, ruling, plan, serverless }
    }

    fn plan(&self, label: &str, config: &Config, seen: &Snapshot, memory: &mut Memory, now: Timestamp) -> Plan {
        let nodes = self.observed.nodes();
        let kept = memory.parse_all_kept(seen);
        let kept: Vec<&Config> = kept.iter().filter_map(|list| list.parsed.config.as_ref()).collect();
        let edited_at = memory.edited_at;
        let coverage = self.observed.coverage.lock();
        let annotations = seen.config_map.as_ref().map(|config_map| config_map.annotations());
        plan(&Context {
            list: AcceptedList { namespace: &self.namespace, label, config },
            kept: &kept,
            edited_at,
            refresh_request: annotations.and_then(|it| it.get(labels::REFRESH_REQUESTED)).map(String::as_str),
            generations: &seen.generations,
            tag_checks: &seen.tag_checks,
            coverage: &coverage,
            adoptable: &self.observed.adoptable_pods.lock(),
            nodes: nodes.as_deref(),
            settings: &self.settings,
            now,
        })
    }

    /// What to take over from kubernetes-image-puller. It is rare, so a look every few seconds until all lists have been validated
    /// does no harm.
    fn plan_adoption(&self, config: &Config, seen: &Snapshot, memory: &mut Memory, plan: &mut Plan, now: Timestamp) {
        const PAUSE: SignedDuration = SignedDuration::from_secs(5);
        if seen.adoptable.is_empty() {
            return;
        }
        if !self.observed.all_validated() {
            plan.wake_at = plan.wake_at.into_iter().chain(now.checked_add(PAUSE).ok()).min();
            return;
        }
        let others: Vec<_> = seen.others.iter().map(|revision| memory.parse_kept(revision)).collect();
        let others = others.iter().filter_map(|it| Some((it.list.name.as_str(), it.parsed.config.as_ref()?)));
        let lists: Vec<_> = others.chain([(seen.name.as_str(), config)]).collect();
        let (actions, notes) = adoption::adopt(&seen.name, &lists, &seen.adoptable, self.settings.owner.as_ref());
        plan.actions.extend(actions);
        plan.waiting.extend(notes);
    }

    /// The list is kept before anything is made of it.
    async fn write_first(&self, label: &str, seen: &Snapshot, decision: &Decision<'_>) -> Result<(), Error> {
        for write in &decision.ruling.first {
            let outcome = self.write(label, seen, write).await;
            self.report_failure(&self.reference(seen), outcome).await?;
        }
        Ok(())
    }

    /// No failure keeps the rest from being done: one DaemonSet that is refused must not keep the others from nodes.
    /// Says when to look again where something can wait.
    async fn carry_out(
        &self,
        label: &str,
        seen: &Snapshot,
        decision: &Decision<'_>,
    ) -> Result<Option<Timestamp>, Error> {
        let list = self.reference(seen);
        let mut outcomes = vec![self.write_result(seen, decision).await];
        for action in &decision.plan.actions {
            let outcome = self.applier.apply(action).await;
            if let Ok(outcome) = &outcome {
                self.metrics.carried_out(label, action, outcome);
                if let Some(message) = actions::done(action, outcome) {
                    self.recorder.record(&list, message).await;
                }
            }
            outcomes.push(self.report_failure(&list, outcome.map(drop)).await);
        }
        for condition_report in &decision.plan.condition_reports {
            let outcome = self.report_conditions(&list, condition_report).await;
            outcomes.push(self.report_failure(&list, outcome).await);
        }
        let again = self.carry_out_serverless(seen, &list, &decision.serverless).await;
        outcomes.into_iter().collect::<Result<(), Error>>()?;
        if again.is_some() || decision.serverless.holds_history {
            return Ok(again);
        }
        for write in &decision.ruling.last {
            self.write(label, seen, write).await?;
        }
        Ok(None)
    }

    async fn write(&self, label: &str, seen: &Snapshot, write: &Write<'_>) -> Result<(), Error> {
        let owner = self.settings.owner.as_ref();
        match write {
            Write::Keep { number, ledger } => {
                let list = seen.data().unwrap_or_default();
                self.applier.keep(&history::build(&list, label, *number, *ledger, owner)).await
            }
            Write::KeepNothing { missing_since } => {
                let list =
                    ListData { namespace: self.namespace.clone(), name: seen.name.clone(), data: Default::default() };
                let revision = history::build_missing(&list, label, *missing_since, owner);
                self.applier.keep(&revision).await?;
                self.recorder.record(&self.reference(seen), lists::missing(*missing_since)).await;
                Ok(())
            }
            Write::Note { revision, missing_since } => {
                self.applier.note(revision, *missing_since).await?;
                let message = missing_since.map_or_else(lists::back, lists::missing);
                self.recorder.record(&self.reference(seen), message).await;
                Ok(())
            }
            Write::Forget(revision) => self.applier.forget(revision).await,
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
        let validated = self.report_failure(&self.reference(seen), validated).await?;
        self.metrics.validated(&labels::list_value(&seen.name), written.parsed.config.is_some());
        let before = history::before(&config_map.metadata, &written.list, &seen.revisions);
        let before = before.and_then(|revision| list::parse(&revision.list).config);
        let message =
            lists::validation_result(&written.parsed, before.as_ref()).on(&written.validation_result.data_hash);
        self.recorder.record(&validated.object_ref(&()), message).await;
        Ok(())
    }

    /// First told, then noted: a crash in between tells it twice, and never not at all.
    async fn report_conditions(&self, list: &ObjectReference, condition_report: &ConditionReport) -> Result<(), Error> {
        for finding in &condition_report.findings {
            let refusal = match finding {
                Finding::PodsRefused { pod: Some(pod), .. } => self.applier.refusal(pod).await?,
                _ => None,
            };
            // It has waited its turn already, and is noted as told: only the very same words are held back here.
            self.recorder.record(list, found::found(finding, refusal.as_deref())).await;
        }
        self.applier.note_conditions(condition_report).await
    }

    /// A thing that waits is told when it begins to wait, not at every look.
    async fn report_waiting(&self, list: &ObjectReference, decision: &Decision<'_>, memory: &mut Memory) {
        for it in decision.plan.waiting.iter().filter(|it| !memory.waiting.contains(it)) {
            self.recorder.record(list, waiting::waiting(it)).await;
        }
        let caches_waiting = &decision.serverless.plan.waiting;
        for it in caches_waiting.iter().filter(|it| !memory.caches_waiting.contains(it)) {
            self.recorder.record(list, image_caches::waiting(it)).await;
        }
        memory.waiting.clone_from(&decision.plan.waiting);
        memory.caches_waiting.clone_from(caches_waiting);
        self.report_trouble(list, &decision.serverless, memory).await;
    }

    pub(super) async fn report_failure<T>(
        &self,
        list: &ObjectReference,
        outcome: Result<T, Error>,
    ) -> Result<T, Error> {
        if let Some(message) = outcome.as_ref().err().and_then(Error::message) {
            self.recorder.record(list, message).await;
        }
        outcome
    }

    /// What Events are about: the list, also where it is gone.
    fn reference(&self, seen: &Snapshot) -> ObjectReference {
        let Some(config_map) = &seen.config_map else {
            return ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("ConfigMap".to_owned()),
                namespace: Some(self.namespace.clone()),
                name: Some(seen.name.clone()),
                ..ObjectReference::default()
            };
        };
        config_map.object_ref(&())
    }
}

fn standing<'a>(seen: &'a Snapshot, written: Option<&'a ParsedList>) -> Written<'a> {
    match written {
        Some(written) if written.parsed.config.is_some() => Written::Accepted(&written.list),
        Some(_) => Written::Rejected,
        None => Written::Missing { left_behind: seen.is_left_behind() },
    }
}

/// Everything of a list that is gone.
fn release(seen: &Snapshot) -> Plan {
    let live = seen.generations.iter().filter(|generation| !generation.deleting);
    let delete = |it: &Generation| Action::Delete {
        name: it.name.clone(),
        uid: it.uid.clone(),
        ending: DeletionReason::ListGone,
    };
    let tag_checks = tag_check::check::left_over(&seen.tag_checks, &BTreeSet::new());
    Plan { actions: live.map(delete).chain(tag_checks).collect(), ..Plan::default() }
}

/// The list with the problem, if there is one, that another list has its name.
fn validated(written: Arc<ParsedList>, seen: &Snapshot, memory: &mut Memory) -> Arc<ParsedList> {
    let Some(config) = written.parsed.config.as_ref().filter(|_| !seen.others.is_empty()) else { return written };
    let others: Vec<_> = seen.others.iter().map(|revision| memory.parse_kept(revision)).collect();
    let in_force = others.iter().filter_map(|other| Some((other.list.name.as_str(), other.parsed.config.as_ref()?)));
    let claimants =
        in_force.map(|(list, config)| Claimant { list, config, in_force: true, generations: &[], created: None });
    let own = Claimant {
        list: &written.list.name,
        config,
        in_force: history::newest(&seen.revisions).is_some_and(|newest| newest.list.data == written.list.data),
        generations: &seen.generations,
        created: None,
    };
    let claimants: Vec<_> = claimants.chain([own]).collect();
    let Some(problems) = claims::rejections(&claimants).remove(written.list.name.as_str()) else { return written };
    let problems = [written.parsed.problems.clone(), problems].concat();
    Arc::new(ParsedList::new(written.list.clone(), Parsed { config: None, problems }))
}

impl Memory {
    fn parse_written(&mut self, list: ListData) -> Arc<ParsedList> {
        match &self.written {
            Some(known) if known.list == list => return Arc::clone(known),
            Some(_) => self.edited_at = Some(Timestamp::now()),
            None => {}
        }
        let parsed = list::parse(&list);
        Arc::clone(self.written.insert(Arc::new(ParsedList::new(list, parsed))))
    }

    fn parse_kept(&mut self, revision: &Revision) -> Arc<ParsedList> {
        // What a ControllerRevision holds never changes, and its name says what it is.
        let parse = || Arc::new(ParsedList::new(revision.list.clone(), list::parse(&revision.list)));
        Arc::clone(self.kept.entry(revision.name.clone()).or_insert_with(parse))
    }

    /// All accepted forms of the list, where some generation may have to be built again from one.
    fn parse_all_kept(&mut self, seen: &Snapshot) -> Vec<Arc<ParsedList>> {
        let any_altered = seen.generations.iter().any(|generation| generation.altered.is_some());
        let kept = seen.revisions.iter().filter(|_| any_altered);
        kept.map(|revision| self.parse_kept(revision)).collect()
    }

    fn forget_all_but(&mut self, seen: &Snapshot) {
        self.kept.retain(|name, _| seen.revisions.iter().chain(&seen.others).any(|revision| revision.name == *name));
    }
}

impl ParsedList {
    fn new(list: ListData, parsed: Parsed) -> Self {
        Self { validation_result: ValidationResult::new(&list, &parsed), list, parsed }
    }
}
