//! What to do for one list.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::discovered::{Discoverer, DiscoveryDecision};
use super::image_caches::{ImageCacheDecider, ImageCacheDecision};
use super::memory::Memory;
use super::parsed_list::ParsedList;
use crate::cluster::accepted_lists::AcceptedVersion;
use crate::cluster::observed::Observed;
use crate::cluster::snapshot::Snapshot;
use crate::list::{Config, Policy};
use crate::plan::adoption;
use crate::plan::name_claims::{self, Claimant};
use crate::plan::tag_check::check::left_over;
use crate::plan::versions::{self, ConfigMapState, HistoryPlan, InForce};
use crate::plan::{AcceptedList, Action, Context, DeletionReason, Generation, Plan, Settings, plan};

/// What to do for a list.
pub struct Decision<'p> {
    /// The list as it is written; `None` if its ConfigMap is gone.
    pub written: Option<Arc<ParsedList>>,
    /// Whether the validation result is still to be written on the list.
    pub write_result: bool,
    /// Which version of the list is in effect, and what to write in its history.
    pub history_plan: HistoryPlan<'p>,
    /// What to do on nodes.
    pub plan: Plan,
    /// What to do about ImageCaches.
    pub image_caches: ImageCacheDecision,
    /// What it discovers in workloads.
    pub discovery: DiscoveryDecision,
}

impl Decision<'_> {
    /// Whether there is nothing to write.
    pub fn is_idle(&self) -> bool {
        let no_actions = self.plan.actions.is_empty() && self.plan.condition_reports.is_empty();
        // What is held back is written once it may be, and is no reason to read the cluster again and again.
        let no_history =
            self.history_plan.is_idle() || (self.image_caches.holds_history && self.history_plan.first.is_empty());
        !self.write_result && no_history && no_actions && self.image_caches.plan.actions.is_empty()
    }

    /// When to reconcile again, if nothing changes before.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let times =
            [self.history_plan.wake_at, self.plan.wake_at, self.image_caches.plan.wake_at, self.discovery.wake_at];
        times.into_iter().flatten().min()
    }
}

/// Decides for the lists of one namespace.
pub struct Decider {
    pub observed: Observed,
    pub namespace: String,
    /// Whether that is the controller's.
    pub is_home: bool,
    pub settings: Settings,
    /// What lists may ask for.
    pub policy: Policy,
}

impl Decider {
    /// Decides what to do for the list with that label.
    pub fn decide<'p>(&self, label: &str, seen: &'p Snapshot, memory: &mut Memory) -> Decision<'p> {
        let (written, discovery) = self.written(label, seen, memory);
        // Not before the list is parsed: an edit that is seen just now would be in the future, and settle at once.
        let now = Timestamp::now();
        let history_plan =
            versions::plan(&config_map_state(seen, written.as_deref(), self.is_home), &seen.revisions, now);
        let last_accepted = match history_plan.in_force {
            InForce::LastAccepted(revision) => Some(self.observed.accepted.version(revision)),
            InForce::Current | InForce::Nothing | InForce::Gone => None,
        };
        let config = match history_plan.in_force {
            InForce::Current => written.as_ref().and_then(|written| written.config.as_deref()),
            _ => last_accepted.as_ref().and_then(|version| version.config()).map(|config| &**config),
        };
        // A version that was accepted under another policy.
        let forbidden = last_accepted.as_ref().is_some_and(|version| !version.is_allowed_by(&self.policy));
        let (observed, namespace) = (&self.observed, self.namespace.as_str());
        let image_caches =
            ImageCacheDecider { observed, namespace, label, seen, history_plan: &history_plan, config, forbidden, now }
                .decide();
        let plan = match config {
            Some(config) if forbidden => self.plan(label, config, seen, memory, now).without_new_content(),
            Some(config) => self.plan(label, config, seen, memory, now),
            None => plan_without_list(&history_plan, seen),
        };
        let write_result = lacks_result(seen, written.as_deref());
        Decision { written, write_result, history_plan, plan, image_caches, discovery }
    }

    /// The list as it is written: as empty, if it has no image and never had one; or with an additional problem, if another list
    /// already uses one of its names.
    fn written(
        &self,
        label: &str,
        seen: &Snapshot,
        memory: &mut Memory,
    ) -> (Option<Arc<ParsedList>>, DiscoveryDecision) {
        let accepted = &self.observed.accepted;
        let discoverer = Discoverer { observed: &self.observed, policy: &self.policy };
        let written = seen.data().map(|data| discoverer.written(data, seen, memory));
        let (written, discovery) = written.unzip();
        let discovery = discovery.unwrap_or_default();
        let asks_for_names = written.as_ref().and_then(|written| Some((written, written.config.as_ref()?)));
        let Some((written, config)) = asks_for_names else {
            accepted.waits_no_longer(label);
            let is_new = seen.revisions.is_empty() && seen.generations.is_empty();
            let written = written.map(|it| if it.empty && is_new { Arc::new(ParsedList::of_empty(&it)) } else { it });
            return (written, discovery);
        };
        (Some(validated(Arc::clone(written), &accepted.rivals(label, config), seen)), discovery)
    }

    fn plan(&self, label: &str, config: &Config, seen: &Snapshot, memory: &mut Memory, now: Timestamp) -> Plan {
        let nodes = self.observed.nodes();
        let accepted = self.all_accepted(seen);
        let accepted: Vec<&Config> = accepted.iter().filter_map(|version| version.config().map(|it| &**it)).collect();
        let mut plan = plan(&Context {
            list: AcceptedList { namespace: &self.namespace, label, config },
            kept: &accepted,
            edited_at: memory.edited_at,
            refresh_request: seen.refresh_request(),
            generations: &seen.generations,
            tag_checks: &seen.tag_checks,
            coverage: &self.observed.coverage.snapshot_of(label),
            adoptable: &self.observed.adoptable_pods.snapshot(),
            nodes: nodes.as_deref(),
            settings: &self.settings,
            now,
        });
        self.plan_adoption(label, config, seen, &mut plan, now);
        let checked_at = |daemon_set: &str| memory.accepted_pods.get(daemon_set).copied();
        plan.without_refuted_refusals(&seen.generations, checked_at, now)
    }

    /// All accepted versions of the list, if a generation may have to be rebuilt from one of them.
    fn all_accepted(&self, seen: &Snapshot) -> Vec<Arc<AcceptedVersion>> {
        let any_altered = seen.generations.iter().any(|generation| generation.altered.is_some());
        let accepted = seen.revisions.iter().filter(|_| any_altered);
        accepted.map(|revision| self.observed.accepted.version(revision)).collect()
    }

    /// Adds what to take over from kubernetes-image-puller. That is rare, so it may poll until all lists have been validated.
    fn plan_adoption(&self, label: &str, config: &Config, seen: &Snapshot, plan: &mut Plan, now: Timestamp) {
        const PAUSE: SignedDuration = SignedDuration::from_secs(5);
        if seen.adoptable.is_empty() {
            return;
        }
        if !self.observed.all_validated() {
            now.checked_add(PAUSE).into_iter().for_each(|at| plan.wake_up_at(at));
            return;
        }
        let others: Vec<_> = self.observed.accepted.newest();
        let others = others.iter().filter(|(other, _)| other != label).filter_map(|(_, it)| named(it));
        let lists: Vec<_> = others.chain([(seen.name.as_str(), config)]).collect();
        let (actions, notes) = adoption::adopt(&seen.name, &lists, &seen.adoptable, self.settings.owner.as_ref());
        plan.actions.extend(actions);
        plan.waiting.extend(notes);
    }
}

