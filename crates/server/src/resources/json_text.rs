//! JSON as nodes. serde_json judges the text first; the reader here only adds the positions, and so has no
//! errors of its own.

use serde_json::value::RawValue;

use super::node::{Member, Node, Value};

/// Reads a document.
///
/// # Errors
/// Why it is no JSON, with line and column from 1.
pub(crate) fn parse(text: &str) -> Result<Node, (usize, usize, String)> {
    let judged: Result<&RawValue, _> = serde_json::from_str(text);
    if let Err(error) = judged {
        let message = error.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        return Err((error.line(), error.column().max(1), message.to_owned()));
    }
    Ok(Reader { text, at: 0 }.node())
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn node(&mut self) -> Node {
        self.space();
        let at = self.at;
        let value = match self.peek() {
            b'{' => self.object(),
            b'[' => self.list(),
            b'"' => Value::Text(self.string()),
            _ => self.word(),
        };
        Node { at, value }
    }

    fn object(&mut self) -> Value {
        let mut members = Vec::new();
        while self.more(b'}') {
            let at = self.at;
            let key = self.string();
            self.space();
            self.at += 1;
            members.push(Member { key, at, node: self.node() });
        }
        Value::Object(members)
    }

    fn list(&mut self) -> Value {
        let mut nodes = Vec::new();
        while self.more(b']') {
            nodes.push(self.node());
        }
        Value::List(nodes)
    }

    /// Steps over the bracket or comma before an element; false at the closing bracket, which it steps over too.
    fn more(&mut self, close: u8) -> bool {
        self.space();
        let closed = self.peek() == close;
        self.at += 1;
        self.space();
        let closed_now = !closed && self.peek() == close;
        if closed_now {
            self.at += 1;
        }
        !(closed || closed_now)
    }

    fn string(&mut self) -> String {
        let begin = self.at;
        self.at += 1;
        while self.peek() != b'"' {
            self.at += if self.peek() == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        // A lone surrogate passes the judge, who skips strings, and is no text.
        serde_json::from_str(&self.text[begin..self.at]).unwrap_or_else(|_| "\u{fffd}".to_owned())
    }

    fn word(&mut self) -> Value {
        let begin = self.at;
        while !matches!(self.peek(), b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t' | 0) {
            self.at += 1;
        }
        match &self.text[begin..self.at] {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            digits => Value::Number(digits.to_owned()),
        }
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    /// 0 at the end.
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_is_written_and_has_its_place() {
        let text = "{\"a\": [1.50, {}, [] , \"x\\\"\\u00e9,}\"],\n \"b\" :{\"c\":null,\"d\":true}}";
        let node = parse(text).unwrap();
        assert_eq!(node.to_json(), r#"{"a":[1.50,{},[],"x\"é,}"],"b":{"c":null,"d":true}}"#);
        assert!(text[node.position_of("/b/d")..].starts_with("true"));
        assert!(text[node.position_of("/a/3")..].starts_with("\"x"));
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        assert_eq!(parse("{\"a\": 1,\n  b}").unwrap_err(), (2, 3, "key must be a string".to_owned()));
    }
}
