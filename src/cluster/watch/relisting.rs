//! Watches that list everything again after any failure: one that resumes does not say that it works.

use std::fmt::Debug;

use futures::StreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::listings::Listings;
use crate::cluster::backoff::{LONGEST_PAUSE, pauses};

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
