//! Writes on each list whether it is warm, for tools that know nothing of kube-prepull: not more often than they can make use of.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::reflector::Store;
use kube::{Client, ResourceExt};
use tokio::sync::Notify;
use tokio::task::block_in_place;
use tokio::time::sleep;
use tracing::{debug, warn};

use super::accepted_lists::AcceptedVersion;
use super::apply::Applier;
use super::observed_cluster::WatchedNamespace;
use super::reconcile::Turns;
use super::status_input::state;
use super::status_server::Overview;
use crate::naming::labels;
use crate::status::warm_result::WarmResult;
use crate::summary::SummaryInput;

/// Between two passes over all lists.
const PAUSE: Duration = Duration::from_secs(5);
/// How many lists are written in one pass.
const AT_ONCE: usize = 10;
/// The least time between two writes on a list. In a rollout the numbers change all the time, and nobody waits for them.
const BETWEEN: Duration = Duration::from_secs(10);
const BETWEEN_NUMBERS: Duration = Duration::from_secs(300);
/// How long a new list has to become warm before it says that it is not.
const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps the results on the lists up to date.
pub struct WarmResults {
    client: Client,
    overview: Overview,
    turns: Turns,
    /// Says that something in the cluster has changed.
    changes: Arc<Notify>,
    /// When a list was written last, by namespace and name.
    written: HashMap<(String, String), Instant>,
    /// Since when new lists are known that are not warm yet.
    new: HashMap<(String, String), Instant>,
}

/// A result that a list does not have yet.
struct Outdated {
    list: (String, String),
    patch: ConfigMap,
    numbers_only: bool,
    can_wait: bool,
}

impl WarmResults {
    /// Writes with that client, once `changes` says that there may be something to write. It computes by turns with the lists' plans, so that
    /// the memory for both is never needed at once.
    pub fn new(client: &Client, overview: Overview, turns: Turns, changes: Arc<Notify>) -> Self {
        Self { client: client.clone(), overview, turns, changes, written: HashMap::new(), new: HashMap::new() }
    }

    /// Writes forever, while this process leads.
    pub async fn keep(mut self) {
        let mut is_left = true;
        loop {
            if !is_left {
                self.changes.notified().await;
            }
            sleep(PAUSE).await;
            is_left = self.overview.leads() && self.write_some().await;
        }
    }

    /// Writes what may be written now. Returns whether something is left for later.
    async fn write_some(&mut self) -> bool {
        let turn = self.turns.to_compute().await;
        let outdated = block_in_place(|| self.overview.outdated());
        drop(turn);
        let Some(outdated) = outdated else { return false };
        let (total, now) = (outdated.len(), Instant::now());
        let since = |list: &(String, String)| self.new.get(list).copied().unwrap_or(now);
        let new = outdated.iter().filter(|it| it.can_wait).map(|it| (it.list.clone(), since(&it.list)));
        self.new = new.collect();
        let is_patient = |it: &Outdated| self.new.get(&it.list).is_some_and(|since| now - *since < PATIENCE);
        let outdated = outdated.into_iter().filter(|it| !is_patient(it)).collect();
        let due = due(outdated, &self.written, now);
        let mut is_left = total > due.len();
        for Outdated { list, patch, .. } in due {
            let (namespace, name) = &list;
            match Applier::new(&self.client, namespace).write_warm_result(&patch).await {
                Ok(written) => debug!(namespace, list = name, written, "wrote whether the list is warm"),
                Err(error) => {
                    is_left = true;
                    warn!(namespace, list = name, %error, "cannot write whether the list is warm; retrying");
                }
            }
            self.written.insert(list, Instant::now());
        }
        self.written.retain(|_, at| at.elapsed() < BETWEEN_NUMBERS);
        is_left
    }
}

/// What to write now, the most urgent first, by turns of the namespaces: one with many lists does not keep others waiting.
fn due(mut outdated: Vec<Outdated>, written: &HashMap<(String, String), Instant>, now: Instant) -> Vec<Outdated> {
    let last = |it: &Outdated| written.get(&it.list).copied();
    outdated.retain(|it| {
        let pause = if it.numbers_only { BETWEEN_NUMBERS } else { BETWEEN };
        last(it).is_none_or(|at| now.saturating_duration_since(at) >= pause)
    });
    outdated.sort_by_key(|it| (it.numbers_only, last(it)));
    let mut turns: HashMap<String, usize> = HashMap::new();
    let mut turn_of = |it: &Outdated| {
        let turn = turns.entry(it.list.0.clone()).or_default();
        *turn += 1;
        *turn
    };
    let mut by_turn: Vec<(usize, Outdated)> = outdated.into_iter().map(|it| (turn_of(&it), it)).collect();
    by_turn.sort_by_key(|(turn, _)| *turn);
    by_turn.into_iter().take(AT_ONCE).map(|(_, it)| it).collect()
}

