//! Decides which ImageCaches a list should have. Virtual nodes start pods from them.
//!
//! ```text
//! Config ─► content: images, settings ────┐
//! coverage ─► digests: what tags are now ─┼─► wanted content ─► replacement: may it begin? ─► create, wait, delete, report
//! ImageCaches + ledger: what exists ──────┘
//! ```
//! - [`object`], [`cache`]: the resource, and what is read of it
//! - [`content`], [`digests`]: what the list asks for, and the digests of its tags
//! - [`ledger`]: what must survive a restart of the controller; kept on the list's newest accepted version
//! - [`context`], [`decision`]: everything that a plan depends on, and the types that it consists of
//! - [`replacement`]: when new content replaces the current one
//! - [`creation`]: what to create for the current content: the first ImageCache, a retry or a renewal
//! - [`timing`]: when to retry, to renew, and to stop waiting
//! - [`events`], [`status`]: what is reported as Events, and in the status report
//! - [`series`]: the plan for the ImageCaches of one platform, from all of these
//! - [`planner`]: the complete plan
//! - [`offline`]: what is known of it without a cluster
//!
//! A list may name platforms. The ImageCaches of each are a series of their own: they are created, retried, renewed and replaced
//! whatever becomes of the others.
//!
//! At most two layers of ImageCaches exist in a series: the latest for each current content, and the layer before. The layer before is
//! deleted when the whole current layer is ready and `keepPreviousFor` has passed (or the current layer must be renewed), never
//! sooner. Content that changes in the meantime waits, and the newest wins. A failed ImageCache is retried at most three times
//! for the same content, until somebody requests a refresh.

pub mod cache;
pub mod content;
pub mod context;
mod creation;
pub mod decision;
pub mod digests;
mod events;
pub mod ledger;
pub mod object;
mod offline;
pub mod planner;
mod replacement;
mod series;
pub mod status;
pub mod timing;

pub use cache::{Cache, Phase};
pub use context::CacheContext;
pub use decision::{
    CacheAction, CacheCause, CacheDeletionReason, CacheFinding, CachePlan, CacheWait, NamedCache, Next,
};
pub use digests::{Digests, HeldDigests};
pub use object::ImageCacheObject;
pub use offline::offline;
pub use planner::{plan, release};
pub use status::ImageCacheReport;

#[cfg(test)]
mod tests;
