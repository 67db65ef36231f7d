//! Who is behind a carrier and who belongs to the house, where a switch's messages do not say it: names of a
//! platform's contexts, gateways, profiles and endpoints, and numbers (enrichment-and-dialects.md 2).

use serde::{Deserialize, Serialize};

use crate::{Side, Text};

/// Rules of one platform. What is given takes the place of what fits stock installations, and counts before it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct SideRules {
    /// Parties behind a carrier.
    #[serde(skip_serializing_if = "PartyNames::is_stock")]
    pub external: PartyNames,
    /// Devices and users of the tenant; these count before the others.
    #[serde(skip_serializing_if = "PartyNames::is_stock")]
    pub internal: PartyNames,
}

/// Names of one side, `*` for anything, capitals or not. None = those of a stock installation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct PartyNames {
    /// Contexts of the dialplan into which their calls come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contexts: Option<Vec<Text>>,
    /// Gateways over which they are called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateways: Option<Vec<Text>>,
    /// SIP profiles that they are on; also a word in the profile's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profiles: Option<Vec<Text>>,
    /// Endpoints: a channel's name without technology and suffix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Vec<Text>>,
    /// Their numbers as signalled. Asked last, where nothing else tells the side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Vec<Text>>,
}

/// Names in a stock installation.
struct Stock {
    external: &'static [&'static str],
    internal: &'static [&'static str],
}

const CONTEXTS: Stock = Stock {
    external: &["public", "from-extern", "from-trunk", "from-pstn", "from-did-direct"],
    internal: &["default"],
};
/// A gateway leads to a carrier, unless somebody says that it leads to another house.
const GATEWAYS: Stock = Stock { external: &["*"], internal: &[] };
const PROFILES: Stock = Stock {
    external: &["external", "trunk", "gateway", "carrier", "provider", "pstn", "public", "wan"],
    internal: &["internal", "lan", "phones", "users", "wss"],
};
const ENDPOINTS: Stock = Stock { external: &["*trunk*"], internal: &[] };
const NUMBERS: Stock = Stock { external: &[], internal: &[] };

static STOCK: SideRules = SideRules { external: PartyNames::STOCK, internal: PartyNames::STOCK };

impl Default for &SideRules {
    fn default() -> Self {
        &STOCK
    }
}

impl PartyNames {
    const STOCK: Self =
        Self { contexts: None, gateways: None, profiles: None, endpoints: None, numbers: None };

    /// Nothing was given.
    pub fn is_stock(&self) -> bool {
        *self == Self::STOCK
    }
}

impl SideRules {
    /// Nothing was given.
    pub fn is_stock(&self) -> bool {
        *self == STOCK
    }

    /// Of a call that came in through a context.
    pub fn of_context(&self, name: &str) -> Option<Side> {
        self.side(|names| &names.contexts, &CONTEXTS, |pattern| fits(pattern, name))
    }

    /// Of a call over a gateway.
    pub fn of_gateway(&self, name: &str) -> Option<Side> {
        self.side(|names| &names.gateways, &GATEWAYS, |pattern| fits(pattern, name))
    }

    /// Of a call over a SIP profile.
    pub fn of_profile(&self, name: &str) -> Option<Side> {
        let word =
            |pattern: &str| name.split(|char: char| !char.is_alphanumeric()).any(|word| fits(pattern, word));
        self.side(|names| &names.profiles, &PROFILES, |pattern| fits(pattern, name) || word(pattern))
    }

    /// Of an endpoint.
    pub fn of_endpoint(&self, name: &str) -> Option<Side> {
        self.side(|names| &names.endpoints, &ENDPOINTS, |pattern| fits(pattern, name))
    }

    /// Of a party's number.
    pub fn of_number(&self, number: &str) -> Option<Side> {
        self.side(|names| &names.numbers, &NUMBERS, |pattern| fits(pattern, number))
    }

