//! ImageCaches in the cluster, for lists that ask for them.
//!
//! - [`watch`]: which ImageCaches exist, and whether they can be seen at all
//! - [`decide`]: what to do about a list's ImageCaches, by the rules of [`crate::image_cache`]
//! - [`apply`]: the writes

mod apply;
mod decide;
mod watch;

pub use apply::ImageCacheApplier;
pub use decide::{ImageCacheDecider, ImageCacheDecision};
pub use watch::{ObservedImageCaches, Visibility, selector};
