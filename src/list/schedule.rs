//! When a list's tags are checked: after an interval, or by a cron pattern in a time zone.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::LazyLock;

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use super::problem::quoted;

/// When refreshes are due.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// That long after the tags were last resolved.
    Every(SignedDuration),
    /// At the times of a cron pattern in a time zone.
    Cron(Box<CronSchedule>),
}

/// A cron pattern of five fields and its time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct CronSchedule {
    pattern: Cron,
    zone: TimeZone,
}

/// A leap year, in hours.
pub const MAX_INTERVAL_HOURS: i64 = 366 * 24;

impl Schedule {
    /// The shortest interval: a kubelet needs some seconds per image, and registries count requests.
    pub const MIN_INTERVAL: SignedDuration = SignedDuration::from_mins(1);
    /// The longest interval: a year.
    pub const MAX_INTERVAL: SignedDuration = SignedDuration::from_hours(MAX_INTERVAL_HOURS);
    /// The valid intervals.
    pub const INTERVALS: RangeInclusive<SignedDuration> = Self::MIN_INTERVAL..=Self::MAX_INTERVAL;

    /// The first due time after `last`; `None` if there is none in the years that are searched.
    ///
    /// A time that is skipped by a change to daylight saving time is due at the change. A time that occurs twice is due once.
    pub fn next_after(&self, last: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(interval) => last.checked_add(*interval).ok(),
            Self::Cron(cron) => cron
                .pattern
                .find_next_occurrence(&last.to_zoned(cron.zone.clone()), false)
                .ok()
                .map(|next| next.timestamp()),
        }
    }
}

impl CronSchedule {
    /// Parses a pattern of five fields (minute to day of the week).
    ///
    /// # Errors
    /// The problem of the pattern.
    pub fn parse(pattern: &str, zone: TimeZone) -> Result<Self, String> {
        if pattern.len() > MAX_PATTERN {
            return Err(format!("it has more than {MAX_PATTERN} characters"));
        }
        // The names that robfig/cron knows, which Kubernetes' CronJobs use, and croner does not.
        let pattern = if pattern.eq_ignore_ascii_case("@midnight") { "@daily" } else { pattern };
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let pattern = parser.parse(pattern).map_err(|error| reason(&error))?;
        match occurs(&pattern) {
            true => Ok(Self { pattern, zone }),
            false => Err("it never occurs".to_owned()),
        }
    }
}

/// Whether any day matches. Every hour has all minutes and every day all hours, and the calendar repeats itself after 28 years as
/// long as each fourth is a leap year. A search for the next occurrence would go through three thousand years.
fn occurs(pattern: &Cron) -> bool {
    const CYCLE: RangeInclusive<i16> = 2001..=2028;
    let pattern = &pattern.pattern;
    let is_day_of_it = |date: Date| {
        let weekday =
            croner::Weekday::from_days_from_sunday(date.weekday().to_sunday_zero_offset().unsigned_abs().into());
        let (month, day) = (date.month().unsigned_abs().into(), date.day().unsigned_abs().into());
        pattern.day_match(date.year().into(), month, day, weekday).unwrap_or_default()
    };
    let months: Vec<i8> =
        (1..=12_i8).filter(|month| pattern.month_match(month.unsigned_abs().into()).unwrap_or_default()).collect();
    CYCLE
        .into_iter()
        .any(|year| months.iter().any(|month| (1..=31).any(|day| Date::new(year, *month, day).is_ok_and(is_day_of_it))))
}

impl fmt::Display for Schedule {
    /// Prints `every 1h 30m`, or `0 3 * * 1-5 (Europe/Berlin)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(interval) => write!(f, "every {interval:#}"),
            Self::Cron(cron) => {
                write!(f, "{} ({})", cron.pattern.as_str(), cron.zone.iana_name().unwrap_or("UTC"))
            }
        }
    }
}

/// Enough for every minute of the hour and every hour of the day, one by one.
const MAX_PATTERN: usize = 400;

/// The parser's reason, as the end of a sentence.
fn reason(error: &CronError) -> String {
    let text = error.to_string();
    let text = text
        .trim_start_matches("Component error: ")
        .trim_start_matches("Invalid pattern: ")
        .trim_end_matches('.')
        .trim_end_matches(" when seconds are disallowed");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// Parses an interval such as `90m` or `1h 30m`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_interval(text: &str) -> Result<SignedDuration, String> {
    const MAX: usize = 100;
    if text.len() > MAX {
        return Err(format!("it has more than {MAX} characters"));
    }
    SignedDuration::from_str(text).map_err(|error| error.to_string())
}