/// A list in effect, by name.
fn named(version: &AcceptedVersion) -> Option<(&str, &Config)> {
    Some((version.revision.list.name.as_str(), version.config()?))
}

/// The list with an additional problem, if one of these already uses one of its names.
fn validated(written: Arc<ParsedList>, rivals: &[Arc<AcceptedVersion>], seen: &Snapshot) -> Arc<ParsedList> {
    let Some(config) = written.config.as_ref().filter(|_| !rivals.is_empty()) else { return written };
    let in_force = rivals.iter().filter_map(|rival| named(rival));
    let claimants =
        in_force.map(|(list, config)| Claimant { list, config, in_force: true, generations: &[], created: None });
    let own = Claimant {
        list: &written.list.name,
        config,
        in_force: versions::newest(&seen.revisions).is_some_and(|newest| newest.list.data == written.list.data),
        generations: &seen.generations,
        created: None,
    };
    let claimants: Vec<_> = claimants.chain([own]).collect();
    let problems = name_claims::rejections(&claimants).remove(written.list.name.as_str());
    problems.map_or_else(|| Arc::clone(&written), |problems| Arc::new(ParsedList::rejected(&written, problems)))
}

fn config_map_state<'a>(seen: &'a Snapshot, written: Option<&'a ParsedList>, is_home: bool) -> ConfigMapState<'a> {
    match written {
        Some(written) if written.config.is_some() => ConfigMapState::Accepted(&written.list),
        Some(_) => ConfigMapState::Rejected,
        // The controller's own namespace is there as long as it runs.
        None if seen.has_image_caches_only() && !is_home => ConfigMapState::NamespaceGone,
        None => ConfigMapState::Missing { has_daemon_sets: seen.is_left_behind() },
    }
}

fn lacks_result(seen: &Snapshot, written: Option<&ParsedList>) -> bool {
    let (config_map, written) = (seen.config_map.as_ref(), written);
    config_map.zip(written).is_some_and(|(it, list)| !list.validation_result.is_stored_on(&it.metadata))
}

/// The plan for a list of which no version is in effect.
fn plan_without_list(history_plan: &HistoryPlan<'_>, seen: &Snapshot) -> Plan {
    let tag_checks = left_over(&seen.tag_checks, &BTreeSet::new());
    if history_plan.in_force != InForce::Gone {
        return Plan { actions: tag_checks, ..Plan::default() };
    }
    let live = seen.generations.iter().filter(|generation| !generation.deleting);
    let delete = |it: &Generation| Action::delete(it, DeletionReason::ListGone);
    Plan { actions: live.map(delete).chain(tag_checks).collect(), ..Plan::default() }
}
