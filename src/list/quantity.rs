//! Kubernetes quantities, compared across their notations (apimachinery's `resource.ParseQuantity`: a decimal number with a
//! binary suffix, a decimal suffix or an exponent). Up to 19 significant digits the comparison is exact.

/// A quantity in billionths, the finest step that Kubernetes keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(i128);

/// Digits of billionths.
const NANO_DIGITS: i64 = 9;
/// Kubernetes caps every quantity at 2^63-1.
const CAP: i128 = i64::MAX as i128 * 1_000_000_000;
/// As many significant digits as the cap has. Even with a binary suffix they fit into 128 bits. Further digits only decide the
/// rounding.
const MAX_DIGITS: usize = 19;

/// Why a text is not a quantity that a resource can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotAQuantity {
    /// Kubernetes does not understand it.
    Malformed,
    /// Kubernetes understands it, but no resource may be negative.
    Negative,
}

impl Nanos {
    /// Parses a quantity like Kubernetes: a fraction finer than a billionth is rounded up, and the value is capped at 2^63-1. Unlike
    /// Kubernetes, which reads `Mi` and `.` as 0, it requires a digit.
    ///
    /// # Errors
    /// Kubernetes would reject it for a resource of a container.
    pub fn parse(text: &str) -> Result<Self, NotAQuantity> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let nanos = unsigned_nanos(unsigned).ok_or(NotAQuantity::Malformed)?;
        if negative && nanos > 0 { Err(NotAQuantity::Negative) } else { Ok(Self(nanos)) }
    }
}

impl Nanos {
    /// In thousandths, rounded up: the scheduler counts CPU so.
    pub fn millis(self) -> u64 {
        self.in_steps_of(1_000_000)
    }

    /// In whole ones, rounded up: the scheduler counts bytes so.
    pub fn whole(self) -> u64 {
        self.in_steps_of(1_000_000_000)
    }

    fn in_steps_of(self, step: i128) -> u64 {
        u64::try_from((self.0 + step - 1) / step).unwrap_or(u64::MAX)
    }
}

fn unsigned_nanos(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let (factor, exponent) = unit(suffix)?;
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    let (kept, rest) = significant.split_at(significant.len().min(MAX_DIGITS));
    // The value is `kept` (plus a rest, if there is one) times 10 to this power.
    let power = exponent + rest.len() as i64 - fraction.len() as i64 + NANO_DIGITS;
    let more = rest.contains(|c| c != '0');
    scaled(kept.parse().unwrap_or(0), factor, power, more)
}

/// `number` × `factor` × 10^`power`, rounded up and capped.
fn scaled(number: i128, factor: i128, power: i64, more: bool) -> Option<i128> {
    let product = number * factor;
    if product == 0 {
        return Some(0);
    }
    let nanos = match u32::try_from(power) {
        Ok(power) => 10i128.checked_pow(power).and_then(|scale| product.checked_mul(scale)).unwrap_or(CAP),
        Err(_) => match u32::try_from(-power).ok().and_then(|power| 10i128.checked_pow(power)) {
            Some(scale) => product / scale + i128::from(product % scale > 0 || more),
            None => 1,
        },
    };
    Some(nanos.min(CAP))
}

/// A factor and a power of ten.
fn unit(suffix: &str) -> Option<(i128, i64)> {
    Some(match suffix {
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "" => (1, 0),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        // Kubernetes reads the exponent as a number of 32 bits.
        _ => (1, suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?.into()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities_compare_across_notations() {
        for (one, same) in [
            (".05", "50m"),
            ("1Mi", "1048576"),
            ("0.5Gi", "512Mi"),
            ("1e3", "1k"),
            ("1e+3", "1k"),
            ("+5Mi", "5Mi"),
            ("-0", "0"),
            ("1E", "1000P"),
            ("2e-3", "2m"),
            ("1.", "1"),
            ("0000000000000000000000000000001", "1"),
            ("1.0000000000000000000000000000000000000000", "1"),
            ("0.0000000001", "1n"),
            ("1.0000000001", "1.000000001"),
            ("1e-99", "1n"),
            ("10E", "9223372036854775807"),
            ("1e99", "9223372036854775807"),
            ("99999999999999999999999999999999999999999999999999Ei", "9223372036854775807"),
        ] {
            assert_eq!(Nanos::parse(one), Nanos::parse(same), "{one} and {same}");
            assert!(Nanos::parse(one).is_ok(), "{one}");
        }
        assert!(Nanos::parse("10Mi") < Nanos::parse("10.1Mi"));
    }

    #[test]
    fn parts_of_a_step_are_rounded_up_as_the_scheduler_does() {
        let nanos = |text: &str| Nanos::parse(text).expect("a quantity");
        assert_eq!([nanos("1"), nanos("5m"), nanos("1u"), nanos("0")].map(Nanos::millis), [1000, 5, 1, 0]);
        assert_eq!(
            [nanos("1Ki"), nanos("1.5"), nanos("1m"), nanos("1e99")].map(Nanos::whole),
            [1024, 2, 1, i64::MAX as u64]
        );
        assert_eq!(nanos("1e99").millis(), u64::MAX);
    }

    #[test]
    fn what_kubernetes_refuses_is_refused() {
        for bad in
            ["", ".", "Mi", "+", "1 Mi", "1mi", "1.2.3", "ten", "1Kib", "1e", "1ei", "1e99999999999", "--1", "٣", "1_0"]
        {
            assert_eq!(Nanos::parse(bad), Err(NotAQuantity::Malformed), "{bad:?}");
        }
        for negative in ["-1", "-.5Mi", "-1e-99"] {
            assert_eq!(Nanos::parse(negative), Err(NotAQuantity::Negative), "{negative:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused_without_a_panic(text in "[-+]?[0-9.]{0,50}[a-zA-Z0-9+-]{0,6}") {
            let _ = Nanos::parse(&text);
        }

        #[test]
        fn milli_is_a_thousandth(n in 0u32..1_000_000) {
            prop_assert_eq!(Nanos::parse(&format!("{n}m")), Nanos::parse(&format!("{}.{:03}", n / 1000, n % 1000)));
        }

        #[test]
        fn a_larger_number_is_never_less(n in 0u64..u64::MAX / 2, more in 0u64..1_000_000, suffix in "(n|u|m|k|M|Ki|Mi|Gi|e3|e-5)?") {
            let (less, larger) = (format!("{n}{suffix}"), format!("{}{suffix}", n + more));
            prop_assert!(Nanos::parse(&less) <= Nanos::parse(&larger), "{} and {}", less, larger);
        }
    }
}
