//! From a filter as written to a condition, or to all of its mistakes.

mod reader;

use std::ops::Bound;

use ringpost_model::Filter;
use ringpost_numbers::Region;
use rust_decimal::Decimal;

use crate::condition::{Condition, Test};
use crate::error::{FilterError, Pointer, shown};
use crate::expression::Expression;
use crate::field::{Field, Kind};
use crate::fold::fold;
use crate::limits::EXPRESSION_BYTES;
use crate::operator::Operator;
use crate::phone::{e164, without_separators};
use crate::range::Ranges;
use crate::text_test::{TextKind, TextTest};

use reader::Reader;

/// Compiles one filter, whose place in the trigger is `pointer`. None: there is a mistake, told in `errors`.
pub(crate) fn compile(
    filter: &Filter,
    region: Option<Region>,
    pointer: &Pointer,
    errors: &mut Vec<FilterError>,
) -> Option<Condition> {
    let field = Field::find(&filter.field, region)
        .map_err(|proposal| errors.push(pointer.at("field").error(unknown_field(&filter.field, proposal))));
    let operator = Operator::find(&filter.op)
        .map_err(|proposal| errors.push(pointer.at("op").error(unknown_operator(&filter.op, proposal))));
    let (Ok(field), Ok(operator)) = (field, operator) else { return None };

    let kind = field.source.kind();
    let fits = operator == Operator::Exists || Operator::of(kind).contains(&operator);
    if !fits {
        errors.push(pointer.at("op").error(wrong_operator(&field, operator)));
    }
    let has_case = matches!(kind, Kind::Text | Kind::Phone);
    if filter.case_sensitive && !has_case {
        let message = format!("{} has no case: leave \"caseSensitive\" out", field.name());
        errors.push(pointer.at("caseSensitive").error(message));
    }
    let reader = Reader { field: &field, pointer: pointer.at("value"), errors };
    let test = if fits { test(filter, operator, reader)? } else { return None };
    (has_case || !filter.case_sensitive).then_some(Condition { field, slot: 0, test, not: filter.not })
}

fn unknown_field(name: &str, proposal: Option<String>) -> String {
    let remedy = match proposal {
        Some(proposal) => format!("did you mean {}?", shown(&proposal)),
        None => "write a key of the record, \"tags.<key>\", \"directoryMatches.<key>\", \"weekday\" or \"timeOfDay\""
            .to_owned(),
    };
    format!("unknown field {}: {remedy}", shown(name))
}

fn unknown_operator(name: &str, proposal: Option<String>) -> String {
    let remedy = match proposal {
        Some(proposal) => format!("did you mean {proposal}?"),
        None => "see the operators of the field's type in docs/filters.md".to_owned(),
    };
    format!("unknown operator {}: {remedy}", shown(name))
}

fn wrong_operator(field: &Field, operator: Operator) -> String {
    let kind = field.source.kind();
    let mut allowed: Vec<_> = Operator::of(kind).iter().map(|operator| operator.name()).collect();
    allowed.push(Operator::Exists.name());
    let (name, operator, noun) = (field.name(), operator.name(), reader::noun(kind));
    let hint = match kind {
        Kind::Objects => {
            "; for what is in them name one of their keys, e.g. \"directoryMatches.companyName\""
        }
        _ => "",
    };
    format!("{name} is {noun} and has no operator {operator}: use {}{hint}", allowed.join(", "))
}

fn test(filter: &Filter, operator: Operator, mut reader: Reader<'_>) -> Option<Test> {
    let kind = reader.field.source.kind();
    if operator == Operator::Exists {
        return reader.nothing(filter.value.as_deref()).then(|| exists(kind));
    }
    let raw = reader.something(filter.value.as_deref(), operator)?;
    let folded = !filter.case_sensitive;
    match kind {
        Kind::Text | Kind::Phone => text(operator, &mut reader, raw, folded).map(Test::Text),
        _ => ranges(operator, &mut reader, raw).map(Test::Number),
    }
}

/// Asks for something else than zero. A time of day is always there, also at midnight.
fn exists(kind: Kind) -> Test {
    match kind {
        Kind::Text | Kind::Phone => Test::Filled,
        Kind::TimeOfDay => Test::Number(Ranges::all()),
        _ => Test::Number(Ranges::non_zero()),
    }
}

