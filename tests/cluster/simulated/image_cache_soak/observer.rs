//! Sees every change of the trial's ImageCaches, in order, and notes what breaks a promise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use eci_simulator::image_cache::resource;
use eci_simulator::{ImageCache, Phase};
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt};
use tokio::task::JoinHandle;

use crate::serverless::{Serverless, of_namespace, phase_of};
use crate::trial::{connect, eventually};

/// As long as nothing happens for so long, nothing is about to.
const REST: Duration = Duration::from_millis(1000);
/// The most images in one.
const MAX_IMAGES: usize = 20;
/// The most that may exist at a time for each portion of a list.
const GENERATIONS: usize = 2;

pub struct Observer {
    seen: Arc<Mutex<Seen>>,
    watch: JoinHandle<()>,
}

/// The images of one ImageCache.
type Portion = Vec<String>;

/// All that was ever seen.
struct Seen {
    /// By uid.
    caches: BTreeMap<String, Known>,
    /// What the list asked for, each time that it was edited.
    asked: Vec<Vec<Portion>>,
    /// Names of those that something happened to which nobody can prevent.
    attacked: BTreeSet<String>,
    broken: Vec<String>,
    last_change: Instant,
}

/// An ImageCache, also one that is gone.
struct Known {
    name: String,
    portion: Portion,
    alive: bool,
    was_ready: bool,
    has_failed: bool,
    /// Whether it was taken away by anybody but the controller.
    was_lost: bool,
    /// Whether it came so near to its end that another one was due.
    was_due: bool,
    expires: Option<Timestamp>,
}

/// How much happened: numbers of ImageCaches, but for the edits.
#[derive(Debug)]
#[allow(dead_code)] // Some are only printed.
pub struct Summary {
    pub edits: usize,
    pub made: usize,
    pub became_ready: usize,
    pub failed: usize,
    pub lost: usize,
    pub due: usize,
}

impl Observer {
    pub async fn start(serverless: &Serverless) -> Self {
        let seen = Seen {
            caches: BTreeMap::new(),
            asked: Vec::new(),
            attacked: BTreeSet::new(),
            broken: Vec::new(),
            last_change: Instant::now(),
        };
        let seen = Arc::new(Mutex::new(seen));
        let caches = Api::all_with(connect(&serverless.trial.kubeconfig).await, &resource());
        let labels = of_namespace(&serverless.trial.namespace).label_selector.unwrap_or_default();
        let events = watcher::watcher(caches, watcher::Config::default().labels(&labels));
        let noted = Arc::clone(&seen);
        let watch = tokio::spawn(events.for_each(move |event| {
            noted.lock().unwrap().note(event);
            std::future::ready(())
        }));
        Self { seen, watch }
    }

    pub fn asks_for(&self, images: &[String]) {
        let portions = images.chunks(MAX_IMAGES).map(<[String]>::to_vec).collect();
        self.seen.lock().unwrap().asked.push(portions);
    }

    pub fn attacked(&self, name: &str) {
        self.seen.lock().unwrap().attacked.insert(name.to_owned());
    }

    pub async fn comes_to_rest(&self) {
        let begun = Instant::now();
        eventually("ImageCaches to rest", async || {
            let last = self.seen.lock().unwrap().last_change.max(begun);
            (last.elapsed() > REST).then_some(())
        })
        .await;
    }

    pub fn check(&self) {
        let mut seen = self.seen.lock().unwrap();
        seen.check_creations();
        assert!(seen.broken.is_empty(), "{:#?}", seen.broken);
    }

