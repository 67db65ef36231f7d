//! `sides` of a pbx: names that say who is behind a carrier, and who belongs to the house.

use ringpost_model::{PartyNames, SideRules, Text};

use super::super::fields::Fields;

/// Names in one list: they are looked at for every leg whose side nothing else tells.
const MOST_NAMES: usize = 256;

pub(super) fn sides(fields: &mut Fields<'_, '_, '_>) -> SideRules {
    let Some(mut inner) = fields.nested("sides") else { return SideRules::default() };
    let rules =
        SideRules { external: party(&mut inner, "external"), internal: party(&mut inner, "internal") };
    inner.finish();
    rules
}

fn party(fields: &mut Fields<'_, '_, '_>, key: &'static str) -> PartyNames {
    let Some(mut inner) = fields.nested(key) else { return PartyNames::default() };
    let names = PartyNames {
        contexts: names(&mut inner, "contexts"),
        gateways: names(&mut inner, "gateways"),
        profiles: names(&mut inner, "profiles"),
        endpoints: names(&mut inner, "endpoints"),
        numbers: names(&mut inner, "numbers"),
    };
    inner.finish();
    names
}

/// An empty list is one: nothing is on this side for such a name.
fn names(fields: &mut Fields<'_, '_, '_>, key: &'static str) -> Option<Vec<Text>> {
    let at = fields.node(key)?.at;
    let names = fields.texts(key);
    if names.len() > MOST_NAMES {
        let wrong = format!("{} names", names.len());
        fields.wrong(at, key, wrong, format!("write at most {MOST_NAMES}; * stands for anything"));
    }
    if names.iter().any(String::is_empty) {
        fields.wrong(at, key, "an empty name", "take it out; * stands for anything");
    }
    Some(names.into_iter().map(Into::into).collect())
}
