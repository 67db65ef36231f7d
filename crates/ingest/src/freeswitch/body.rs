//! What `mod_json_cdr` wraps around a document: a form (`encode` true), base64 (`encode` base64), or, in the files
//! that it keeps of failed posts, the bare encoded text.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::reason::Reason;

/// Padding may be there or not: proxies strip it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What base64 of `{"` and of `{` with white space behind it begins with.
const BASE64_STARTS: [&[u8]; 4] = [b"eyJ", b"ewo", b"ewk", b"eyA"];

/// Whether all of a body is base64, which old switches break into lines.
pub(super) fn is_base64_body(content_type: Option<&str>, bytes: &[u8]) -> bool {
    let is_said = content_type.is_some_and(|said| said.to_ascii_lowercase().contains("base64"));
    let value = form_value(bytes).unwrap_or(bytes).trim_ascii();
    let looks_so = BASE64_STARTS.iter().any(|start| value.starts_with(start));
    (is_said || looks_so) && value.iter().all(|&byte| is_base64(byte) || byte.is_ascii_whitespace())
}

/// Whether all of a body is a form with a bare document in it, which may go on over lines.
pub(super) fn is_bare_form(bytes: &[u8]) -> bool {
    let is_bare = form_value(bytes).is_some_and(|value| value.trim_ascii_start().first() == Some(&b'{'));
    is_bare && !bytes.windows(5).any(|window| window == b"\ncdr=")
}

const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// The document inside a body that does not begin with a bracket.
pub(super) fn unwrap(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Reason> {
    let form = form_value(bytes);
    let value = form.unwrap_or(bytes).trim_ascii();
    if value.first() == Some(&b'{') {
        return Ok(Cow::Borrowed(value));
    }
    if BASE64_STARTS.iter().any(|start| value.starts_with(start)) {
        let compact: Vec<u8> = value.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let decoded =
            BASE64.decode(compact).map_err(|_| Reason::Wrapping("base64 that cannot be decoded"))?;
        return Ok(Cow::Owned(decoded));
    }
    let is_encoded = value.starts_with(b"%7B") || value.starts_with(b"%7b") || form.is_some();
    if !is_encoded {
        let is_form = bytes.contains(&b'=') && !bytes.contains(&b'"');
        let reason = Reason::Wrapping("a form without cdr=; mod_json_cdr puts the document there");
        return Err(if is_form { reason } else { Reason::NotJson("no document, form or base64".to_owned()) });
    }
    // In a form a plus is a space; FreeSWITCH writes %20, and %2B for a plus, so that both readings agree.
    let spaced: Vec<u8> = value.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    let decoded: Vec<u8> = percent_encoding::percent_decode(&spaced).collect();
    Ok(Cow::Owned(decoded))
}

/// The value of `cdr` in a form, still encoded. A raw document may hold `&` itself, so it ends with the body.
fn form_value(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    loop {
        if let Some(value) = rest.strip_prefix(b"cdr=") {
            let is_raw = value.trim_ascii_start().first() == Some(&b'{');
            let end = memchr::memchr(b'&', value).filter(|_| !is_raw);
            return Some(&value[..end.unwrap_or(value.len())]);
        }
        let next = memchr::memchr(b'&', rest)?;
        if rest[..next].contains(&b'{') || rest[..next].contains(&b'"') {
            return None;
        }
        rest = &rest[next + 1..];
    }
}

/// Mends a document whose `variables` were decoded one time too often. FreeSWITCH does not encode a `%XX` again, so
/// with both `encode` and `encode-values` on, undoing the form undoes the values too, and their quotes, line ends
/// and backslashes stand bare in the JSON. A value then ends where the next key begins.
pub(super) fn mend(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let begin = text.find("\"variables\":{")? + "\"variables\":{".len();
    let mut mended = String::with_capacity(text.len() + 1024);
    mended.push_str(&text[..begin]);
    let mut rest = &text[begin..];
    while let Some((key, value, after)) = entry(rest) {
        mended.push_str(key);
        mended.push_str(&serde_json::to_string(value).ok()?);
        if let Some(end) = after.strip_prefix('}') {
            mended.push('}');
            mended.push_str(end);
            return Some(mended);
        }
        mended.push(',');
        rest = after.strip_prefix(',')?;
    }
    None
}

/// A key with its quotes and colon, its bare value, and what follows.
fn entry(text: &str) -> Option<(&str, &str, &str)> {
    let colon = text.find("\":\"")? + 2;
    let (key, value) = text.split_at(colon + 1);
    let key = key.strip_suffix('"')?;
    let mut at = 0;
    while let Some(found) = value.get(at..)?.find('"') {
        let quote = at + found;
        let after = &value[quote + 1..];
        if after.starts_with('}') || next_key(after) {
            return Some((key, &value[..quote], after));
        }
        at = quote + 1;
    }
    None
}

/// Whether a comma and a key stand here: `,"name":"`.
fn next_key(text: &str) -> bool {
    let Some(name) = text.strip_prefix(",\"") else { return false };
    let end = name.find(|char: char| !char.is_ascii_alphanumeric() && !"_-.".contains(char));
    end.is_some_and(|end| end > 0 && name[end..].starts_with("\":\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: &str) {
        let unwrapped = unwrap(body.as_bytes()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert_eq!(unwrapped.unwrap_or_else(|reason| reason.to_string()), expected, "{body}");
    }

    #[test]
    fn a_form_is_undone() {
        check("cdr=%7B%22a%22%3A%22b%20c%2Bd%22%7D", r#"{"a":"b c+d"}"#);
        check("cdr=%7B%22a%22:%22b+c%22%7D&uuid=1", r#"{"a":"b c"}"#);
        check("uuid=a_1&cdr=%7B%7D", "{}");
        check("cdr={\"a\":\"b&c+d%20\"}", r#"{"a":"b&c+d%20"}"#);
        check("%7B%22a%22%3A1%7D", r#"{"a":1}"#);
    }

    #[test]
    fn base64_is_undone_with_line_ends_and_without_padding() {
        check("cdr=eyJhIjoiYj8/Pz8+In0=", r#"{"a":"b????>"}"#);
        check("eyJhIjoi\r\nYj8/Pz8+In0", r#"{"a":"b????>"}"#);
        assert!(is_base64_body(None, b"cdr=eyJhIjoi\nYj8/Pz8+In0=\n"));
        assert!(!is_base64_body(None, b"cdr=%7B%7D\ncdr=%7B%7D\n"));
    }

    #[test]
    fn what_is_no_wrapping_is_said_to_be_none() {
        check("a=1&b=2", "cannot unwrap the body: a form without cdr=; mod_json_cdr puts the document there");
        check("eyJ*", "cannot unwrap the body: base64 that cannot be decoded");
        check("<cdr/>", "not JSON: no document, form or base64");
    }

    #[test]
    fn values_that_were_decoded_too_often_are_mended() {
        let broken = "{\"a\":1,\"variables\":{\"from\":\"\"Ann\" <sip:1>\",\"sdp\":\"v=0\r\no=\",\"c-d\":\"a\\b\"},\"z\":[]}";
        let mended = mend(broken.as_bytes()).unwrap();
        assert_eq!(
            mended,
            r#"{"a":1,"variables":{"from":"\"Ann\" <sip:1>","sdp":"v=0\r\no=","c-d":"a\\b"},"z":[]}"#
        );
        assert_eq!(mend(b"{\"variables\":{\"a\":\"b"), None);
    }
}
