//! TOML as nodes.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::node::{Member, Node, Value};

/// Why it is no TOML: byte and message.
pub(crate) type NotToml = (usize, String);

/// Reads a document.
///
/// # Errors
/// All that is no TOML in it.
pub(crate) fn parse(text: &str) -> Result<Node, Vec<NotToml>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(Node { at: 0, value: object(table.get_ref()) });
    }
    let errors = errors.iter().map(|error| {
        let at = error.span().map_or(0, |span| span.start);
        (at, error.message().trim().replace('\n', ", "))
    });
    Err(errors.collect())
}

fn object(table: &DeTable<'_>) -> Value {
    let mut members: Vec<Member> = table
        .iter()
        .map(|(key, value)| Member {
            key: key.get_ref().to_string(),
            at: key.span().start,
            node: node(value),
        })
        .collect();
    // The parser sorts by name; people read from top to bottom.
    members.sort_by_key(|member| member.at);
    Value::Object(members)
}

fn node(value: &Spanned<DeValue<'_>>) -> Node {
    let given = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Number(number.to_string()),
            Err(_) => Value::Text(number.to_string()),
        },
        DeValue::Float(number) => float(number.as_str()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Array(list) => Value::List(list.iter().map(node).collect()),
        DeValue::Table(table) => object(table),
    };
    Node { at: value.span().start, value: given }
}

/// TOML allows `+1.5`, `inf` and `nan`, JSON does not; what is none stays a text, which no number's reader takes.
fn float(digits: &str) -> Value {
    let digits = digits.trim_start_matches('+').replace('_', "");
    let is_json = serde_json::from_str::<&serde_json::value::RawValue>(&digits).is_ok();
    if is_json { Value::Number(digits) } else { Value::Text(digits) }
}
