//! Whole decimal numbers. With `core::fmt` instead, the program would be twice as large as it may be.

/// Parses a number of ASCII digits only. `None` if there is anything else, or if the number exceeds [`u64::MAX`].
pub(crate) fn parse(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

/// Passes the digits of `number` to `say`, one by one.
pub(crate) fn describe(number: u16, say: &mut impl FnMut(&[u8])) {
    if number > 9 {
        describe(number / 10, say);
    }
    say(&[b'0' + (number % 10) as u8]);
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::{string::ToString, vec::Vec};

    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_is_read_as_it_is_written(number: u64) {
            prop_assert_eq!(super::parse(number.to_string().as_bytes()), Some(number));
        }

        #[test]
        fn every_number_is_written_as_rust_writes_it(number: u16) {
            let mut digits = Vec::new();
            super::describe(number, &mut |digit| digits.extend_from_slice(digit));
            prop_assert_eq!(digits, number.to_string().into_bytes());
        }

        #[test]
        fn what_is_not_all_digits_is_no_number(text in "[0-9]*[^0-9][0-9]*") {
            prop_assert_eq!(super::parse(text.as_bytes()), None);
        }
    }

    #[test]
    fn nothing_is_no_number() {
        assert_eq!(super::parse(b""), None);
    }

    #[test]
    fn leading_zeros_change_nothing() {
        assert_eq!(super::parse(b"0060"), Some(60));
    }

    #[test]
    fn a_number_over_the_largest_is_refused_rather_than_wrapped() {
        assert_eq!(super::parse(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(super::parse(b"18446744073709551616"), None);
        assert_eq!(super::parse(b"99999999999999999999999"), None);
    }
}
