//! The watch of ImageCaches. It begins when a list first asks for one or had one before: most clusters do not have the
//! resource, and most controllers not the right to it.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;
use tracing::{debug, info};

use crate::cluster::affected_lists::Changed;
use crate::cluster::watch_error;
use crate::image_cache::object::resource;
use crate::image_cache::{Cache, ImageCacheObject};
use crate::naming::labels;

/// The pause before another attempt, if the resource or the right to read it was missing.
const PAUSE: Duration = Duration::from_secs(10);

/// Whether the ImageCaches can be seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Visibility<T> {
    /// Not known yet.
    #[default]
    Unknown,
    /// No, since the cluster does not have the resource.
    NoDefinition,
    /// No, since the controller may not read them; in the API server's words.
    Forbidden(String),
    /// Yes: these.
    Visible(T),
}

impl<T> Visibility<T> {
    /// Replaces what is visible.
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Visibility<U> {
        match self {
            Self::Unknown => Visibility::Unknown,
            Self::NoDefinition => Visibility::NoDefinition,
            Self::Forbidden(why) => Visibility::Forbidden(why),
            Self::Visible(caches) => Visibility::Visible(with(caches)),
        }
    }
}

/// ImageCaches by their names.
type Caches = BTreeMap<String, Cache>;

/// The ImageCaches of a namespace's lists, as the watch has seen them.
#[derive(Clone, Default)]
pub struct ObservedImageCaches {
    visibility: Arc<Mutex<Visibility<Caches>>>,
    wanted: Arc<Notify>,
}

impl ObservedImageCaches {
    /// Begins to watch them, unless that has begun already.
    pub fn want(&self) {
        self.wanted.notify_one();
    }

    /// The ImageCaches of a list.
    pub fn of(&self, list: &str) -> Visibility<Vec<Cache>> {
        match &*self.lock() {
            Visibility::Visible(caches) => {
                Visibility::Visible(caches.values().filter(|cache| cache.list == list).cloned().collect())
            }
            invisible => invisible.clone().map(|_| Vec::new()),
        }
    }

    /// The lists that have ImageCaches.
    pub fn lists(&self) -> Vec<String> {
        self.all().into_iter().map(|cache| cache.list).collect()
    }

    /// The ImageCaches of all lists.
    pub fn all(&self) -> Vec<Cache> {
        match &*self.lock() {
            Visibility::Visible(caches) => caches.values().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Watches the ImageCaches of a namespace's lists forever, as soon as they are wanted.
    pub async fn follow(self, client: Client, namespace: String, changed: UnboundedSender<Changed>) {
        self.wanted.notified().await;
        loop {
            self.watch(&client, &namespace, &changed).await;
            sleep(PAUSE).await;
        }
    }

    /// Watches until they cannot be seen any more. The next watch begins with a listing.
    async fn watch(&self, client: &Client, namespace: &str, changed: &UnboundedSender<Changed>) {
        let api = Api::<ImageCacheObject>::all_with(client.clone(), &resource());
        let mut events = pin!(watcher(api, ours(namespace)).default_backoff());
        let mut listing = Caches::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    let concerned = self.record(event, &mut listing);
                    concerned.into_iter().for_each(|concerned| drop(changed.send(concerned)));
                }
                Err(error) => {
                    let Some(invisible) = invisible(&error) else {
                        debug!(%error, "cannot watch ImageCaches; retrying");
                        continue;
                    };
                    let before = std::mem::replace(&mut *self.lock(), invisible.clone());
                    if before != invisible {
                        info!(reason = ?invisible, "ImageCaches cannot be seen");
                        drop(changed.send(Changed::Everything));
                    }
                    return;
                }
            }
        }
    }

    /// Records an event. Returns which lists it concerns.
    fn record(&self, event: Event<ImageCacheObject>, listing: &mut Caches) -> Option<Changed> {
        match event {
            Event::Init => listing.clear(),
            Event::InitApply(object) => listing.extend(named(&object)),
            Event::InitDone => {
                *self.lock() = Visibility::Visible(std::mem::take(listing));
                return Some(Changed::Everything);
            }
            Event::Apply(object) => {
                let (name, cache) = named(&object)?;
                let list = cache.list.clone();
                if let Visibility::Visible(caches) = &mut *self.lock() {
                    caches.insert(name, cache);
                }
                return Some(Changed::List(list));
            }
            Event::Delete(object) => {
                let (name, cache) = named(&object)?;
                if let Visibility::Visible(caches) = &mut *self.lock() {
                    caches.remove(&name);
                }
                return Some(Changed::List(cache.list));
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Visibility<Caches>> {
        self.visibility.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Selects the ImageCaches of a namespace's lists. They are cluster-scoped, so a label names the namespace.
fn ours(namespace: &str) -> watcher::Config {
    watcher::Config::default().labels(&selector(namespace))
}

/// The label selector of the ImageCaches of a namespace's lists.
pub fn selector(namespace: &str) -> String {
    format!("{}={namespace},{}", labels::NAMESPACE, labels::LIST)
}

fn named(object: &ImageCacheObject) -> Option<(String, Cache)> {
    let cache = Cache::from_object(object)?;
    Some((cache.name.clone(), cache))
}

/// Whether an error means that ImageCaches cannot be seen at all.
fn invisible<T>(error: &watcher::Error) -> Option<Visibility<T>> {
    let status = watch_error::status(error)?;
    match status.code {
        403 => Some(Visibility::Forbidden(status.message.clone())),
        404 => Some(Visibility::NoDefinition),
        _ => None,
    }
}