fn ranges(operator: Operator, reader: &mut Reader<'_>, raw: &serde_json::value::RawValue) -> Option<Ranges> {
    match operator {
        Operator::In => return reader.list(raw, Reader::number).map(Ranges::of_values),
        Operator::Between => return between(reader, raw),
        _ => {}
    }
    let value = reader.single(raw, operator, Reader::number)?;
    Some(match operator {
        Operator::Lt | Operator::Before => Ranges::of_one(Bound::Unbounded, Bound::Excluded(value)),
        Operator::Lte => Ranges::of_one(Bound::Unbounded, Bound::Included(value)),
        Operator::Gt | Operator::After => Ranges::of_one(Bound::Excluded(value), Bound::Unbounded),
        Operator::Gte => Ranges::of_one(Bound::Included(value), Bound::Unbounded),
        _ => Ranges::of_values(vec![value]),
    })
}

fn between(reader: &mut Reader<'_>, raw: &serde_json::value::RawValue) -> Option<Ranges> {
    let (from, to): (Decimal, Decimal) = reader.pair(raw, Reader::number)?;
    if from <= to {
        return Some(Ranges::of_one(Bound::Included(from), Bound::Included(to)));
    }
    if reader.field.source.kind() == Kind::TimeOfDay {
        return Some(Ranges::around(to, from));
    }
    reader.fail(
        "the first value is greater than the second, so nothing is between: write the smaller one first",
    );
    None
}

fn text(
    operator: Operator,
    reader: &mut Reader<'_>,
    raw: &serde_json::value::RawValue,
    folded: bool,
) -> Option<TextTest> {
    let kind = match operator {
        Operator::In => one_of(reader.list(raw, Reader::text)?, reader.field, folded),
        Operator::Eq => one_of(vec![reader.single(raw, operator, Reader::text)?], reader.field, folded),
        Operator::Matches => TextKind::Matches(expression(reader, raw, folded)?),
        _ => {
            let parts = parts(reader.single(raw, operator, Reader::part)?, reader.field, folded);
            match operator {
                Operator::StartsWith => TextKind::StartsWith(parts),
                Operator::EndsWith => TextKind::EndsWith(parts),
                _ => TextKind::Contains(parts),
            }
        }
    };
    Some(TextTest { folded, kind })
}

fn one_of(values: Vec<String>, field: &Field, folded: bool) -> TextKind {
    let is_phone = field.source.kind() == Kind::Phone;
    let form = |value: String| {
        let number = if is_phone { e164(&value, field.region) } else { None };
        number.unwrap_or_else(|| in_case(&value, folded))
    };
    let mut values: Vec<Box<str>> = values.into_iter().map(form).collect();
    values.sort_unstable();
    values.dedup();
    TextKind::OneOf(values.into())
}

/// A part of a number is searched as digits; where the part is a whole valid number, also as that.
fn parts(part: String, field: &Field, folded: bool) -> Box<[Box<str>]> {
    if field.source.kind() != Kind::Phone {
        return Box::new([in_case(&part, folded)]);
    }
    let mut parts = vec![in_case(&without_separators(&part), folded)];
    parts.extend(e164(&part, field.region).filter(|number| *number != parts[0]));
    parts.into()
}

fn in_case(text: &str, folded: bool) -> Box<str> {
    if folded { fold(text).into() } else { text.into() }
}

fn expression(
    reader: &mut Reader<'_>,
    raw: &serde_json::value::RawValue,
    folded: bool,
) -> Option<Box<Expression>> {
    let pattern = reader.single(raw, Operator::Matches, Reader::part)?;
    if pattern.len() > EXPRESSION_BYTES {
        reader.fail(&format!("the expression has {} bytes: at most {EXPRESSION_BYTES}", pattern.len()));
        return None;
    }
    match Expression::new(&pattern, folded) {
        Ok(expression) => Some(Box::new(expression)),
        Err(reason) => {
            reader.fail(&format!("{} is no usable expression: {reason}", shown(&pattern)));
            None
        }
    }
}
