//! The checks of the refresh and the pull rate, which both formats share.

use jiff::SignedDuration;

use super::config::{PullRate, Refresh, RefreshMode};
use super::problem::{Code, quoted};
use super::reader::{Place, Problems};
use super::schedule::{CronSchedule, MAX_INTERVAL_HOURS, Schedule, parse_interval, parse_zone};
use super::suggest;

/// A text and its place.
pub type Placed = (Place, String);

/// The fields that the user wrote about the refresh.
#[derive(Debug, Default)]
pub struct RefreshFields {
    /// An interval.
    pub every: Option<Placed>,
    /// A cron pattern.
    pub schedule: Option<Placed>,
    /// The zone of the cron pattern.
    pub time_zone: Option<Placed>,
    /// What a due refresh does.
    pub mode: Option<Placed>,
}

/// The names of the modes.
pub const MODES: [&str; 3] = ["OnChange", "Always", "Recreate"];

/// Checks the fields, and returns a [`Refresh`].
pub fn parse(written: RefreshFields, problems: &mut Problems) -> Refresh {
    let mut refresh = Refresh::default();
    if let (Some((place, _)), Some(_)) = (&written.schedule, &written.every) {
        problems.error(
            place.clone(),
            Code::Conflict,
            "an interval and a schedule exclude each other",
            "keep one of them",
        );
    }
    if let (Some((place, _)), None) = (&written.time_zone, &written.schedule) {
        problems.error(
            place.clone(),
            Code::Conflict,
            "a time zone has no effect without a schedule",
            "add a schedule, or remove the time zone",
        );
    }
    if let Some((place, mode)) = written.mode {
        refresh.mode = parse_mode(&place, &mode, problems);
    }
    if let Some(every) = written.every {
        refresh.schedule = interval(every, problems).unwrap_or(refresh.schedule);
    }
    if let Some(pattern) = written.schedule {
        refresh.schedule = cron(pattern, written.time_zone, problems).unwrap_or(refresh.schedule);
    }
    refresh
}

fn parse_mode(place: &Place, mode: &str, problems: &mut Problems) -> RefreshMode {
    match mode {
        "OnChange" => RefreshMode::OnChange,
        "Always" => RefreshMode::Always,
        "Recreate" => RefreshMode::Recreate,
        _ => {
            problems.error(
                place.clone(),
                Code::InvalidValue,
                format!("unknown refresh mode {}", quoted(mode)),
                suggest::value_remedy(mode, &MODES),
            );
            RefreshMode::default()
        }
    }
}

/// The remedy for a malformed interval.
pub const INTERVAL_FORM: &str = "write it as 30m, 6h or 1h 30m";

fn interval((place, text): Placed, problems: &mut Problems) -> Option<Schedule> {
    let interval = match parse_interval(&text) {
        Ok(interval) => interval,
        Err(_) => {
            problems.error(place, Code::InvalidValue, format!("{} is not an interval", quoted(&text)), INTERVAL_FORM);
            return None;
        }
    };
    check_interval(place, interval, problems).map(Schedule::Every)
}

/// Checks the range of an interval.
pub fn check_interval(place: Place, interval: SignedDuration, problems: &mut Problems) -> Option<SignedDuration> {
    if (Schedule::MIN_INTERVAL..=Schedule::MAX_INTERVAL).contains(&interval) {
        return Some(interval);
    }
    problems.error(
        place,
        Code::OutOfRange,
        format!("{interval:#} is out of range"),
        format!("write an interval from {:#} to {MAX_INTERVAL_HOURS}h", Schedule::MIN_INTERVAL),
    );
    None
}

fn cron((place, pattern): Placed, zone: Option<Placed>, problems: &mut Problems) -> Option<Schedule> {
    let zone = match zone {
        None => jiff::tz::TimeZone::UTC,
        Some((zone_place, name)) => match parse_zone(&name) {
            Ok(zone) => zone,
            Err(error) => {
                problems.error(
                    zone_place,
                    Code::InvalidValue,
                    error,
                    "write an IANA name, such as Europe/Berlin or UTC",
                );
                return None;
            }
        },
    };
    match CronSchedule::parse(&pattern, zone) {
        Ok(cron) => Some(Schedule::Cron(Box::new(cron))),
        Err(error) => {
            problems.error(
                place,
                Code::InvalidValue,
                format!("{} is not a schedule: {error}", quoted(&pattern)),
                "write minute, hour, day of the month, month and day of the week, such as \"0 3 * * 1-5\" for 03:00 on \
                 weekdays",
            );
            None
        }
    }
}

/// Checks the range of a pull rate.
pub fn pull_rate(place: &Place, number: i128, problems: &mut Problems) -> PullRate {
    match u32::try_from(number).ok().filter(|rate| *rate <= PullRate::MAX) {
        Some(rate) => PullRate(rate),
        None => {
            problems.error(
                place.clone(),
                Code::OutOfRange,
                format!("{number} is not a valid number of nodes per minute"),
                format!("write a number from 1 to {}, or 0 for all at once", PullRate::MAX),
            );
            PullRate::default()
        }
    }
}
