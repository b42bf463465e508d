//! Watches that list everything again after any failure: one that resumes does not say that it works.

use std::fmt::Debug;

use futures::StreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::sleep;
use tracing::{info, warn};

use super::listings::Listings;
use crate::cluster::backoff::{LONGEST_PAUSE, pauses};
use crate::cluster::watch_error;

/// Watches all objects, forever. `see` gets every event and every failure.
pub async fn relist<K, F>(listings: Listings, api: Api<K>, mut see: F)
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    F: FnMut(watcher::Result<Event<K>>) + Send,
{
    let mut retries = pauses();
    loop {
        let mut stream = Box::pin(listings.watch(api.clone(), watcher::Config::default()));
        while let Some(event) = stream.next().await {
            if matches!(event, Ok(Event::InitDone)) {
                retries = pauses();
            }
            let failed = event.is_err();
            see(event);
            if failed {
                break;
            }
        }
        drop(stream);
        sleep(retries.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

/// Logs that such a watch fails: once, until it works again.
#[derive(Debug)]
pub struct FailureLog {
    /// What it sees.
    what: String,
    fails: bool,
}

impl FailureLog {
    /// It has not failed yet.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), fails: false }
    }

    /// Records that everything was listed.
    pub fn listed(&mut self) {
        if std::mem::take(&mut self.fails) {
            info!("{} can be read again", self.what);
        }
    }

    /// Records a failure. Returns whether it worked before.
    pub fn failed(&mut self, error: &watcher::Error) -> bool {
        let worked = !std::mem::replace(&mut self.fails, true);
        if worked {
            let why = watch_error::status(error).map_or_else(|| error.to_string(), |status| status.message.clone());
            warn!(error = why, "cannot read {}, so what was discovered there stays; retrying", self.what);
        }
        worked
    }
}
