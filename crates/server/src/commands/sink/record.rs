//! Requests as lines of JSON, for scripts and tests.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::value::RawValue;

use super::received::Received;

#[derive(Serialize)]
struct Line<'a> {
    at: String,
    number: u64,
    method: &'a str,
    path: &'a str,
    query: &'a str,
    headers: BTreeMap<&'a str, String>,
    /// As text; what is no UTF-8 in it becomes U+FFFD.
    body: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    body_cut: bool,
    /// The body once more when it is JSON, numbers exactly as they came.
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    signature: &'static str,
    /// Absent: never answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
}

/// Writes one line in one write, so that readers never see half of it.
pub(crate) fn append(received: &Received, out: &mut dyn Write) -> io::Result<()> {
    let mut headers: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in &received.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str())
            .and_modify(|all| *all = format!("{all}, {value}"))
            .or_insert(value.into());
    }
    let line = Line {
        at: received.at.to_string(),
        number: received.number,
        method: &received.method,
        path: &received.path,
        query: &received.query,
        headers,
        body: String::from_utf8_lossy(&received.body).into_owned(),
        body_cut: received.body_cut,
        json: serde_json::from_slice(&received.body).ok(),
        attempt: received.attempt,
        signature: received.signature.name(),
        status: received.answer,
    };
    let mut bytes = serde_json::to_vec(&line)?;
    bytes.push(b'\n');
    out.write_all(&bytes)?;
    out.flush()
}
