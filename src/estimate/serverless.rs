//! What Alibaba Cloud charges for ImageCaches: four billable items.

use std::collections::HashSet;

use jiff::SignedDuration;
use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

use super::prices::{Prices, whole};
use super::usage::Usage;
use crate::image_cache::{content, timing};
use crate::list::Config;
use crate::list::config::ImageCache;

/// The month of the estimate, in hours: 30 days, as in Alibaba Cloud's own examples.
pub const MONTH: Decimal = whole(720);
/// The instance that builds an ImageCache.
const VCPUS: Decimal = whole(2);
const MEMORY_GIB: Decimal = whole(4);
/// The precision of printed amounts.
const DIGITS: u32 = 6;

/// What the ImageCaches of a list cost.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageCacheCosts {
    /// How many exist at a time: each is for one platform, and holds at most 20 images.
    pub number: u32,
    /// How many different images they hold.
    pub images: usize,
    /// The size of each, in GiB.
    pub size_gib: u32,
    /// After how many days they expire.
    pub retention_days: Option<u32>,
    /// How often they are built in the first month if neither the list nor a digest changes.
    pub builds_per_month: u32,
    /// How long the previous ones are kept, in hours.
    #[serde(serialize_with = "amount")]
    pub keep_previous_hours: Decimal,
    /// Line by line.
    pub charges: Vec<Charge>,
    /// All lines together.
    pub sum: Amounts,
    /// What each change of the list or of a digest adds: a build, and the previous snapshots while they are kept.
    #[serde(serialize_with = "amount")]
    pub each_change: Decimal,
}

/// A line of the estimate.
#[derive(Clone, Debug, Serialize)]
pub struct Charge {
    /// The number of the billable item, from 1 to 4.
    pub item: u8,
    /// What is charged.
    pub what: String,
    /// The formula of the month's amount.
    pub formula: String,
    /// What it costs, now and in a month.
    #[serde(flatten)]
    pub amounts: Amounts,
}

/// Amounts of money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Amounts {
    /// For building the ImageCaches once.
    #[serde(serialize_with = "amount")]
    pub now: Decimal,
    /// For the first month, including this build.
    #[serde(serialize_with = "amount")]
    pub month: Decimal,
}

/// A number for programs, rounded to a millionth after the computation.
fn amount<S: Serializer>(amount: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    rust_decimal::serde::float::serialize(&amount.round_dp(DIGITS), serializer)
}

/// A printed amount.
pub fn shown(amount: Decimal) -> String {
    format!("{:.*}", DIGITS as usize, amount.round_dp(DIGITS))
}

/// Estimates the ImageCaches of a list. Each assumption adds a warning.
pub fn charges(
    namespace: &str,
    cache: &ImageCache,
    config: &Config,
    prices: &Prices,
    usage: &Usage,
    warnings: &mut Vec<String>,
) -> ImageCacheCosts {
    let shards = content::shards(namespace, config, cache);
    let images = shards.iter().flat_map(|shard| &shard.images).collect::<HashSet<_>>().len();
    let number = u32::try_from(shards.len()).unwrap_or(u32::MAX);
    let size_gib = cache.size.unwrap_or_else(|| {
        warnings.push(format!(
            "imageCache.size is not set: this counts {LEAST_SIZE} GiB, the least; the controller takes twice the sizes that \
             nodes report, rounded up"
        ));
        LEAST_SIZE
    });
    if cache.retention_days.is_none() {
        warnings.push(
            "imageCache.retentionDays is not set: snapshots are charged until the list or its imageCache is removed"
                .to_owned(),
        );
    }
    let all = Scope {
        number: number.into(),
        size: size_gib.into(),
        builds: builds_per_month(cache.retention_days).into(),
        keep_previous: hours(cache.keep_previous_for),
        prices,
        usage,
    };
    let charges = all.charges();
    let sum = charges.iter().fold(Amounts::default(), |sum, charge| Amounts {
        now: sum.now + charge.amounts.now,
        month: sum.month + charge.amounts.month,
    });
    ImageCacheCosts {
        number,
        images,
        size_gib,
        retention_days: cache.retention_days,
        builds_per_month: builds_per_month(cache.retention_days),
        keep_previous_hours: all.keep_previous,
        each_change: sum.now + all.snapshots(all.keep_previous),
        charges,
        sum,
    }
}

/// The least size, in GiB.
const LEAST_SIZE: u32 = *ImageCache::SIZES.start();

