//! Values as people read them, in Grafana's units.

use jiff::Timestamp;

/// A value in a unit. `now` is what times are told from.
pub fn readable(value: f64, unit: &str, decimals: Option<usize>, now: Timestamp) -> String {
    match unit {
        "percentunit" => format!("{}%", number(value * 100.0, decimals)),
        "s" if value.abs() < 1.0 => format!("{} ms", number(value * 1000.0, decimals)),
        "s" => format!("{} s", number(value, decimals)),
        "reqps" => format!("{} req/s", number(value, decimals)),
        "ops" => format!("{} /s", number(value, decimals)),
        "dateTimeFromNow" => from_now(value / 1000.0 - now.as_duration().as_secs_f64()),
        _ => number(value, decimals),
    }
}

/// With no more decimals than tell something.
fn number(value: f64, decimals: Option<usize>) -> String {
    let decimals = decimals.unwrap_or(if value.abs() < 1.0 { 2 } else { 1 });
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn from_now(seconds: f64) -> String {
    let amount = match seconds.abs().round() {
        few if few < 120.0 => format!("{few} s"),
        more if more < 7200.0 => format!("{} min", (more / 60.0).round()),
        many => format!("{} h", (many / 3600.0).round()),
    };
    if seconds < 0.0 { format!("{amount} ago") } else { format!("in {amount}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_as_short_as_they_can_be() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let at = |seconds: f64| (now.as_duration().as_secs_f64() + seconds) * 1000.0;
        for (value, unit, text) in [
            (0.5, "percentunit", "50%"),
            (0.9333, "percentunit", "93.3%"),
            (1.0, "percentunit", "100%"),
            (10.0, "", "10"),
            (0.0123, "s", "12.3 ms"),
            (2.5, "s", "2.5 s"),
            (0.25, "reqps", "0.25 req/s"),
            (at(-12.0), "dateTimeFromNow", "12 s ago"),
            (at(3540.0), "dateTimeFromNow", "in 59 min"),
            (at(-86400.0), "dateTimeFromNow", "24 h ago"),
        ] {
            assert_eq!(readable(value, unit, None, now), text, "{value} {unit}");
        }
    }
}
