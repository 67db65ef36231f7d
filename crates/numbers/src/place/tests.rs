//! Places as users know them, every prefix of the data, and 30,000 numbers as another implementation places them.

use super::*;

fn shown(e164: &str) -> String {
    let Place { location, area, state, country } = place(e164);
    format!("{location}|{}|{state}|{country}", area.as_str())
}

#[test]
fn a_number_is_from_where_people_say_it_is() {
    for (number, expected) in [
        ("+441614960000", "Manchester|161||GB"),
        ("+12125551234", "New York, NY|212|NY|US"),
        ("+447000000000", "United Kingdom|||GB"),
        ("+441534456789", "Jersey|1534||JE"),
        ("+390612345678", "Rome|06||IT"),
        ("+18005551234", "United States|||US"),
        ("+5511987654321", "São Paulo|11||BR"),
        ("+442079460460", "London|20||GB"),
        ("+16505550123", "California|650|CA|US"),
        ("+14165550123", "Ontario|416||CA"),
        ("+33123456789", "France|1||FR"),
    ] {
        assert_eq!(shown(number), expected, "{number}");
    }
}

#[test]
fn of_what_is_no_number_or_of_no_country_nothing_is_known() {
    for text in [
        "",
        "+",
        "+4",
        "441614960000",
        "201",
        "anonymous",
        "+44161496000012345678",
        "+80012345678",
        "+99912345678",
        "+44 161 496 0000",
    ] {
        assert_eq!(shown(text), "|||", "{text}");
    }
}

/// Python's `phonenumbers` 9.0.42 (metadata and places), whose descriptions are read from the same source by other
/// code: number, location, area code, country. Country names are those of `data/countries.txt`.
#[test]
fn thirty_thousand_numbers_are_placed_as_by_another_implementation() {
    let lines = include_str!("../../tests/places.tsv").lines();
    let differs = |line: &&str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let Place { location, area, country, .. } = place(fields[0]);
        [location, area.as_str(), country] != fields[1..]
    };
    let (count, different): (usize, Vec<&str>) = (lines.clone().count(), lines.filter(differs).collect());
    let told: Vec<String> = different
        .iter()
        .take(4000)
        .map(|line| format!("{line} => {}", shown(line.split('\t').next().unwrap_or_default())))
        .collect();
    assert!(
        count > 20_000 && different.is_empty(),
        "{} of {count} differ:\n{}",
        different.len(),
        told.join("\n")
    );
}
