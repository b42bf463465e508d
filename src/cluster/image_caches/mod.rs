//! ImageCaches in the cluster, for lists that ask for them.
//!
//! - [`watch`]: what there is, and whether it can be seen at all
//! - [`reconcile`]: decides with [`crate::image_cache`] and carries that out
//! - [`apply`]: the writes

mod apply;
mod reconcile;
mod watch;

pub use reconcile::Serverless;
pub use watch::{ObservedImageCaches, Sight, selector};
