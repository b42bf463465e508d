//! Writes on each list whether it is warm, for tools that know nothing of kube-prepull: not more often than they can make use of.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use tokio::sync::Notify;
use tokio::task::block_in_place;
use tokio::time::sleep;
use tracing::{debug, warn};

use super::apply::Applier;
use super::status_server::Overview;
use crate::naming::labels;
use crate::status::Report;
use crate::status::warm_result::WarmResult;

/// Between two passes over all lists.
const PAUSE: Duration = Duration::from_secs(5);
/// How many lists are written in one pass.
const AT_ONCE: usize = 10;
/// The least time between two writes on a list. In a rollout the numbers change all the time, and nobody waits for them.
const BETWEEN: Duration = Duration::from_secs(10);
const BETWEEN_NUMBERS: Duration = Duration::from_secs(60);

/// Keeps the results on the lists up to date.
pub struct WarmResults {
    client: Client,
    overview: Overview,
    /// Says that something in the cluster has changed.
    changes: Arc<Notify>,
    /// When a list was written last, by namespace and name.
    written: HashMap<(String, String), Instant>,
}

/// A result that a list does not have yet.
struct Outdated {
    list: (String, String),
    patch: ConfigMap,
    numbers_only: bool,
}

impl WarmResults {
    /// Writes with that client, once `changes` says that there may be something to write.
    pub fn new(client: &Client, overview: Overview, changes: Arc<Notify>) -> Self {
        Self { client: client.clone(), overview, changes, written: HashMap::new() }
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
        let Some(outdated) = block_in_place(|| self.overview.outdated()) else { return false };
        let total = outdated.len();
        let due = due(outdated, &self.written, Instant::now());
        let is_left = total > due.len();
        for Outdated { list, patch, .. } in due {
            let (namespace, name) = &list;
            match Applier::new(&self.client, namespace).write_warm_result(&patch).await {
                Ok(written) => debug!(namespace, list = name, written, "wrote whether the list is warm"),
                Err(error) => warn!(namespace, list = name, %error, "cannot write whether the list is warm; retrying"),
            }
            self.written.insert(list, Instant::now());
        }
        self.written.retain(|_, at| at.elapsed() < BETWEEN_NUMBERS);
        is_left
    }
}

/// What to write now, the most urgent first.
fn due(mut outdated: Vec<Outdated>, written: &HashMap<(String, String), Instant>, now: Instant) -> Vec<Outdated> {
    let last = |it: &Outdated| written.get(&it.list).copied();
    outdated.retain(|it| {
        let pause = if it.numbers_only { BETWEEN_NUMBERS } else { BETWEEN };
        last(it).is_none_or(|at| now.saturating_duration_since(at) >= pause)
    });
    outdated.sort_by_key(|it| (it.numbers_only, last(it)));
    outdated.truncate(AT_ONCE);
    outdated
}

impl Overview {
    /// The results that lists do not have yet. `None` before all watches have listed their objects.
    fn outdated(&self) -> Option<Vec<Outdated>> {
        let report: Arc<Report> = self.report()?;
        let others = &self.cluster.seen_by_all().other_controllers;
        let ours = report.lists.iter().filter(|list| !others.are_in(&list.namespace));
        let outdated = ours.filter_map(|list| {
            let (namespace, name) = (list.namespace.to_string(), list.name.to_string());
            let config_map = self.cluster.get(&namespace)?.observed.list(&labels::list_value(&name))?;
            let metadata = &config_map.metadata;
            let result = WarmResult::new(list, metadata)?;
            (!result.is_stored_on(metadata)).then(|| Outdated {
                list: (namespace, name),
                patch: result.patch(metadata),
                numbers_only: result.differs_in_words_only(metadata),
            })
        });
        Some(outdated.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: &str) -> (String, String) {
        ("prepull".to_owned(), name.to_owned())
    }

    fn outdated(name: &str, numbers_only: bool) -> Outdated {
        Outdated { list: list(name), patch: ConfigMap::default(), numbers_only }
    }

    fn names(due: &[Outdated]) -> Vec<&str> {
        due.iter().map(|it| it.list.1.as_str()).collect()
    }

    #[test]
    fn a_list_is_written_every_ten_seconds_or_every_minute_if_only_its_numbers_change() {
        let at = Instant::now();
        let written = HashMap::from([(list("a"), at), (list("b"), at)]);
        let after = |seconds| {
            let all = vec![outdated("a", false), outdated("b", true), outdated("new", true)];
            due(all, &written, at + Duration::from_secs(seconds))
        };
        assert_eq!(names(&after(9)), ["new"]);
        assert_eq!(names(&after(10)), ["a", "new"]);
        assert_eq!(names(&after(60)), ["a", "new", "b"]);
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
}
