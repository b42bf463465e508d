//! Times, sizes, numbers and names as people read them.

use std::fmt::Display;

use jiff::{SignedDuration, Timestamp};

use crate::coverage::requests::Requests;

/// How many things of a kind a sentence names. JSON and the wide table name all.
const NAMED: usize = 3;

/// A duration in its largest unit, as kubectl prints it: `45s`, `12m`, `3h`, `5d`.
pub fn span(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// How long ago that was. A time in the future is printed as `0s`, since clocks differ.
pub fn age(then: Timestamp, now: Timestamp) -> String {
    span(now.duration_since(then))
}

/// A number of bytes with a binary suffix, like a Kubernetes quantity: `188Mi`, `1.4Gi`.
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

/// Requests of CPU, memory and, if there are any, ephemeral storage, like Kubernetes quantities.
pub fn requests(requests: Requests) -> String {
    let cpu = match requests.cpu_millis {
        millis if millis % 1_000 == 0 => (millis / 1_000).to_string(),
        millis => format!("{millis}m"),
    };
    let memory = bytes(requests.memory_bytes);
    match requests.ephemeral_storage_bytes {
        0 => format!("{cpu} CPU and {memory} memory"),
        storage => format!("{cpu} CPU, {memory} memory and {} ephemeral storage", bytes(storage)),
    }
}

/// `1 node`, `2 nodes`.
pub fn number(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The first three things and how many more there are: `a, b, c, and 2 more`. After that number comes `rest`, which says
/// where the others are listed.
pub fn first_few<T: Display>(things: impl IntoIterator<Item = T>, separator: &str, rest: &str) -> String {
    let mut things = things.into_iter();
    let mut text = things.by_ref().take(NAMED).map(|thing| thing.to_string()).collect::<Vec<_>>().join(separator);
    match things.count() {
        0 => {}
        more => text.push_str(&format!("{separator}and {more} more{rest}")),
    }
    text
}

/// The first twelve characters of a digest, as Docker prints it.
pub fn short_digest(digest: &str) -> String {
    digest.rsplit(':').next().unwrap_or(digest).chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_printed_in_its_largest_unit() {
        let printed =
            [-5, 0, 119, 120, 7_199, 7_200, 172_799, 172_800, 31_536_000].map(|it| span(SignedDuration::from_secs(it)));
        assert_eq!(printed, ["0s", "0s", "119s", "2m", "119m", "2h", "47h", "2d", "365d"]);
    }

    #[test]
    fn sizes_have_at_most_three_digits_and_a_tenth() {
        let printed = [0, 5, 1_023, 1_024, 1_536, 1 << 20, 197_132_288, 1_503_238_554, u64::MAX].map(bytes);
        assert_eq!(printed, ["0", "5", "1023", "1Ki", "1.5Ki", "1Mi", "188Mi", "1.4Gi", "16Ei"]);
    }

    #[test]
    fn requests_are_printed_as_quantities() {
        let of = |cpu_millis, memory_bytes, ephemeral_storage_bytes| {
            requests(Requests { cpu_millis, memory_bytes, ephemeral_storage_bytes })
        };
        assert_eq!(of(3, 3 << 20, 0), "3m CPU and 3Mi memory");
        assert_eq!(of(2_000, 0, 0), "2 CPU and 0 memory");
        assert_eq!(of(3, 3 << 20, 1 << 30), "3m CPU, 3Mi memory and 1Gi ephemeral storage");
    }

    #[test]
    fn one_thing_is_singular() {
        assert_eq!([0, 1, 2].map(|it| number(it, "node")), ["0 nodes", "1 node", "2 nodes"]);
    }

    #[test]
    fn things_beyond_the_third_are_counted() {
        assert_eq!(first_few(["a", "b"], ", ", ""), "a, b");
        assert_eq!(first_few(["a", "b", "c"], ", ", ""), "a, b, c");
        assert_eq!(first_few(["a", "b", "c", "d", "e"], ", ", " elsewhere"), "a, b, c, and 2 more elsewhere");
        assert_eq!(first_few([""; 0], ", ", ""), "");
    }
}
