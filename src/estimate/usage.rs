//! What the list does not say.

use rust_decimal::Decimal;

/// What the list does not say, and costs depend on.
#[derive(Clone, Debug)]
pub struct Usage {
    /// How many pods start from the ImageCaches.
    pub pods: u32,
    /// How many hours a month each of them runs.
    pub pods_hours: Decimal,
    /// How long it takes to build an ImageCache.
    pub build_minutes: Decimal,
    /// How many nodes the list's groups are on.
    pub nodes: Option<u32>,
}
