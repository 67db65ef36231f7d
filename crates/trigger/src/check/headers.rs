//! The configured headers: which names are ours or the connection's, and what may stand in a value. Messages never
//! repeat a value: it may be a secret.

use std::collections::BTreeSet;

use ringpost_model::{Auth, Trigger};

use crate::error::{FilterError, Pointer, shown};
use crate::limits::{HEADERS, NAME_BYTES, VALUE_BYTES};

/// Of one connection, not of a request (RFC 9110 7.6.1, and those that old proxies take so).
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Set by us on every request (triggers-and-delivery.md 3): a second value would let a trigger pass for another.
const OURS: [&str; 3] = ["user-agent", "x-hook-id", "x-account-id"];

pub(super) fn check(trigger: &Trigger, pointer: &Pointer, errors: &mut Vec<FilterError>) {
    let headers = &trigger.headers;
    if headers.len() > HEADERS {
        errors.push(pointer.error(format!("{} headers: at most {HEADERS}", headers.len())));
        return;
    }
    // A certificate sets no header.
    let auth_sets_it = !matches!(trigger.auth, Auth::None | Auth::Certificate { .. });
    let mut seen = BTreeSet::new();
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        let pointer = pointer.at(name);
        let refusal = name_refusal(name, &lower).or_else(|| {
            let is_double = lower == "authorization" && auth_sets_it;
            is_double.then(|| "\"auth\" sets this header already: leave one of the two out".to_owned())
        });
        if let Some(refusal) = refusal {
            errors.push(pointer.error(refusal));
        } else if !seen.insert(lower) {
            errors.push(
                pointer.error(format!("{} stands twice, in two spellings: leave one out", shown(name))),
            );
        }
        errors.extend(value_refusal(value).map(|message| pointer.error(message)));
    }
}

fn name_refusal(name: &str, lower: &str) -> Option<String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES || !name.bytes().all(is_token) {
        let name = shown(name);
        return Some(format!(
            "{name} is no header name: write 1 to {NAME_BYTES} letters, digits and signs such as -"
        ));
    }
    if HOP_BY_HOP.contains(&lower) {
        return Some(format!("{name} is of the connection and not of the request: leave it out"));
    }
    if lower == "host" {
        return Some("Host comes from the URL: leave it out".to_owned());
    }
    if lower.starts_with("content-") {
        return Some(format!("{name} follows from the body that is sent: leave it out"));
    }
    if lower.starts_with("webhook-") {
        return Some(format!("{name} is of the signature: leave it out, and set a secret to have one"));
    }
    OURS.contains(&lower)
        .then(|| format!("{name} is set on every request: leave it out, or choose another name"))
}

fn value_refusal(value: &str) -> Option<String> {
    if value.len() > VALUE_BYTES {
        return Some(format!("the value has {} bytes: at most {VALUE_BYTES}", value.len()));
    }
    let is_allowed = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
    (!value.bytes().all(is_allowed)).then(|| {
        "only printable ASCII can stand in a header: write the value without other characters".to_owned()
    })
}
