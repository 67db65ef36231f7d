//! A webhook's form: `a=1&b[c]=2&d[]=3&d[]=4`, brackets plain or encoded.

use std::borrow::Cow;

use crate::decoded::{LEVELS, RECORD_BYTES};
use crate::node::Node;
use crate::reason::Reason;

/// The form as though it had come as JSON; everything in it is text.
pub(super) fn form(bytes: &[u8]) -> Result<Node<'_>, Reason> {
    // Three bytes for one.
    if bytes.len() > 3 * RECORD_BYTES {
        return Err(Reason::TooLarge { length: bytes.len() as u64, limit: 3 * RECORD_BYTES as u64 });
    }
    if !bytes.contains(&b'=') || bytes.contains(&b'<') {
        return Err(Reason::NotJson("neither a JSON object nor a form".to_owned()));
    }
    let mut form = Node::Object(Vec::new());
    for (key, value) in form_urlencoded::parse(bytes) {
        let (name, rest) = key.split_once('[').map_or((&*key, ""), |(name, rest)| (name, rest));
        let path: Vec<&str> = rest.split('[').map(|part| part.trim_end_matches(']')).collect();
        let path = if rest.is_empty() { &[] } else { &*path };
        if path.len() >= LEVELS {
            return Err(Reason::TooDeep);
        }
        put(&mut form, name, path, Node::Text(Cow::Owned(value.into_owned())));
    }
    Ok(form)
}

/// Puts a value where its key says. An empty part is the next place of a list.
fn put(into: &mut Node<'_>, name: &str, rest: &[&str], value: Node<'static>) {
    let place = match into {
        Node::List(items) => {
            items.push(Node::Nothing);
            items.last_mut()
        }
        Node::Object(entries) => {
            // The one before the last is no place to look: a form has few keys, and those of one object together.
            let at = entries.iter().rposition(|(key, _)| key == name).unwrap_or_else(|| {
                entries.push((Cow::Owned(name.to_owned()), Node::Nothing));
                entries.len() - 1
            });
            entries.get_mut(at).map(|(_, value)| value)
        }
        Node::Nothing | Node::Text(_) => None,
    };
    let Some(place) = place else { return };
    let Some((next, rest)) = rest.split_first() else {
        *place = value;
        return;
    };
    if !matches!(place, Node::List(_) | Node::Object(_)) {
        *place = if next.is_empty() { Node::List(Vec::new()) } else { Node::Object(Vec::new()) };
    }
    put(place, next, rest, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = form(text.as_bytes()).map(|node| format!("{node:?}"));
        assert_eq!(shown.unwrap_or_else(|reason| reason.to_string()), expected, "{text}");
    }

    #[test]
    fn objects_and_lists_in_a_form_are_as_in_json() {
        check(
            "a=b+c%2B&vars[Account-ID]=x&vars%5Bn%5D=1&l[]=1&l[]=2",
            r#"Object([("a", Text("b c+")), ("vars", Object([("Account-ID", Text("x")), ("n", Text("1"))])), ("l", List([Text("1"), Text("2")]))])"#,
        );
        check("a=1&a[b]=2&=3", r#"Object([("a", Object([("b", Text("2"))])), ("", Text("3"))])"#);
        check("hello", "not JSON: neither a JSON object nor a form");
        check(&format!("a{}=1", "[x]".repeat(70)), "more than 64 nested levels");
    }
}