/// Finds a time zone by its IANA name.
///
/// # Errors
/// There is no zone of that name.
pub fn parse_zone(name: &str) -> Result<TimeZone, String> {
    ZONES.get(name).map_err(|_| format!("unknown time zone {}", quoted(name)))
}

/// The program's own time zones. Validation must not depend on the machine: /usr/share/zoneinfo differs between machines, and
/// an image without an operating system has none.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn cron(pattern: &str, zone: &str) -> Schedule {
        let zone = parse_zone(zone).expect("a zone");
        Schedule::Cron(Box::new(CronSchedule::parse(pattern, zone).expect("a pattern")))
    }

    #[test]
    fn an_interval_counts_from_the_last_rollout() {
        let schedule = Schedule::Every(SignedDuration::from_hours(1));
        assert_eq!(schedule.next_after(at("2026-01-01T10:30:00Z")), Some(at("2026-01-01T11:30:00Z")));
    }

    #[test]
    fn cron_is_read_in_its_zone() {
        let nightly = cron("0 3 * * 1-5", "Europe/Berlin");
        // Friday night in winter, then the weekend, then Monday.
        assert_eq!(nightly.next_after(at("2026-01-09T03:00:00Z")), Some(at("2026-01-12T02:00:00Z")));
        assert_eq!(nightly.next_after(at("2026-07-06T12:00:00Z")), Some(at("2026-07-07T01:00:00Z")));
    }

    #[test]
    fn it_is_reported_as_it_is_written() {
        assert_eq!(Schedule::Every(SignedDuration::from_mins(90)).to_string(), "every 1h 30m");
        assert_eq!(cron("0 3 * * 1-5", "Europe/Berlin").to_string(), "0 3 * * 1-5 (Europe/Berlin)");
        assert_eq!(cron("@daily", "UTC").to_string(), "0 0 * * * (UTC)");
    }

    #[test]
    fn a_skipped_time_is_made_up_and_a_doubled_one_is_due_once() {
        let schedule = cron("30 2 * * *", "Europe/Berlin");
        // 2026-03-29: 02:00 becomes 03:00, so there is no 02:30.
        let spring = schedule.next_after(at("2026-03-28T12:00:00Z")).expect("due");
        assert_eq!(spring, at("2026-03-29T01:00:00Z"));
        assert_eq!(schedule.next_after(spring), Some(at("2026-03-30T00:30:00Z")));
        // 2026-10-25: 03:00 becomes 02:00, so there are two 02:30.
        let autumn = schedule.next_after(at("2026-10-24T12:00:00Z")).expect("due");
        assert_eq!(autumn, at("2026-10-25T00:30:00Z"));
        assert_eq!(schedule.next_after(autumn), Some(at("2026-10-26T01:30:00Z")));
    }

    #[test]
    fn names_for_common_patterns_are_understood() {
        for (name, pattern) in [
            ("@hourly", "0 * * * *"),
            ("@daily", "0 0 * * *"),
            ("@midnight", "0 0 * * *"),
            ("@annually", "0 0 1 1 *"),
            ("@weekly", "0 0 * * 0"),
            ("@monthly", "0 0 1 * *"),
            ("@yearly", "0 0 1 1 *"),
        ] {
            let last = at("2026-02-03T04:05:06Z");
            assert_eq!(cron(name, "UTC").next_after(last), cron(pattern, "UTC").next_after(last), "{name}");
        }
    }

    #[test]
    fn zones_are_known_without_the_machines_database() {
        assert!(parse_zone("America/Argentina/Buenos_Aires").is_ok());
        assert!(ZONES.available().count() > 400);
    }

    #[test]
    fn patterns_that_mean_nothing_are_refused() {
        for bad in ["", "every night", "0 0 0 * * *", "61 * * * *", "0 0 31 2 *"] {
            assert!(CronSchedule::parse(bad, TimeZone::UTC).is_err(), "{bad}");
        }
        assert!(CronSchedule::parse(&"0,".repeat(1000), TimeZone::UTC).is_err());
        assert!(parse_zone("Europe/Atlantis").is_err());
        assert!(parse_interval("soon").is_err());
        assert_eq!(parse_interval("1h"), Ok(SignedDuration::from_hours(1)));
    }
}
