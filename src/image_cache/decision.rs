//! What the plan decides. Data only: the words are made in [`crate::messages`].

use jiff::Timestamp;

use super::cache::{Cache, Phase};
use super::ledger::Ledger;
use super::object::ImageCacheObject;
use crate::list::cache_platform::CachePlatform;

/// What to do about a list's ImageCaches.
#[derive(Clone, Debug, Default)]
pub struct CachePlan {
    /// What to write, in this order: each needs those before it to be done.
    pub actions: Vec<CacheAction>,
    /// What must wait.
    pub waiting: Vec<CacheWait>,
    /// When to plan again if nothing changes before.
    pub wake_at: Option<Timestamp>,
}

/// One write to the cluster.
#[derive(Clone, Debug)]
pub enum CacheAction {
    /// Store the ledger, before any action that relies on it.
    Keep {
        /// `None`: remove the ledger.
        ledger: Option<Box<Ledger>>,
        /// What to report once the ledger is stored, so that nothing is reported twice.
        findings: Vec<CacheFinding>,
    },
    /// Create an ImageCache.
    Create {
        /// As it is sent to the API server.
        object: Box<ImageCacheObject>,
        /// Why the list needs a new one.
        cause: CacheCause,
    },
    /// Delete an ImageCache.
    Delete {
        /// The ImageCache.
        cache: NamedCache,
        /// UID of the ImageCache, as a precondition: a new object of the same name is not deleted.
        uid: String,
        /// Why nothing needs it any longer.
        ending: CacheDeletionReason,
    },
}

/// An ImageCache as users know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedCache {
    /// Name of the object.
    pub name: String,
    /// The platform that it is for, if the list names any.
    pub platform: Option<CachePlatform>,
}

impl NamedCache {
    /// The name and the platform of an ImageCache.
    pub fn of(cache: &Cache) -> Self {
        Self { name: cache.name.clone(), platform: cache.creation.platform }
    }
}

/// Why an ImageCache is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheCause {
    /// There is none for the content that the list asks for.
    Missing,
    /// One for the same content failed.
    Retry {
        /// The number of the attempt, from 2.
        attempt: u32,
    },
    /// The one that was ready is gone.
    Lost,
    /// The one that is ready expires soon.
    Renewal,
}

/// Why an ImageCache is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheDeletionReason {
    /// Another one is ready, and `keepPreviousFor` has passed.
    Replaced,
    /// It failed, and a retry or other content follows.
    Failed,
    /// It did not become ready, and other content is wanted.
    Abandoned,
    /// The list asks for other platforms, and their ImageCaches are ready.
    PlatformRemoved,
    /// The list no longer asks for any.
    TurnedOff,
    /// Its list has been missing for [`crate::plan::versions::GRACE`].
    ListGone,
}

/// A change of an ImageCache's status that is worth an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheFinding {
    /// It is being built.
    Progress {
        /// The ImageCache.
        cache: NamedCache,
        /// How much is built, in percent.
        percent: u8,
    },
    /// Pods can start from it.
    Ready {
        /// The ImageCache.
        cache: NamedCache,
        /// ECI's ID of it, if it reported one.
        id: Option<String>,
    },
    /// It failed.
    Failed {
        /// The ImageCache.
        cache: NamedCache,
        /// ECI's message, if it gave one.
        reason: Option<String>,
        /// What kube-prepull does next.
        next: Next,
    },
}

/// What an ImageCache, or new content for one, waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheWait {
    /// Nodes are expected to report which digests these tags stand for.
    Digests {
        /// The platform that the ImageCache is for, if the list names any.
        platform: Option<CachePlatform>,
        /// References, as the list spells them.
        images: Vec<String>,
        /// When the ImageCache is created without them.
        until: Timestamp,
    },
    /// The ImageCache before it must replace its predecessor first.
    Predecessor {
        /// The platform that the ImageCache is for, if the list names any.
        platform: Option<CachePlatform>,
    },
    /// ECI has been building it for longer than [`super::timing::SLOW`].
    SlowBuild {
        /// The ImageCache.
        cache: NamedCache,
        /// How far the build is.
        phase: Phase,
        /// When the ImageCache was created.
        since: Timestamp,
    },
}

/// What follows a failed ImageCache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A retry, at that time.
    Retry(Timestamp),
    /// Nothing, until the list changes or somebody requests a refresh.
    GivenUp,
    /// Nothing, because the list no longer asks for its content.
    Nothing,
}

impl CachePlan {
    /// Plans again at this time at the latest.
    pub fn wake_up_at(&mut self, time: Timestamp) {
        self.wake_at = self.wake_at.into_iter().chain([time]).min();
    }
}

impl CacheAction {
    /// Deletes an ImageCache.
    pub fn delete(cache: &Cache, ending: CacheDeletionReason) -> Self {
        Self::Delete { cache: NamedCache::of(cache), uid: cache.uid.clone(), ending }
    }
}