/// The builds in the first month, including the one at its start. Each ImageCache is renewed some time before it expires.
fn builds_per_month(retention_days: Option<u32>) -> u32 {
    let month = SignedDuration::from_hours(24 * 30);
    let renewals = retention_days.map(|days| {
        let life = SignedDuration::from_hours(24 * i64::from(days));
        month.as_secs() / (life - timing::lead(life)).as_secs().max(1)
    });
    1 + renewals.and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}

fn hours(duration: SignedDuration) -> Decimal {
    Decimal::from(duration.as_secs()) / whole(3600)
}

/// The input of the charges.
struct Scope<'s> {
    number: Decimal,
    size: Decimal,
    builds: Decimal,
    /// In hours.
    keep_previous: Decimal,
    prices: &'s Prices,
    usage: &'s Usage,
}

impl Scope<'_> {
    fn charges(&self) -> Vec<Charge> {
        let renewals = self.builds - Decimal::ONE;
        let previous =
            (renewals > Decimal::ZERO && self.keep_previous > Decimal::ZERO).then(|| self.previous(renewals));
        [self.instance(), self.disk_of_instance(), self.snapshot()]
            .into_iter()
            .chain(previous)
            .chain([self.disks_of_pods()])
            .collect()
    }

    /// A charge for each build of all ImageCaches.
    fn per_build(&self, item: u8, what: String, formula: String, one: Decimal) -> Charge {
        let now = one * self.number;
        let formula = format!("{formula}{}{}", times(self.number, "ImageCaches"), times(self.builds, "builds"));
        Charge { item, what, formula, amounts: Amounts { now, month: now * self.builds } }
    }

    /// Item 1.
    fn instance(&self) -> Charge {
        let Prices { vcpu_second, memory_gib_second, .. } = self.prices;
        let seconds = self.usage.build_minutes * whole(60);
        let one = (vcpu_second * VCPUS + memory_gib_second * MEMORY_GIB) * seconds;
        let formula = format!(
            "({vcpu_second} × {VCPUS} vCPU + {memory_gib_second} × {MEMORY_GIB} GiB) × {} s",
            seconds.normalize()
        );
        self.per_build(1, "the build instance".to_owned(), formula, one)
    }

    /// Item 2: each started hour.
    fn disk_of_instance(&self) -> Charge {
        let hours = (self.usage.build_minutes / whole(60)).ceil();
        let unit = if hours == Decimal::ONE { "started hour" } else { "started hours" };
        let formula = format!("{} / 100 × {} GiB × {hours} {unit}", self.prices.disk_100_gib_hour, self.size);
        self.per_build(2, "its disk".to_owned(), formula, self.disk(hours))
    }

    /// Item 3.
    fn snapshot(&self) -> Charge {
        let formula = format!(
            "{} × {} GiB × {MONTH} h{}",
            self.prices.snapshot_gib_hour,
            self.size,
            times(self.number, "ImageCaches")
        );
        let amounts = Amounts { now: Decimal::ZERO, month: self.snapshots(MONTH) };
        Charge { item: 3, what: "the snapshot".to_owned(), formula, amounts }
    }

    /// Item 3 again: the previous snapshot is kept for a while after each renewal.
    fn previous(&self, renewals: Decimal) -> Charge {
        let formula = format!(
            "{} × {} GiB × {} h{}{}",
            self.prices.snapshot_gib_hour,
            self.size,
            self.keep_previous.round_dp(2).normalize(),
            times(self.number, "ImageCaches"),
            format_args!(" × {renewals} renewals"),
        );
        let month = self.snapshots(self.keep_previous) * renewals;
        let amounts = Amounts { now: Decimal::ZERO, month };
        Charge { item: 3, what: "the previous snapshot".to_owned(), formula, amounts }
    }

    /// Item 4: each pod has the disk of one ImageCache.
    fn disks_of_pods(&self) -> Charge {
        let Usage { pods, pods_hours, .. } = self.usage;
        let formula = format!(
            "{} / 100 × {} GiB × {} h × {pods} pods",
            self.prices.disk_100_gib_hour,
            self.size,
            pods_hours.normalize()
        );
        let amounts = Amounts { now: Decimal::ZERO, month: self.disk(*pods_hours) * Decimal::from(*pods) };
        Charge { item: 4, what: "the disks of pods".to_owned(), formula, amounts }
    }

    fn disk(&self, hours: Decimal) -> Decimal {
        self.prices.disk_100_gib_hour / Decimal::ONE_HUNDRED * self.size * hours
    }

    fn snapshots(&self, hours: Decimal) -> Decimal {
        self.prices.snapshot_gib_hour * self.size * hours * self.number
    }
}

fn times(number: Decimal, what: &str) -> String {
    if number == Decimal::ONE { String::new() } else { format!(" × {number} {what}") }
}
