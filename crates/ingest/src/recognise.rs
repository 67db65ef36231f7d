//! Which dialect some bytes are written in, from their first elements. Nothing is decoded: names of keys decide.

use std::fmt;

use ringpost_model::Dialect;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::asterisk;
use crate::frame::frames;

/// Elements that are looked at: the first may be broken, or say nothing.
const ELEMENTS: usize = 20;

/// The dialect of an input by its first bytes, some 64 KiB of them or all there are. None: they are of none, or of
/// one that nobody knows.
pub fn recognise(bytes: &[u8]) -> Option<Dialect> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let begins_with_json = matches!(bytes.first(), Some(b'{' | b'['));
    if begins_with_json {
        // Documents end with their bracket in this dialect, so that all layouts are cut.
        let elements = frames(Dialect::FreeswitchCdr, bytes).take(ELEMENTS);
        return elements.map(|frame| frame.bytes).find_map(of_element);
    }
    of_text(bytes).or_else(|| of_table(bytes))
}

fn of_element(bytes: &[u8]) -> Option<Dialect> {
    let mut keys = Keys::default();
    let text = String::from_utf8_lossy(bytes);
    // An element that breaks off still has the keys before that.
    let _ = (&mut keys).deserialize(&mut serde_json::Deserializer::from_str(&text));
    // A row that goes on over lines is looked at as one line.
    let line = || bytes.iter().map(|&byte| if byte == b'\n' { b' ' } else { byte }).collect::<Vec<u8>>();
    keys.dialect().or_else(|| of_table(&line()))
}

fn of_table(bytes: &[u8]) -> Option<Dialect> {
    let mut tables = [Dialect::AsteriskCel, Dialect::AsteriskCdr].into_iter();
    tables.find(|dialect| asterisk::looks_like(*dialect, bytes))
}

/// Forms, base64, lines of headers.
fn of_text(bytes: &[u8]) -> Option<Dialect> {
    let end = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
    let line = String::from_utf8_lossy(&bytes[..end.min(64 * 1024)]);
    let begins = |starts: &[&str]| starts.iter().any(|start| line.starts_with(start));
    let names = |name: &str| begins(&[name]) || line.contains(&format!("&{name}"));
    if begins(&["%7B", "%7b", "eyJ", "ewo", "ewk", "eyA"]) || names("cdr=") {
        return Some(Dialect::FreeswitchCdr);
    }
    if ["call_id=", "hook_event=", "event_name="].into_iter().any(names) {
        return Some(Dialect::Kazoo);
    }
    let is_event = begins(&["Event-Name:", "Content-Type: text/event", "Content-Length:", "Core-UUID:"]);
    is_event.then_some(Dialect::FreeswitchEvent)
}

/// Keys of an object, without hyphens and underscores, in small letters.
#[derive(Default)]
struct Keys(Vec<String>);

impl Keys {
    fn dialect(&self) -> Option<Dialect> {
        let has = |key: &str| self.0.iter().any(|known| known == key);
        let any = |keys: &[&str]| keys.iter().any(|key| has(key));
        if has("kind") && any(&["leg", "tenant", "pbx"]) {
            return Some(Dialect::Native);
        }
        if has("variables") && any(&["callflow", "channeldata", "coreuuid", "switchname", "applog"]) {
            return Some(Dialect::FreeswitchCdr);
        }
        // Asterisk's rows have an event and a unique id too, and always the id of the call.
        if has("eventname") && any(&["coreuuid", "eventdatetimestamp"]) {
            return Some(Dialect::FreeswitchEvent);
        }
        // What a message may be wrapped in: a webhook of version 2, a websocket, an answer of the API, a tool of the bus.
        let is_hook = has("name") && (has("args") || (has("action") && has("data")));
        let is_answer = has("data") && any(&["authtoken", "requestid", "pagesize", "status"]);
        let is_queued = has("payload") && any(&["exchange", "routingkey"]);
        let is_change = has("action") && has("accountid") && has("type") && has("id");
        let is_message = any(&["callid", "accountid"])
            && any(&["eventname", "hookevent", "eventcategory", "calldirection"]);
        (is_hook || is_answer || is_queued || is_change || is_message || any(&["hookevent", "pvttype"]))
            .then_some(Dialect::Kazoo)
    }
}

impl<'de> DeserializeSeed<'de> for &mut Keys {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Keys {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(key) = object.next_key::<String>()? {
            let plain = key.chars().filter(|char| !matches!(char, '-' | '_'));
            self.0.push(plain.map(|char| char.to_ascii_lowercase()).collect());
            object.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn fixtures(folder: &str) -> Vec<(String, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect()
    }

    #[test]
    fn every_fixture_is_known_by_its_first_bytes() {
        let folders = [
            ("fuzz/leg", Dialect::Native),
            ("freeswitch-cdr", Dialect::FreeswitchCdr),
            ("fuzz/freeswitch", Dialect::FreeswitchCdr),
            ("freeswitch-event", Dialect::FreeswitchEvent),
            ("kazoo", Dialect::Kazoo),
            ("asterisk-cel", Dialect::AsteriskCel),
            ("asterisk-cdr", Dialect::AsteriskCdr),
        ];
        for (folder, dialect) in folders {
            for (name, bytes) in fixtures(folder) {
                assert_eq!(recognise(&bytes), Some(dialect), "{name}");
                let cut = &bytes[..bytes.len().min(2_000)];
                assert_eq!(recognise(cut), Some(dialect), "the begin of {name}");
                assert_eq!(
                    recognise(&[b"\xef\xbb\xbf\n", &*bytes].concat()),
                    Some(dialect),
                    "{name} after a mark"
                );
            }
        }
    }

    #[test]
    fn messages_of_kazoo_are_known_without_a_call_in_them() {
        let notices = [
            r#"[{"account_id":"a1","action":"doc_created","id":"c4","type":"user"}]"#,
            r#"{"action":"event","name":"CHANNEL_CREATE","data":{}}"#,
            r#"{"account_id":"a1","event_name":"voicemail_new"}"#,
            r#"{"name":"CHANNEL_CREATE","args":{}}"#,
            r#"{"data":[{"call_id":"a"}],"status":"success","request_id":"r"}"#,
            r#"{"exchange":"callevt","payload":"{}"}"#,
        ];
        for notice in notices {
            assert_eq!(recognise(notice.as_bytes()), Some(Dialect::Kazoo), "{notice}");
        }
    }

    #[test]
    fn what_is_of_no_dialect_is_said_to_be_none() {
        for text in
            ["", "hello", "{}", "[]", "{\"a\":1}", "<cdr/>", "a,b,c\n1,2,3", "[1,2]", "{\"kind\":\"x\"}"]
        {
            assert_eq!(recognise(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_broken_element_does_not_hide_those_behind_it() {
        let input = b"{\"a\":\n{\"v\":1,\"kind\":\"leg\",\"leg\":\"a\"}\n";
        assert_eq!(recognise(input), Some(Dialect::Native));
    }
}
