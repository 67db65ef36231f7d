//! The state in a description of a place in the United States: `New York, NY`, or a bare name such as `California`.

/// Names as the descriptions write them, sorted.
const STATES: [(&str, &str); 52] = [
    ("Alabama", "AL"),
    ("Alaska", "AK"),
    ("Arizona", "AZ"),
    ("Arkansas", "AR"),
    ("California", "CA"),
    ("Colorado", "CO"),
    ("Connecticut", "CT"),
    ("Delaware", "DE"),
    ("Florida", "FL"),
    ("Georgia", "GA"),
    ("Hawaii", "HI"),
    ("Idaho", "ID"),
    ("Illinois", "IL"),
    ("Indiana", "IN"),
    ("Iowa", "IA"),
    ("Kansas", "KS"),
    ("Kentucky", "KY"),
    ("Louisiana", "LA"),
    ("Maine", "ME"),
    ("Maryland", "MD"),
    ("Massachusetts", "MA"),
    ("Michigan", "MI"),
    ("Minnesota", "MN"),
    ("Mississippi", "MS"),
    ("Missouri", "MO"),
    ("Montana", "MT"),
    ("Nebraska", "NE"),
    ("Nevada", "NV"),
    ("New Hampshire", "NH"),
    ("New Jersey", "NJ"),
    ("New Mexico", "NM"),
    ("New York", "NY"),
    ("North Carolina", "NC"),
    ("North Dakota", "ND"),
    ("Ohio", "OH"),
    ("Oklahoma", "OK"),
    ("Oregon", "OR"),
    ("Pennsylvania", "PA"),
    ("Rhode Island", "RI"),
    ("South Carolina", "SC"),
    ("South Dakota", "SD"),
    ("Tennessee", "TN"),
    ("Texas", "TX"),
    ("Utah", "UT"),
    ("Vermont", "VT"),
    ("Virginia", "VA"),
    ("Washington", "WA"),
    ("Washington D.C.", "DC"),
    ("Washington State", "WA"),
    ("West Virginia", "WV"),
    ("Wisconsin", "WI"),
    ("Wyoming", "WY"),
];

/// Two letters; empty where the description tells none.
pub(super) fn of(description: &str) -> &'static str {
    if let Some((_, code)) = description.rsplit_once(", ") {
        return STATES.iter().find(|(_, known)| *known == code).map_or("", |(_, known)| known);
    }
    let at = STATES.binary_search_by(|(name, _)| (*name).cmp(description));
    at.ok().and_then(|at| STATES.get(at)).map_or("", |(_, code)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_behind_the_city_or_the_description_itself() {
        assert!(STATES.is_sorted());
        for (description, expected) in [
            ("New York, NY", "NY"),
            ("California", "CA"),
            ("Washington State", "WA"),
            ("Washington D.C.", "DC"),
            ("New York", "NY"),
            ("United States", ""),
            ("", ""),
            ("Somewhere, ZZ", ""),
            ("Newark, NJ", "NJ"),
        ] {
            assert_eq!(of(description), expected, "{description}");
        }
    }
}
