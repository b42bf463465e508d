//! A price file → exact numbers.

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::text::CleanText;

/// The example that is used if the user gives no price file.
const EXAMPLE: &str = include_str!("../../config/prices.yaml");
/// The highest price that is accepted. With higher prices sums would not be exact.
const MAX: Decimal = whole(1_000_000);

/// What Alibaba Cloud charges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prices {
    /// The currency of all prices.
    pub currency: CleanText,
    /// The date of the prices.
    pub date: Date,
    /// Their source.
    pub source: CleanText,
    /// A vCPU of a running instance, per second.
    #[serde(deserialize_with = "price", serialize_with = "rust_decimal::serde::float::serialize")]
    pub vcpu_second: Decimal,
    /// A GiB of memory of a running instance, per second.
    #[serde(deserialize_with = "price", serialize_with = "rust_decimal::serde::float::serialize")]
    pub memory_gib_second: Decimal,
    /// 100 GiB of an ESSD disk, per hour.
    #[serde(rename = "disk100GibHour")]
    #[serde(deserialize_with = "price", serialize_with = "rust_decimal::serde::float::serialize")]
    pub disk_100_gib_hour: Decimal,
    /// A GiB of a snapshot, per hour.
    #[serde(deserialize_with = "price", serialize_with = "rust_decimal::serde::float::serialize")]
    pub snapshot_gib_hour: Decimal,
    /// Whether this is the example, because the user gave no file.
    #[serde(skip_deserializing)]
    pub example: bool,
}

impl Prices {
    /// Parses a price file.
    ///
    /// # Errors
    /// The problem and its line.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_yaml::from_str(text).map_err(|error| error.without_snippet().to_string())
    }

    /// The example of `config/prices.yaml`.
    pub fn example() -> Self {
        let parsed = Self::parse(EXAMPLE).map(|prices| Self { example: true, ..prices });
        parsed.unwrap_or_else(|error| unreachable!("config/prices.yaml: {error}"))
    }
}

/// A whole number.
pub(super) const fn whole(number: u32) -> Decimal {
    Decimal::from_parts(number, 0, 0, false, 0)
}

/// Parses a price from its digits, so that none is lost.
fn price<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    let digits = String::deserialize(deserializer)?;
    let exact = Decimal::from_str_exact(&digits).or_else(|_| Decimal::from_scientific(&digits));
    match exact {
        Ok(price) if (Decimal::ZERO..=MAX).contains(&price) => Ok(price),
        Ok(_) => Err(D::Error::custom(format!("{digits} is not a price; write a number from 0 to {MAX}"))),
        Err(_) => Err(D::Error::custom(format!("{digits:?} is not a price; write a number such as 0.0320"))),
    }
}
