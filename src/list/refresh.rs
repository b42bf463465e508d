//! The checks of the refresh and the pull rate, which both formats share.

use std::ops::RangeInclusive;

use jiff::SignedDuration;

use super::config::{PullRate, Refresh, RefreshMode};
use super::problem::{Code, quoted};
use super::reader::{At, Place, Problems};
use super::schedule::{CronSchedule, Schedule, parse_interval, parse_zone};
use super::{hints, suggest};

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
const INTERVAL_FORM: &str = "write it as 30m, 6h or 1h 30m";

/// The remedy for a malformed interval: the same in hours, if that is what it says.
fn interval_remedy(text: &str, range: &RangeInclusive<SignedDuration>) -> String {
    match hints::in_hours(text) {
        Some(hours) if is_in_range(&hours, range) => format!("write it in hours, as {hours}"),
        Some(_) => range_remedy(range),
        None => INTERVAL_FORM.to_owned(),
    }
}

fn is_in_range(text: &str, range: &RangeInclusive<SignedDuration>) -> bool {
    parse_interval(text).is_ok_and(|interval| range.contains(&interval))
}

fn range_remedy(range: &RangeInclusive<SignedDuration>) -> String {
    format!("write an interval from {:#} to {:#}", range.start(), range.end())
}

/// Reads an interval, and its place.
pub fn interval_text(at: &At, problems: &mut Problems) -> Option<Placed> {
    if at.is_number() {
        problems.error(at.place(), Code::WrongType, "this interval has no unit", INTERVAL_FORM);
        return None;
    }
    Some((at.place(), at.text(problems)?.to_owned()))
}

/// Parses an interval of a range. `refused` begins the message about one outside it.
pub fn interval_within(
    (place, text): Placed,
    range: &RangeInclusive<SignedDuration>,
    refused: &str,
    problems: &mut Problems,
) -> Option<SignedDuration> {
    let shown = quoted(&text);
    let Ok(interval) = parse_interval(&text) else {
        let remedy = interval_remedy(&text, range);
        problems.error(place, Code::InvalidValue, format!("{shown} is not an interval"), remedy);
        return None;
    };
    if range.contains(&interval) {
        return Some(interval);
    }
    problems.error(place, Code::OutOfRange, format!("{refused} {shown}"), range_remedy(range));
    None
}

fn interval((place, text): Placed, problems: &mut Problems) -> Option<Schedule> {
    let interval = match parse_interval(&text) {
        Ok(interval) => interval,
        Err(_) => {
            let remedy = match text.starts_with('@') || CronSchedule::parse(&text, jiff::tz::TimeZone::UTC).is_ok() {
                true => "write a schedule as `schedule`, not as `every`".to_owned(),
                false => interval_remedy(&text, &Schedule::INTERVALS),
            };
            problems.error(place, Code::InvalidValue, format!("{} is not an interval", quoted(&text)), remedy);
            return None;
        }
    };
    check_interval(place, interval, problems).map(Schedule::Every)
}

/// Checks the range of an interval.
pub fn check_interval(place: Place, interval: SignedDuration, problems: &mut Problems) -> Option<SignedDuration> {
    if Schedule::INTERVALS.contains(&interval) {
        return Some(interval);
    }
    problems.error(
        place,
        Code::OutOfRange,
        format!("{interval:#} is out of range"),
        range_remedy(&Schedule::INTERVALS),
    );
    None
}

/// `@every 6h`, which robfig/cron knows, counts from the last refresh, and so in no time zone.
fn every(place: Place, text: &str, zone: Option<Placed>, problems: &mut Problems) -> Option<Schedule> {
    if let Some((zone_place, _)) = zone {
        let message = "it has no effect, because @every counts from the last refresh";
        problems.warning(zone_place, Code::Ignored, message, "remove it");
    }
    interval((place, text.to_owned()), problems)
}

fn cron((place, pattern): Placed, zone: Option<Placed>, problems: &mut Problems) -> Option<Schedule> {
    if let Some(interval) = pattern.trim().strip_prefix("@every ") {
        return every(place, interval.trim(), zone, problems);
    }
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
                schedule_remedy(&pattern),
            );
            None
        }
    }
}

fn schedule_remedy(pattern: &str) -> String {
    let pattern = pattern.trim();
    if pattern.starts_with('@') {
        return suggest::value_remedy(pattern, &SCHEDULE_NAMES);
    }
    if pattern.starts_with("TZ=") || pattern.starts_with("CRON_TZ=") {
        return "write the zone as timeZone or REFRESH_TIME_ZONE".to_owned();
    }
    match parse_interval(pattern).ok().map(|interval| format!("{interval:#}")).or_else(|| hints::in_hours(pattern)) {
        Some(interval) if !is_in_range(&interval, &Schedule::INTERVALS) => range_remedy(&Schedule::INTERVALS),
        Some(interval) => format!("write an interval as \"@every {interval}\""),
        None => "write minute, hour, day of the month, month and day of the week, such as \"0 3 * * 1-5\" for 03:00 on weekdays"
            .to_owned(),
    }
}

/// The names of common schedules.
const SCHEDULE_NAMES: [&str; 8] =
    ["@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually", "@every 6h"];

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
