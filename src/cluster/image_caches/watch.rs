//! The watch of ImageCaches. It begins when a list first asks for one or had one before: most clusters do not have the
//! resource, and most controllers not the right to it.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;
use tracing::{debug, info};

use crate::cluster::affected_lists::{Change, Changed};
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

/// ImageCaches by the namespaces of their lists, and by their names.
type Caches = BTreeMap<Arc<str>, BTreeMap<String, Cache>>;

/// The ImageCaches of all lists, as the watch has seen them. Clones share them.
#[derive(Clone, Default)]
pub struct AllImageCaches {
    visibility: Arc<Mutex<Visibility<Caches>>>,
    wanted: Arc<Notify>,
}

/// Those of one namespace's lists.
#[derive(Clone)]
pub struct ObservedImageCaches {
    all: AllImageCaches,
    namespace: Arc<str>,
}

impl ObservedImageCaches {
    /// Begins to watch them, unless that has begun already.
    pub fn want(&self) {
        self.all.wanted.notify_one();
    }

    /// The ImageCaches of a list.
    pub fn of(&self, list: &str) -> Visibility<Vec<Cache>> {
        match &*self.all.lock() {
            Visibility::Visible(caches) => {
                let of_namespace = caches.get(&self.namespace).into_iter().flat_map(BTreeMap::values);
                Visibility::Visible(of_namespace.filter(|cache| cache.list == list).cloned().collect())
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
        match &*self.all.lock() {
            Visibility::Visible(caches) => {
                caches.get(&self.namespace).into_iter().flat_map(BTreeMap::values).cloned().collect()
            }
            _ => Vec::new(),
        }
    }
}

impl AllImageCaches {
    /// Those of a namespace's lists.
    pub fn of_namespace(&self, namespace: &Arc<str>) -> ObservedImageCaches {
        ObservedImageCaches { all: self.clone(), namespace: Arc::clone(namespace) }
    }

    /// The namespaces whose lists have some.
    pub fn namespaces(&self) -> Vec<Arc<str>> {
        match &*self.lock() {
            Visibility::Visible(caches) => caches.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Watches the ImageCaches of a namespace's lists forever, or of all lists if no namespace is given, as soon as they are wanted.
    pub async fn follow(self, client: Client, namespace: Option<String>, changed: UnboundedSender<Change>) {
        self.wanted.notified().await;
        loop {
            self.watch(&client, namespace.as_deref(), &changed).await;
            sleep(PAUSE).await;
        }
    }

    /// Watches until they cannot be seen any more. The next watch begins with a listing.
    async fn watch(&self, client: &Client, namespace: Option<&str>, changed: &UnboundedSender<Change>) {
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
                        drop(changed.send(Change::anywhere(Changed::Everything)));
                    }
                    return;
                }
            }
        }
    }

    /// Records an event. Returns which lists it concerns.
    fn record(&self, event: Event<ImageCacheObject>, listing: &mut Caches) -> Option<Change> {
        match event {
            Event::Init => listing.clear(),
            Event::InitApply(object) => {
                let (namespace, cache) = placed(&object)?;
                insert(listing, namespace, cache);
            }
            Event::InitDone => {
                *self.lock() = Visibility::Visible(std::mem::take(listing));
                return Some(Change::anywhere(Changed::Everything));
            }
            Event::Apply(object) => {
                let (namespace, cache) = placed(&object)?;
                let change = Change::within(&namespace, Changed::List(cache.list.clone()));
                if let Visibility::Visible(caches) = &mut *self.lock() {
                    insert(caches, namespace, cache);
                }
                return Some(change);
            }
            Event::Delete(object) => {
                let (namespace, cache) = placed(&object)?;
                if let Visibility::Visible(caches) = &mut *self.lock() {
                    remove(caches, &namespace, &cache.name);
                }
                return Some(Change::within(&namespace, Changed::List(cache.list)));
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Visibility<Caches>> {
        self.visibility.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Selects the ImageCaches of a namespace's lists, or of all lists. They are cluster-scoped, so a label names the namespace.
fn ours(namespace: Option<&str>) -> watcher::Config {
    watcher::Config::default().labels(&namespace.map_or_else(selector_of_all, selector))
}

/// The label selector of the ImageCaches of all lists.
pub fn selector_of_all() -> String {
    format!("{},{}", labels::NAMESPACE, labels::LIST)
}

/// The label selector of the ImageCaches of a namespace's lists.
pub fn selector(namespace: &str) -> String {
    format!("{}={namespace},{}", labels::NAMESPACE, labels::LIST)
}

/// An ImageCache, and the namespace of its list.
fn placed(object: &ImageCacheObject) -> Option<(Arc<str>, Cache)> {
    let namespace = object.labels().get(labels::NAMESPACE)?.as_str().into();
    Some((namespace, Cache::from_object(object)?))
}

fn insert(caches: &mut Caches, namespace: Arc<str>, cache: Cache) {
    caches.entry(namespace).or_default().insert(cache.name.clone(), cache);
}

fn remove(caches: &mut Caches, namespace: &str, name: &str) {
    if let Some(of_namespace) = caches.get_mut(namespace) {
        of_namespace.remove(name);
        if of_namespace.is_empty() {
            caches.remove(namespace);
        }
    }
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