impl Overview {
    /// The results that lists do not have yet. `None` before all watches have listed their objects. One list at a time is summed up: a report
    /// on all would take memory for each image on each node.
    fn outdated(&self) -> Option<Vec<Outdated>> {
        if !self.readiness.all_listed() {
            return None;
        }
        let others = &self.cluster.seen_by_all().other_controllers;
        let namespaces = self.cluster.all();
        let ours = namespaces.iter().filter(|namespace| !others.are_in(&namespace.name));
        Some(ours.flat_map(|namespace| outdated_in(namespace, Timestamp::now())).collect())
    }
}

fn outdated_in(namespace: &WatchedNamespace, now: Timestamp) -> Vec<Outdated> {
    let observed = &namespace.observed;
    let (nodes, accepted) = (observed.nodes(), observed.accepted.newest());
    let accepted: HashMap<String, Arc<AcceptedVersion>> = accepted.into_iter().collect();
    let of = |config_map: Arc<ConfigMap>| {
        let (name, metadata) = (config_map.name_any(), &config_map.metadata);
        let label = labels::list_value(&name);
        let newest = accepted.get(&label).filter(|version| version.revision.is_data_of(&config_map));
        let config = newest.and_then(|version| version.config());
        let objects = config.map(|it| (it, observed.generations(&label), observed.coverage.snapshot_of(&label)));
        let in_effect = objects.as_ref().map(|(config, generations, coverage)| {
            let (list, nodes) = (label.as_str(), nodes.as_deref());
            SummaryInput { list, config, generations, coverage, nodes, now }
        });
        let result = WarmResult::new(state(&config_map), in_effect, metadata)?;
        (!result.is_stored_on(metadata)).then(|| Outdated {
            list: (namespace.name.to_string(), name),
            patch: result.patch(metadata),
            numbers_only: result.differs_in_words_only(metadata),
            can_wait: result.can_wait(metadata),
        })
    };
    observed.lists.iter().flat_map(Store::state).filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: &str) -> (String, String) {
        ("prepull".to_owned(), name.to_owned())
    }

    fn outdated(name: &str, numbers_only: bool) -> Outdated {
        Outdated { list: list(name), patch: ConfigMap::default(), numbers_only, can_wait: false }
    }

    fn names(due: &[Outdated]) -> Vec<&str> {
        due.iter().map(|it| it.list.1.as_str()).collect()
    }

    #[test]
    fn a_list_is_written_every_ten_seconds_or_every_five_minutes_if_only_its_numbers_change() {
        let at = Instant::now();
        let written = HashMap::from([(list("a"), at), (list("b"), at)]);
        let after = |seconds| {
            let all = vec![outdated("a", false), outdated("b", true), outdated("new", true)];
            due(all, &written, at + Duration::from_secs(seconds))
        };
        assert_eq!(names(&after(9)), ["new"]);
        assert_eq!(names(&after(10)), ["a", "new"]);
        assert_eq!(names(&after(299)), ["a", "new"]);
        assert_eq!(names(&after(300)), ["a", "new", "b"]);
    }

    #[test]
    fn of_many_lists_ten_are_written_at_once_and_numbers_come_last() {
        let names_of = |prefix: &str| (0..20).map(|it| format!("{prefix}-{it}")).collect::<Vec<_>>();
        let numbers = names_of("numbers").into_iter().map(|name| outdated(&name, true));
        let warm = names_of("warm").into_iter().take(8).map(|name| outdated(&name, false));
        let due = due(numbers.chain(warm).collect(), &HashMap::new(), Instant::now());
        assert_eq!(due.len(), AT_ONCE);
        assert_eq!(due.iter().filter(|it| it.numbers_only).count(), 2);
    }

    #[test]
    fn a_namespace_with_many_lists_does_not_keep_others_waiting() {
        let many = (0..50).map(|it| outdated(&format!("many-{it}"), false));
        let other = Outdated { list: ("other".to_owned(), "tools".to_owned()), ..outdated("", true) };
        let due = due(many.chain([other]).collect(), &HashMap::new(), Instant::now());
        assert_eq!(due[1].list.0, "other");
    }
}
