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

use crate::cluster::watch::Changed;
use crate::image_cache::object::resource;
use crate::image_cache::{Cache, ImageCacheObject};
use crate::naming::labels;

/// How long after the definition was missing, or the right to it, there is another look.
const AGAIN: Duration = Duration::from_secs(10);

/// What can be seen of ImageCaches.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Sight<T> {
    /// Nothing yet.
    #[default]
    NotYet,
    /// The cluster does not know the resource.
    NoDefinition,
    /// The controller may not read them, in the API server's words.
    Forbidden(String),
    /// These are there.
    Seen(T),
}

impl<T> Sight<T> {
    /// The same with something else in it.
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Sight<U> {
        match self {
            Self::NotYet => Sight::NotYet,
            Self::NoDefinition => Sight::NoDefinition,
            Self::Forbidden(why) => Sight::Forbidden(why),
            Self::Seen(there) => Sight::Seen(with(there)),
        }
    }
}

/// By their names.
type Caches = BTreeMap<String, Cache>;

/// The ImageCaches of a namespace's lists, as the watch has seen them.
#[derive(Clone, Default)]
pub struct ObservedImageCaches {
    sight: Arc<Mutex<Sight<Caches>>>,
    wanted: Arc<Notify>,
}

impl ObservedImageCaches {
    /// From now on they matter.
    pub fn want(&self) {
        self.wanted.notify_one();
    }

    /// Those of a list.
    pub fn of(&self, list: &str) -> Sight<Vec<Cache>> {
        let of_list = |caches: Caches| caches.into_values().filter(|cache| cache.list == list).collect();
        self.lock().clone().map(of_list)
    }

    /// The lists that have any.
    pub fn lists(&self) -> Vec<String> {
        self.all().into_iter().map(|cache| cache.list).collect()
    }

    /// Those of all lists.
    pub fn all(&self) -> Vec<Cache> {
        match &*self.lock() {
            Sight::Seen(caches) => caches.values().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Watches those of the lists of a namespace, for ever.
    pub async fn follow(self, client: Client, namespace: String, changed: UnboundedSender<Changed>) {
        self.wanted.notified().await;
        loop {
            self.look(&client, &namespace, &changed).await;
            sleep(AGAIN).await;
        }
    }

    /// Watches until they cannot be seen any more. Then the next look begins with all of them.
    async fn look(&self, client: &Client, namespace: &str, changed: &UnboundedSender<Changed>) {
        let api = Api::<ImageCacheObject>::all_with(client.clone(), &resource());
        let mut events = pin!(watcher(api, ours(namespace)).default_backoff());
        let mut listing = Caches::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    let concerned = self.take(event, &mut listing);
                    concerned.into_iter().for_each(|concerned| drop(changed.send(concerned)));
                }
                Err(error) => {
                    let Some(sight) = out_of_sight(&error) else {
                        debug!(%error, "cannot watch ImageCaches; this is tried again");
                        continue;
                    };
                    let before = std::mem::replace(&mut *self.lock(), sight.clone());
                    if before != sight {
                        info!(?sight, "ImageCaches cannot be seen");
                        drop(changed.send(Changed::Everything));
                    }
                    return;
                }
            }
        }
    }

    /// Takes an event in, and says what it concerns.
    fn take(&self, event: Event<ImageCacheObject>, listing: &mut Caches) -> Option<Changed> {
        match event {
            Event::Init => listing.clear(),
            Event::InitApply(object) => listing.extend(named(&object)),
            Event::InitDone => {
                *self.lock() = Sight::Seen(std::mem::take(listing));
                return Some(Changed::Everything);
            }
            Event::Apply(object) => {
                let (name, cache) = named(&object)?;
                let list = cache.list.clone();
                if let Sight::Seen(caches) = &mut *self.lock() {
                    caches.insert(name, cache);
                }
                return Some(Changed::List(list));
            }
            Event::Delete(object) => {
                let (name, cache) = named(&object)?;
                if let Sight::Seen(caches) = &mut *self.lock() {
                    caches.remove(&name);
                }
                return Some(Changed::List(cache.list));
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Sight<Caches>> {
        self.sight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Selects the ImageCaches of a namespace's lists: they belong to no namespace themselves.
pub fn ours(namespace: &str) -> watcher::Config {
    watcher::Config::default().labels(&selector(namespace))
}

/// The same as a text.
pub fn selector(namespace: &str) -> String {
    format!("{}={namespace},{}", labels::NAMESPACE, labels::LIST)
}

fn named(object: &ImageCacheObject) -> Option<(String, Cache)> {
    let cache = Cache::from_object(object)?;
    Some((cache.name.clone(), cache))
}

/// What an error says about whether they can be seen at all.
fn out_of_sight<T>(error: &watcher::Error) -> Option<Sight<T>> {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status,
        _ => return None,
    };
    match status.code {
        403 => Some(Sight::Forbidden(status.message.clone())),
        404 => Some(Sight::NoDefinition),
        _ => None,
    }
}
