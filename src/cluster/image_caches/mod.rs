//! ImageCaches in the cluster, for lists that ask for them. [`crate::image_cache`] has the rules.
//!
//! - [`watch`]: which ImageCaches exist, and whether they can be seen at all
//! - [`apply`]: the writes

mod apply;
mod watch;

pub use apply::ImageCacheApplier;
pub use watch::{AllImageCaches, ObservedImageCaches, Visibility, selector, selector_of_all};
