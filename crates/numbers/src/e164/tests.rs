//! Which texts are numbers, region by region.

use proptest::prelude::*;

use super::*;

fn check(region: &str, text: &str, expected: &str) {
    let got = normalise(text, Region::new(region).unwrap());
    assert_eq!(got.as_ref().map_or("none", E164::as_str), expected, "{text:?} in {region}");
}

#[test]
fn a_national_number_gets_its_country_code() {
    check("GB", "0161 496 0000", "+441614960000");
    check("GB", "01632 960101", "none");
    check("US", "(650) 253-0000", "+16502530000");
    check("US", "1 650 253 0000", "+16502530000");
    check("IT", "06 698 12345", "+390669812345");
    check("DE", "030/123456", "+4930123456");
    check("FR", "01 42 68 53 00", "+33142685300");
}

#[test]
fn an_international_number_stays_whatever_the_region() {
    check("GB", "+5511987654321", "+5511987654321");
    check("US", "+441614960000", "+441614960000");
    check("BR", "+44 (0)161 496 0000", "+441614960000");
    check("GB", "＋４４１６１４９６００００", "+441614960000");
}

#[test]
fn the_regions_own_way_to_dial_abroad_is_understood() {
    check("GB", "00 1 650 253 0000", "+16502530000");
    check("US", "011 44 161 496 0000", "+441614960000");
    check("AU", "0011 44 161 496 0000", "+441614960000");
}

#[test]
fn what_a_switch_calls_a_number_but_is_none_stays_as_received() {
    for text in
        ["201", "1002", "anonymous", "Anonymous", "unknown", "restricted", "s", "*97", "#31#", "999", ""]
    {
        check("GB", text, "none");
    }
    for text in
        ["device_4f2a", "alice07700900123", "sip:alice@203.0.113.9", "+", "++", "+0", "0", "00", "+44", "-1"]
    {
        check("GB", text, "none");
    }
}

#[test]
fn a_number_that_could_exist_but_does_not_is_none() {
    check("US", "+1 555 000 0000", "none");
    check("GB", "0161 496 00000000", "none");
    check("GB", "+999 123456789", "none");
}

#[test]
fn a_number_with_an_extension_is_not_an_e164() {
    check("GB", "tel:+441614960000;ext=12", "none");
    check("GB", "+44 161 496 0000 x12", "none");
    check("GB", "0161 496 0000 ext. 12", "none");
    check("GB", "0161 496 0000#12", "none");
}

#[test]
fn a_tel_uri_is_read() {
    check("GB", "tel:+44-161-496-0000", "+441614960000");
    check("GB", "tel:0161-496-0000;phone-context=+44", "+441614960000");
    check("US", "tel:0161-496-0000;phone-context=+44", "+441614960000");
}

#[test]
fn letters_are_not_typed_on_a_keypad() {
    check("US", "1-800-FLOWERS", "none");
    check("GB", "0161 four 96 0000", "none");
}

#[test]
fn hostile_text_is_none_and_no_panic() {
    for text in ["+".repeat(300), "9".repeat(250), "٣".repeat(120), "+44\u{0}1614960000\u{202e}".into()] {
        check("GB", &text, "none");
    }
}

proptest! {
    #[test]
    fn any_text_in_any_region_gives_digits_or_none(text in "\\PC{0,40}", region in "[A-Z]{2}") {
        if let Ok(region) = Region::new(&region)
            && let Some(number) = normalise(&text, region)
        {
            let digits = number.as_str().strip_prefix('+').unwrap();
            prop_assert!(digits.len() <= 17 && digits.bytes().all(|byte| byte.is_ascii_digit()));
        }
    }

    #[test]
    fn normalising_twice_changes_nothing(text in "\\+?[0-9 ()./-]{3,20}") {
        let gb = Region::new("GB").unwrap();
        let de = Region::new("DE").unwrap();
        if let Some(number) = normalise(&text, gb) {
            prop_assert_eq!(normalise(number.as_str(), de), Some(number));
        }
    }
}
