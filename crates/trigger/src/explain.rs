//! Why a trigger fired or not: each filter's verdict, and the value it was found on.

use ringpost_model::{Cdr, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::condition::Condition;
use crate::field::{Field, Source};
use crate::view::{Value, View};

/// One filter's verdict.
#[derive(Debug, Clone, Serialize)]
pub struct Explained {
    /// The field, as written in the filter.
    pub field: Box<str>,
    /// Whether the filter held, `not` included.
    pub held: bool,
    /// What the field holds, as JSON: a number in E.164 where it was compared so, zero where it is absent, the
    /// elements of a list. Times are in the record's zone.
    pub value: Box<RawValue>,
}

/// Asks the condition itself, and shows the value that it looked at.
pub(crate) fn explain(condition: &Condition, view: &View<'_>) -> Explained {
    let held = condition.holds(view);
    let value = printed(&condition.field, view.value(condition.slot), view.cdr());
    Explained { field: condition.field.name().into(), held, value }
}

fn printed(field: &Field, value: &Value<'_>, cdr: &Cdr) -> Box<RawValue> {
    let printed = match (value, field.source) {
        (Value::Texts(elements), source) if source.is_list() => {
            let texts: Vec<&str> = elements.iter().map(|element| &*element.exact).collect();
            serde_json::value::to_raw_value(&texts)
        }
        (Value::Texts(elements), _) => {
            serde_json::value::to_raw_value(elements.first().map_or("", |element| &element.exact))
        }
        (Value::Number(minute), Source::TimeOfDay) => {
            let sixty = rust_decimal::Decimal::from(60);
            let text =
                format!("{:0>2}:{:0>2}", (minute / sixty).floor().to_string(), (minute % sixty).to_string());
            serde_json::value::to_raw_value(&text)
        }
        (Value::Number(_), Source::Time(read)) => {
            let text = read(cdr).map(|time: Timestamp| time.to_rfc3339_in(cdr.tz));
            serde_json::value::to_raw_value(&text.unwrap_or_default())
        }
        (Value::Number(number), _) => RawValue::from_string(number.to_string()),
    };
    printed.expect("texts and plain decimals are JSON")
}
