//! Estimates what a list costs. Pure.
//!
//! ```text
//! Config, prices, usage ──► estimate ──► serverless: billable items, now and a month
//!                                   └──► reserved: requests on nodes
//! ```
//! - [`prices`]: a price file → exact numbers
//! - [`usage`]: what the list does not say
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
mod usage;

use serde::Serialize;

use crate::list::{Config, ListData};
use prices::Prices;
use reserved::ReservedEstimate;
use serverless::ImageCacheCosts;
pub use table::print;
pub use usage::Usage;

/// The version of the JSON: it changes when a key goes or changes its meaning, not when one is added.
pub const VERSION: u32 = 1;

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