    /// How much there was to see.
    pub fn summary(&self) -> Summary {
        let seen = self.seen.lock().unwrap();
        Summary {
            edits: seen.asked.len(),
            made: seen.caches.len(),
            became_ready: seen.count(|cache| cache.was_ready),
            failed: seen.count(|cache| cache.has_failed),
            lost: seen.count(|cache| cache.was_lost),
            due: seen.count(|cache| cache.was_due),
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl Seen {
    fn note(&mut self, event: watcher::Result<Event<ImageCache>>) {
        self.last_change = Instant::now();
        match event {
            Ok(Event::Apply(cache) | Event::InitApply(cache)) => self.is_there(&cache),
            Ok(Event::Delete(cache)) => self.is_gone(&cache),
            Ok(Event::Init | Event::InitDone) => {}
            Err(error) => self.broken.push(format!("the watch missed something: {error}")),
        }
    }

    fn is_there(&mut self, cache: &ImageCache) {
        let known = Known::of(cache);
        let before = self.caches.remove(&cache.uid().unwrap_or_default());
        let known = match before {
            Some(before) => Known {
                was_ready: before.was_ready || known.was_ready,
                was_due: before.was_due || known.was_due,
                ..known
            },
            None => known,
        };
        self.caches.insert(cache.uid().unwrap_or_default(), known);
        let layers = self.layers();
        if layers > GENERATIONS {
            self.broken.push(format!("{layers} generations exist: {}", self.alive()));
        }
    }

    fn is_gone(&mut self, cache: &ImageCache) {
        let (uid, now) = (cache.uid().unwrap_or_default(), Timestamp::now());
        let covered = (self.covers_any(), self.covers_wanted());
        let attacked = self.attacked.contains(&cache.name_any());
        let mut known = self.caches.remove(&uid).unwrap_or_else(|| Known::of(cache));
        let has_expired = known.expires.is_some_and(|expires| expires <= now);
        known.alive = false;
        known.was_lost = attacked || has_expired;
        let (name, was_ready) = (known.name.clone(), known.was_ready);
        self.caches.insert(uid, known);
        if !was_ready || attacked {
            return;
        }
        if !has_expired && covered.0 && !self.covers_any() {
            self.broken.push(format!("{name} was deleted, the last that was ready; now there is {}", self.alive()));
        }
        if has_expired && covered.1 && !self.covers_wanted() && self.attacked.is_empty() {
            self.broken.push(format!("{name} expired before another one was ready; now there is {}", self.alive()));
        }
    }

    /// How many generations exist: two portions of one list are one.
    fn layers(&self) -> usize {
        let mut of_portion: BTreeMap<&Portion, usize> = BTreeMap::new();
        for cache in self.caches.values().filter(|cache| cache.alive) {
            *of_portion.entry(&cache.portion).or_default() += 1;
        }
        let lists: BTreeSet<&Vec<Portion>> = self.asked.iter().collect();
        let of_list = |list: &&Vec<Portion>| list.iter().filter_map(|portion| of_portion.get(portion)).max().copied();
        lists.iter().filter_map(of_list).sum()
    }

    fn covers(&self, list: &[Portion]) -> bool {
        let ready = |portion: &Portion| {
            self.caches.values().any(|cache| cache.alive && cache.was_ready && cache.portion == *portion)
        };
        list.iter().all(ready)
    }

    fn covers_any(&self) -> bool {
        self.asked.iter().any(|list| self.covers(list))
    }

    fn covers_wanted(&self) -> bool {
        self.asked.last().is_some_and(|list| self.covers(list))
    }

    /// One for each portion of each edit, for each that failed or was lost, and for each renewal.
    fn check_creations(&mut self) {
        let edits: usize = self.asked.iter().map(Vec::len).sum();
        let reasons = edits + self.count(|cache| cache.has_failed || cache.was_lost || cache.was_due);
        let made = self.caches.len();
        if made > reasons {
            self.broken.push(format!("{made} ImageCaches were made, for {reasons} reasons"));
        }
    }

    fn count(&self, which: impl Fn(&Known) -> bool) -> usize {
        self.caches.values().filter(|cache| which(cache)).count()
    }

    fn alive(&self) -> String {
        let alive = self.caches.values().filter(|cache| cache.alive);
        let words = alive.map(|cache| {
            format!("{} ({}, ready: {}, expires: {:?})", cache.name, cache.portion[0], cache.was_ready, cache.expires)
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

impl Known {
    fn of(cache: &ImageCache) -> Self {
        let now = Timestamp::now();
        let created = cache.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
        let expires = cache.status.as_ref().and_then(|status| status.expire_date_time.as_ref()).map(|time| time.0);
        let (was_ready, has_failed) = (phase_of(cache) == Some(Phase::Ready), phase_of(cache) == Some(Phase::Failed));
        let due = |expires: Timestamp| expires - expires.duration_since(created) / 4 - SignedDuration::from_mins(1);
        Self {
            name: cache.name_any(),
            portion: cache.spec.images.clone(),
            alive: true,
            was_ready,
            has_failed,
            was_lost: false,
            was_due: was_ready && expires.is_some_and(|expires| due(expires) <= now),
            expires,
        }
    }
}
