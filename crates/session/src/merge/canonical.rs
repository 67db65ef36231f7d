//! Which of two values is greater when their stamps are equal: byte order of the canonical JSON, decimals by
//! value first (sessions.md 1, Merging). Rare, so it simply prints both.

use std::cmp::Ordering;

use ringpost_model::{LegDirection, Service, Side};

use crate::pack::{Said, key};

/// Compares two values of the same key.
pub(crate) fn compare(key: u8, a: &Said<'_>, b: &Said<'_>) -> Ordering {
    let by_value = match (a, b) {
        (Said::Rating(a, ..), Said::Rating(b, ..)) => a.cmp(b),
        _ => Ordering::Equal,
    };
    // Equal costs may have been written with more or fewer zeros: the last word, so that order never matters.
    by_value.then_with(|| json(key, a).cmp(&json(key, b))).then_with(|| match (a, b) {
        (Said::Rating(a, ..), Said::Rating(b, ..)) => a.scale().cmp(&b.scale()),
        _ => Ordering::Equal,
    })
}

fn json(key: u8, said: &Said<'_>) -> String {
    match said {
        Said::Direction(LegDirection::In) => text("in"),
        Said::Direction(LegDirection::Out) => text("out"),
        Said::Side(Side::External) => text("external"),
        Said::Side(Side::Internal) => text("internal"),
        Said::Side(Side::Service) => text("service"),
        Said::Service(service) => text(service_name(*service)),
        Said::Text(value) => text(value),
        Said::Pair(id, name) if key == key::ROUTE => object(&[("id", text_or(id)), ("name", text_or(name))]),
        Said::Pair(number, name) => object(&[("name", text_or(name)), ("number", text_or(number))]),
        Said::Sip(sip) => sip.to_string(),
        Said::Rating(cost, band, name, currency) => object(&[
            ("band", text_or(band)),
            ("cost", text(&cost.normalize().to_string())),
            ("currency", text_or(currency)),
            ("name", text_or(name)),
        ]),
    }
}

fn service_name(service: Service) -> &'static str {
    match service {
        Service::Ivr => "ivr",
        Service::Queue => "queue",
        Service::Voicemail => "voicemail",
        Service::Conference => "conference",
        Service::Park => "park",
        Service::Fax => "fax",
        Service::Media => "media",
    }
}

fn text(value: &str) -> String {
    serde_json::to_string(value).expect("a text is always printed")
}

/// Empty = left out.
fn text_or(value: &str) -> String {
    if value.is_empty() { String::new() } else { text(value) }
}

fn object(entries: &[(&str, String)]) -> String {
    let said = entries.iter().filter(|entry| !entry.1.is_empty());
    let said: Vec<String> = said.map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", said.join(","))
}
