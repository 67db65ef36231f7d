//! Numbers as users write them, read exactly: never through binary floating point, never rounded.

use rust_decimal::Decimal;

/// Longest number read, in bytes: anything longer has more digits than a decimal holds.
const NUMBER_BYTES: usize = 64;

/// Reads a number of JSON's syntax (`12`, `-0.10`, `1.5e3`), exactly. None: no number, or more than 28 digits.
pub(crate) fn read(text: &str) -> Option<Decimal> {
    if text.len() > NUMBER_BYTES || !is_json_number(text) {
        return None;
    }
    let has_exponent = text.contains(['e', 'E']);
    let value = if has_exponent { Decimal::from_scientific(text) } else { Decimal::from_str_exact(text) };
    // A minus zero would be another key in an index than zero.
    value.ok().map(|value| if value.is_zero() { Decimal::ZERO } else { value })
}

fn is_json_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
        None => (unsigned, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    [whole, fraction, exponent]
        .iter()
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_the_digits_written() {
        for (text, expected) in
            [("0.1", "0.1"), ("-1.50", "-1.50"), ("15e-2", "0.15"), ("1.5E3", "1500"), ("-0", "0")]
        {
            assert_eq!(read(text).map(|value| value.to_string()).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_a_decimal_cannot_hold_is_refused_and_not_rounded() {
        let too_fine = format!("0.{}1", "0".repeat(28));
        for text in [
            "",
            ".5",
            "5.",
            "1_000",
            "+5",
            " 5",
            "NaN",
            "1e",
            "1e99999999999",
            "1e29",
            &too_fine,
            &"9".repeat(30),
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