    /// What is given counts before stock names, and the house before carriers: it names exceptions.
    fn side(
        &self,
        list: fn(&PartyNames) -> &Option<Vec<Text>>,
        stock: &Stock,
        is_met: impl Fn(&str) -> bool,
    ) -> Option<Side> {
        let (internal, external) = (list(&self.internal), list(&self.external));
        let is_given = |names: &Option<Vec<Text>>| names.iter().flatten().any(|name| is_met(name));
        let is_stock = |given: &Option<Vec<Text>>, names: &[&str]| {
            given.is_none() && names.iter().any(|name| is_met(name))
        };
        if is_given(internal) {
            return Some(Side::Internal);
        }
        if is_given(external) {
            return Some(Side::External);
        }
        if is_stock(internal, stock.internal) {
            return Some(Side::Internal);
        }
        is_stock(external, stock.external).then_some(Side::External)
    }
}

/// Whether all of a name is as the pattern says. Time is at most the product of both lengths.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut in_name) = (0, 0);
    // Where the last star stands, and the first byte of the name behind what it stands for.
    let mut star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(byte) if byte.eq_ignore_ascii_case(&name[in_name]) => {
                at += 1;
                in_name += 1;
            }
            _ => {
                let Some((stands, taken)) = star else { return false };
                star = Some((stands, taken + 1));
                (at, in_name) = (stands + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Option<Vec<Text>> {
        Some(names.iter().map(|&name| name.into()).collect())
    }

    #[test]
    fn a_stock_installation_needs_no_rules() {
        let rules = <&SideRules>::default();
        assert!(rules.is_stock());
        for context in ["public", "from-extern", "from-trunk", "from-pstn", "from-did-direct"] {
            assert_eq!(rules.of_context(context), Some(Side::External), "{context}");
        }
        assert_eq!(rules.of_context("default"), Some(Side::Internal));
        assert_eq!(rules.of_context("from-internal"), None);
        assert_eq!(rules.of_gateway("anything"), Some(Side::External));
        for (profile, side) in [
            ("external", Some(Side::External)),
            ("external-ipv6", Some(Side::External)),
            ("SIP_Trunk_2", Some(Side::External)),
            ("internal", Some(Side::Internal)),
            ("plane", None),
        ] {
            assert_eq!(rules.of_profile(profile), side, "{profile}");
        }
        assert_eq!(rules.of_endpoint("voipms_Trunk_1"), Some(Side::External));
        assert_eq!(rules.of_endpoint("1001"), None);
        assert_eq!(rules.of_number("+441632960123"), None);
    }

    #[test]
    fn what_is_given_takes_the_place_of_stock_names_and_the_house_is_the_exception() {
        let rules = SideRules {
            external: PartyNames {
                profiles: names(&["internal"]),
                numbers: names(&["+*"]),
                ..PartyNames::default()
            },
            internal: PartyNames {
                gateways: names(&["branch-*"]),
                numbers: names(&["+44163296*"]),
                ..PartyNames::default()
            },
        };
        assert_eq!(rules.of_profile("internal"), Some(Side::External));
        assert_eq!(rules.of_profile("external"), None);
        assert_eq!(rules.of_profile("phones"), Some(Side::Internal));
        assert_eq!(rules.of_gateway("branch-leeds"), Some(Side::Internal));
        assert_eq!(rules.of_gateway("acme-telecom"), Some(Side::External));
        assert_eq!(rules.of_number("+441632960123"), Some(Side::Internal));
        assert_eq!(rules.of_number("+15125550101"), Some(Side::External));
        let written = serde_json::to_string(&rules).unwrap();
        assert_eq!(serde_json::from_str::<SideRules>(&written).unwrap(), rules);
        assert_eq!(serde_json::to_string(&SideRules::default()).unwrap(), "{}");
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "aXbXbd", false),
            ("*trunk*", "TRUNK", true),
            ("trunk", "trunk1", false),
            ("*é", "caf\u{e9}", true),
            ("**a**", "ba", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
