//! The report of the controller that leads, for commands: the leader has in memory what they would have to list.
//!
//! A command reads the Lease, forwards a port to the leader's pod with the user's own rights, and gets its `/status`. If anything is in the
//! way, it reads the objects instead ([`super::command_reader`]).
//!
//! - [`target`]: the Lease → the leader's pod and port. Pure
//! - [`forwarded`]: a forwarded port of the leader's pod
//! - [`request`]: one HTTP request through it
//! - [`tunnel`]: gets the status through it
//! - [`page_tunnels`]: connections of browsers through it
//! - [`answer`]: the answer → a report, or why that is of no use. Pure
//! - [`progress`]: whether the answer is still coming in
//! - [`versions`]: whether a report is about the lists as they are now. Pure
//! - [`obstacle`]: why a report is not used, and what to do then. Pure

pub mod answer;
mod forwarded;
mod obstacle;
pub mod page_tunnels;
mod progress;
mod request;
mod target;
mod tunnel;
mod versions;

use std::cell::Cell;
use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use tokio::time::{Instant, sleep};

use crate::error::Error;
use crate::list::IMAGE_LIST_LABEL;
use crate::status::Report;
use obstacle::NextSource;
pub use obstacle::Obstacle;
use progress::AnswerProgress;
use versions::ListVersions;

/// How often a leader is asked that has not seen a list as it is now.
const MOST_ATTEMPTS: usize = 4;
/// The pause before it is asked again. It makes a new report every second.
const PAUSE: Duration = Duration::from_millis(600);

/// Asks leaders for their reports.
pub struct LeaderReports {
    client: Client,
    /// Before this time, no leader is asked.
    not_before: Cell<Option<Instant>>,
}

impl LeaderReports {
    /// Asks with the rights of this client.
    pub fn new(client: Client) -> Self {
        Self { client, not_before: Cell::default() }
    }

    /// The report on a namespace, and on one list only if that is given; `None` if the objects have to be read. A leader that was of no
    /// use a moment ago is not asked.
    pub async fn report_if_any(&self, namespace: &str, only: Option<&str>) -> Option<Report> {
        match self.not_before.get().is_some_and(|time| Instant::now() < time) {
            true => None,
            false => self.report(namespace, only).await.ok(),
        }
    }

    /// The report on a namespace, and on one list only if that is given.
    ///
    /// # Errors
    /// Why there is none that can be used.
    pub async fn report(&self, namespace: &str, only: Option<&str>) -> Result<Report, Obstacle> {
        let progress = AnswerProgress::begin();
        let answer = tokio::select! {
            answer = self.ask(namespace, only, &progress) => answer,
            () = progress.stalled() => Err(Obstacle::TimedOut),
        };
        if let Err(obstacle) = &answer
            && let NextSource::ReadObjects(pause) = obstacle.next(MOST_ATTEMPTS, MOST_ATTEMPTS)
        {
            self.not_before.set(Some(Instant::now() + pause));
        }
        answer
    }

    async fn ask(&self, namespace: &str, only: Option<&str>, progress: &AnswerProgress) -> Result<Report, Obstacle> {
        for asked in 1.. {
            match self.ask_once(namespace, only, progress).await {
                Err(obstacle) if obstacle.next(asked, MOST_ATTEMPTS) == NextSource::AskAgain => sleep(PAUSE).await,
                answer => return answer,
            }
        }
        Err(Obstacle::Behind)
    }

    async fn ask_once(
        &self,
        namespace: &str,
        only: Option<&str>,
        progress: &AnswerProgress,
    ) -> Result<Report, Obstacle> {
        let (report, versions) = futures::join!(self.of_leader(namespace, progress), self.labelled(namespace, only));
        let (report, mut versions) = (report?, versions?);
        let report = match only {
            Some(list) => report.on_list(list),
            None => report,
        };
        let others = versions::unlabelled(&report, &versions);
        versions.extend(try_join_all(others.into_iter().map(|name| self.version(namespace, name))).await?);
        versions::check(&report, &versions)?;
        Ok(report)
    }

    async fn of_leader(&self, namespace: &str, progress: &AnswerProgress) -> Result<Report, Obstacle> {
        let target = forwarded::leader_of(&self.client, namespace).await?;
        tunnel::get_status(&self.client, namespace, &target, progress).await?.report(namespace)
    }

    /// The versions of the lists that have the label.
    async fn labelled(&self, namespace: &str, only: Option<&str>) -> Result<ListVersions, Obstacle> {
        let labelled = ListParams::default().labels(&format!("{IMAGE_LIST_LABEL}=true"));
        let labelled = match only {
            None => labelled,
            Some(name) => labelled.fields(&format!("metadata.name={name}")),
        };
        let lists = self.config_maps(namespace).list_metadata(&labelled).await;
        let lists = lists.map_err(|error| refused("list ConfigMaps".to_owned(), error))?;
        Ok(lists.items.iter().map(|list| (list.name_any(), list.resource_version())).collect())
    }

    /// The version of one ConfigMap.
    async fn version(&self, namespace: &str, name: String) -> Result<(String, Option<String>), Obstacle> {
        let found = self.config_maps(namespace).get_metadata_opt(&name).await;
        let found = found.map_err(|error| refused(format!("get the ConfigMap {name}"), error))?;
        Ok((name, found.and_then(|list| list.resource_version())))
    }

    fn config_maps(&self, namespace: &str) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

fn refused(action: String, error: kube::Error) -> Obstacle {
    Obstacle::from_error(&Error::new(action, error))
}
