//! Kubernetes quantities, compared exactly (apimachinery's `resource.Quantity`: a decimal number with a binary suffix, a
//! decimal suffix or an exponent).

/// A quantity in billionths, the finest step that Kubernetes keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(i128);

const NANOS: i128 = 1_000_000_000;
/// Kubernetes caps quantities at 2^63-1; digits beyond this many cannot be meant.
const MAX_DIGITS: usize = 19;

impl Nanos {
    /// Parses a quantity; a fraction finer than a billionth is rounded up, as Kubernetes does.
    ///
    /// Returns `None` where Kubernetes would refuse it or where it is negative, which no resource may be.
    pub fn parse(text: &str) -> Option<Self> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        if whole.len() + fraction.len() > MAX_DIGITS {
            return None;
        }
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let scale = 10i128.pow(u32::try_from(fraction.len()).ok()?);
        let nanos = match multiplier(suffix)? {
            Multiplier::Times(factor) => {
                digits.checked_mul(NANOS)?.checked_mul(factor)?.checked_add(scale - 1)? / scale
            }
            Multiplier::Divided(factor) => {
                let divisor = scale.checked_mul(factor)?;
                digits.checked_mul(NANOS)?.checked_add(divisor - 1)? / divisor
            }
        };
        Some(Self(nanos))
    }
}

enum Multiplier {
    Times(i128),
    Divided(i128),
}

fn multiplier(suffix: &str) -> Option<Multiplier> {
    use Multiplier::{Divided, Times};
    Some(match suffix {
        "" => Times(1),
        "n" => Divided(1_000_000_000),
        "u" => Divided(1_000_000),
        "m" => Divided(1000),
        "k" => Times(1000),
        "M" => Times(10i128.pow(6)),
        "G" => Times(10i128.pow(9)),
        "T" => Times(10i128.pow(12)),
        "P" => Times(10i128.pow(15)),
        "E" => Times(10i128.pow(18)),
        "Ki" => Times(1 << 10),
        "Mi" => Times(1 << 20),
        "Gi" => Times(1 << 30),
        "Ti" => Times(1 << 40),
        "Pi" => Times(1 << 50),
        "Ei" => Times(1 << 60),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let power = 10i128.pow(exponent.unsigned_abs().min(18));
            match exponent {
                -18..0 => Divided(power),
                0..=18 => Times(power),
                _ => return None,
            }
        }
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
            ("1E", "1000P"),
            ("2e-3", "2m"),
            ("1.", "1"),
        ] {
            assert_eq!(Nanos::parse(one), Nanos::parse(same), "{one} and {same}");
            assert!(Nanos::parse(one).is_some(), "{one}");
        }
        assert!(Nanos::parse("10Mi") < Nanos::parse("10.1Mi"));
    }

    #[test]
    fn what_kubernetes_refuses_is_refused() {
        for bad in ["", ".", "Mi", "-1", "1 Mi", "1mi", "1.2.3", "ten", "1e99", "1Kib"] {
            assert_eq!(Nanos::parse(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused_without_a_panic(text in "[0-9.]{0,22}[a-zA-Z0-9-]{0,6}") {
            let _ = Nanos::parse(&text);
        }

        #[test]
        fn milli_is_a_thousandth(n in 0u32..1_000_000) {
            prop_assert_eq!(Nanos::parse(&format!("{n}m")), Nanos::parse(&format!("{}.{:03}", n / 1000, n % 1000)));
        }
    }
}
