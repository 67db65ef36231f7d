//! The operators, and which kind of field has which (triggers-and-delivery.md 2).

use crate::field::Kind;
use crate::suggest::nearest;

/// What a filter asks of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Eq,
    In,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    Lt,
    Lte,
    Gt,
    Gte,
    Between,
    Before,
    After,
    Exists,
}

impl Operator {
    const ALL: [(&'static str, Self); 14] = [
        ("eq", Self::Eq),
        ("in", Self::In),
        ("contains", Self::Contains),
        ("startsWith", Self::StartsWith),
        ("endsWith", Self::EndsWith),
        ("matches", Self::Matches),
        ("lt", Self::Lt),
        ("lte", Self::Lte),
        ("gt", Self::Gt),
        ("gte", Self::Gte),
        ("between", Self::Between),
        ("before", Self::Before),
        ("after", Self::After),
        ("exists", Self::Exists),
    ];

    /// The operator of that name; the error is what to write instead, where that is clear.
    pub(crate) fn find(name: &str) -> Result<Self, Option<String>> {
        let found = Self::ALL.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, operator)| operator).ok_or_else(|| propose(name))
    }

    /// As filters write it.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, operator)| *operator == self).map_or("", |(name, _)| name)
    }

    /// The operators of a kind of field, without `exists`, which all have.
    pub(crate) fn of(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::Text => {
                &[Self::Eq, Self::Contains, Self::StartsWith, Self::EndsWith, Self::In, Self::Matches]
            }
            Kind::Phone => &[Self::Eq, Self::StartsWith, Self::EndsWith, Self::Contains, Self::In],
            Kind::Number => &[Self::Eq, Self::Lt, Self::Lte, Self::Gt, Self::Gte, Self::Between, Self::In],
            Kind::Flag => &[Self::Eq],
            Kind::Code(_) => &[Self::Eq, Self::In],
            Kind::Time => &[Self::Before, Self::After],
            Kind::TimeOfDay => &[Self::Between],
            Kind::Weekday => &[Self::In],
            Kind::Objects => &[],
        }
    }
}

/// What to write instead: for what other filter languages call our operators, and what a hand slips to.
fn propose(name: &str) -> Option<String> {
    let found = match name.trim_start_matches('$').to_ascii_lowercase().as_str() {
        "!=" | "<>" | "ne" | "neq" | "noteq" => return Some(r#""eq" together with "not": true"#.to_owned()),
        "nin" | "notin" => return Some(r#""in" together with "not": true"#.to_owned()),
        "=" | "==" | "equals" | "equal" | "is" => "eq",
        "<" => "lt",
        "<=" | "le" => "lte",
        ">" => "gt",
        ">=" | "ge" => "gte",
        "regex" | "regexp" | "~" | "match" => "matches",
        "like" | "includes" => "contains",
        "prefix" | "beginswith" => "startsWith",
        "suffix" => "endsWith",
        "range" => "between",
        "oneof" | "anyof" => "in",
        other => nearest(other, Operator::ALL.map(|(name, _)| name))?,
    };
    Some(format!("\"{found}\""))
}
