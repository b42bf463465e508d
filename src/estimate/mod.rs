//! Estimates what a list costs. Pure.
//!
//! ```text
//! Config, prices, usage ──► estimate ──► serverless: billable items, now and a month
//!                                   └──► reserved: requests on nodes
//! ```
//! - [`prices`]: a price file → exact numbers
//! - [`serverless`]: what Alibaba Cloud charges for ImageCaches
//! - [`reserved`]: what the pods reserve on nodes
//! - [`table`]: the estimate as a table
//!
//! Money is computed with decimal numbers, as in price lists: no binary fraction is exactly 0.0000077.

pub mod prices;
pub mod reserved;
pub mod serverless;
mod table;
#[cfg(test)]
mod tests;

use rust_decimal::Decimal;
use serde::Serialize;

use crate::list::{Config, ListData};
use prices::Prices;
use reserved::ReservedEstimate;
use serverless::ImageCacheCosts;
pub use table::print;

/// The version of the JSON: it changes when a key goes or changes its meaning, not when one is added.
pub const VERSION: u32 = 1;

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

/// What a list costs. As JSON it is what `-o json` prints.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// [`VERSION`].
    pub version: u32,
    /// The list's namespace.
    pub namespace: String,
    /// The list's name.
    pub name: String,
    /// The prices that were used.
    pub prices: Prices,
    /// What ImageCaches cost; `None` if the list asks for none.
    pub image_caches: Option<ImageCacheCosts>,
    /// What is reserved on nodes.
    pub reserved: ReservedEstimate,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Estimates what a list costs.
pub fn estimate(list: &ListData, config: &Config, prices: Prices, usage: &Usage) -> Estimate {
    let mut warnings = Vec::new();
    let image_caches = config
        .image_cache
        .as_ref()
        .map(|cache| serverless::charges(&list.namespace, cache, config, &prices, usage, &mut warnings));
    Estimate {
        version: VERSION,
        namespace: list.namespace.clone(),
        name: list.name.clone(),
        prices,
        image_caches,
        reserved: ReservedEstimate::by(config, usage.nodes),
        warnings,
    }
}
