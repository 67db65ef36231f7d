//! A request as text for a person: aligned, decoded, without secrets.

use std::fmt::Write;

use ringpost_model::Timestamp;

use super::received::{Received, Signature};
use crate::cli::harmless;

/// How it is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) coloured: bool,
    /// One line only.
    pub(crate) brief: bool,
}

/// Headers worth a line, in this order.
const HEADERS: [&str; 7] = [
    "content-type",
    "user-agent",
    "x-hook-id",
    "x-account-id",
    "webhook-timestamp",
    "authorization",
    "transfer-encoding",
];
/// Longest body shown; the rest is counted. A record is 1 to 20 KB.
const SHOWN_BYTES: usize = 64 * 1024;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

impl Look {
    fn paint(self, code: &str, text: &str) -> String {
        if self.coloured { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// All of it, with an empty line after it unless brief.
pub(crate) fn text(received: &Received, look: Look) -> String {
    let mut out = head(received, look);
    if look.brief {
        return out;
    }
    let mut rows = headers(received, look);
    if !received.query.is_empty() {
        rows.push(("query".to_owned(), String::new()));
        rows.extend(pairs(&received.query));
    }
    table(&mut out, &rows, look);
    body(&mut out, received, look);
    out.push('\n');
    out
}

fn head(received: &Received, look: Look) -> String {
    let answer = match received.answer {
        Some(status) if status < 300 => look.paint(GREEN, &status.to_string()),
        Some(status) => look.paint(RED, &status.to_string()),
        None => look.paint(RED, "no answer"),
    };
    let again = match received.attempt {
        Some(attempt) if attempt > 1 => look.paint(YELLOW, &format!("  seen {attempt} times")),
        _ => String::new(),
    };
    let signature = match received.signature {
        Signature::Absent | Signature::Unchecked => String::new(),
        Signature::Valid => look.paint(GREEN, "  signature valid"),
        Signature::Invalid => look.paint(RED, "  signature INVALID"),
    };
    let time = clock(received.at);
    let what = look.paint(BOLD, &format!("{} {}", received.method, harmless(&received.path)));
    format!("#{} {time}  {what}  -> {answer}{signature}{again}\n", received.number)
}

/// Hours to milliseconds, UTC.
fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(11..23).map(|clock| format!("{clock}Z")).unwrap_or(text)
}

fn headers(received: &Received, look: Look) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    if let Some(id) = received.header("webhook-id") {
        rows.push(("webhook-id".to_owned(), harmless(id)));
    }
    if received.signature != Signature::Absent {
        let colour = if received.signature == Signature::Invalid { RED } else { DIM };
        rows.push(("webhook-signature".to_owned(), look.paint(colour, received.signature.name())));
    }
    for name in HEADERS {
        if let Some(value) = received.header(name) {
            rows.push((name.to_owned(), shown_value(name, value)));
        }
    }
    let known = |name: &str| HEADERS.contains(&name) || name.starts_with("webhook-");
    let usual = ["host", "accept", "accept-encoding", "connection", "content-length"];
    for (name, value) in &received.headers {
        if !known(name.as_str()) && !usual.contains(&name.as_str()) {
            rows.push((name.to_string(), harmless(&String::from_utf8_lossy(value.as_bytes()))));
        }
    }
    rows
}

/// Credentials are named, not shown.
fn shown_value(name: &str, value: &str) -> String {
    if name == "authorization" {
        let scheme = value.split(' ').next().unwrap_or_default();
        return format!("{} …", harmless(scheme));
    }
    harmless(value)
}

/// Names and values of a query or form, decoded, in their order.
fn pairs(encoded: &str) -> Vec<(String, String)> {
    let pairs = url::form_urlencoded::parse(encoded.as_bytes());
    pairs.map(|(name, value)| (format!("  {}", harmless(&name)), harmless(&value))).collect()
}

fn table(out: &mut String, rows: &[(String, String)], look: Look) {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    for (name, value) in rows {
        let padded = format!("{name:width$}");
        let line = format!("  {}  {value}", look.paint(DIM, &padded));
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

fn body(out: &mut String, received: &Received, look: Look) {
    let bytes = &received.body;
    let cut = if received.body_cut { ", broken off or too large" } else { "" };
    if bytes.is_empty() {
        if received.body_cut {
            let _ = writeln!(out, "  body{cut}");
        }
        return;
    }
    let form = received
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let json: Option<Box<serde_json::value::RawValue>> = serde_json::from_slice(bytes).ok();
    let kind = if json.is_some() {
        "JSON"
    } else if form {
        "form"
    } else {
        "text"
    };
    let _ = writeln!(out, "  {}", look.paint(DIM, &format!("body ({kind}, {} bytes{cut})", bytes.len())));
    if let Some(json) = json {
        indented(out, &pretty(json.get()));
    } else if form {
        table(out, &pairs(&String::from_utf8_lossy(bytes)), look);
    } else {
        indented(out, &String::from_utf8_lossy(bytes));
    }
}

fn indented(out: &mut String, text: &str) {
    let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= SHOWN_BYTES).unwrap_or(text.len());
    for line in text[..end].lines() {
        let _ = writeln!(out, "    {}", harmless(line));
    }
    if end < text.len() {
        let _ = writeln!(out, "    … {} bytes more", text.len() - end);
    }
}

/// JSON over several lines, token by token: keys keep their order and numbers their digits.
fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut characters = json.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                out.push('"');
                copy_string(&mut characters, &mut out);
            }
            '{' | '[' => {
                while characters.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                out.push(character);
                if let Some(close) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    break_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(',');
                break_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            other if other.is_ascii_whitespace() => {}
            other => out.push(other),
        }
    }
    out
}

/// The rest of a string, its closing quote included.
fn copy_string(characters: &mut impl Iterator<Item = char>, out: &mut String) {
    while let Some(character) = characters.next() {
        out.push(character);
        match character {
            '\\' => out.extend(characters.next()),
            '"' => return,
            _ => {}
        }
    }
}

fn break_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}
