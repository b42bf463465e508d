//! Times, sizes and names as people read them.

use jiff::{SignedDuration, Timestamp};

use crate::coverage::requests::Requests;

/// So many names are printed; JSON and the wide form have all of them.
const NAMED: usize = 3;

/// A length of time in its largest unit, as kubectl does it: `45s`, `12m`, `3h`, `5d`.
pub fn span(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// How long ago that was. What clocks that differ make of a moment ago is no time at all.
pub fn age(then: Timestamp, now: Timestamp) -> String {
    span(now.duration_since(then))
}

/// A number of bytes with a binary suffix, as quantities are written: `188Mi`, `1.4Gi`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let (mut tenths, mut unit) = (u128::from(bytes) * 10, 0);
    while tenths >= 10_240 {
        tenths = (tenths + 512) / 1_024;
        unit += 1;
    }
    let suffix = UNITS.get(unit).copied().unwrap_or_default();
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole}{suffix}"),
        (whole, _) if whole >= 100 => format!("{}{suffix}", (tenths + 5) / 10),
        (whole, tenth) => format!("{whole}.{tenth}{suffix}"),
    }
}

/// Requests, as quantities are written.
pub fn requests(requests: Requests) -> String {
    let cpu = match requests.cpu_millis {
        millis if millis % 1_000 == 0 => (millis / 1_000).to_string(),
        millis => format!("{millis}m"),
    };
    format!("{cpu} CPU and {} memory", bytes(requests.memory_bytes))
}

/// `1 node`, `2 nodes`.
pub fn number(number: usize, of: &str) -> String {
    if number == 1 { format!("1 {of}") } else { format!("{number} {of}s") }
}

/// The first few names, or all of them.
pub fn names(names: &[impl AsRef<str>], all: bool) -> String {
    let most = if all { names.len() } else { NAMED };
    let shown: Vec<&str> = names.iter().take(most).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(most) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Twelve characters of a digest tell it from all others.
pub fn short_digest(digest: &str) -> String {
    digest.rsplit(':').next().unwrap_or(digest).chars().take(12).collect()
}

/// What registries say may hold line breaks and worse.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_reported_in_their_largest_unit() {
        let told =
            [-5, 0, 119, 120, 7_199, 7_200, 172_799, 172_800, 31_536_000].map(|it| span(SignedDuration::from_secs(it)));
        assert_eq!(told, ["0s", "0s", "119s", "2m", "119m", "2h", "47h", "2d", "365d"]);
    }

    #[test]
    fn sizes_have_at_most_three_digits_and_a_tenth() {
        let told = [0, 5, 1_023, 1_024, 1_536, 1 << 20, 197_132_288, 1_503_238_554, u64::MAX].map(bytes);
        assert_eq!(told, ["0", "5", "1023", "1Ki", "1.5Ki", "1Mi", "188Mi", "1.4Gi", "16Ei"]);
    }

    #[test]
    fn requests_are_reported_as_they_are_written() {
        assert_eq!(requests(Requests { cpu_millis: 3, memory_bytes: 3 << 20 }), "3m CPU and 3Mi memory");
        assert_eq!(requests(Requests { cpu_millis: 2_000, memory_bytes: 0 }), "2 CPU and 0 memory");
    }

    #[test]
    fn names_beyond_the_third_are_counted() {
        assert_eq!(names(&["a", "b", "c"], false), "a, b, c");
        assert_eq!(names(&["a", "b", "c", "d", "e"], false), "a, b, c and 2 more");
        assert_eq!(names(&["a", "b", "c", "d"], true), "a, b, c, d");
    }
}
