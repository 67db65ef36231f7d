//! Which of a trigger's conditions finds it, and by which keys of an index.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::condition::{Condition, Test};
use crate::field::Kind;
use crate::fold::fold;
use crate::range::Ranges;
use crate::text_test::TextKind;

/// How an index finds what satisfies a condition. All texts are folded: where case matters, the check afterwards sees
/// to it.
pub(super) enum Access<'a> {
    Numbers(Cow<'a, Ranges>),
    Whole(Vec<Cow<'a, str>>),
    Starts(Vec<Cow<'a, str>>),
    Ends(Vec<Cow<'a, str>>),
    Within(Vec<Cow<'a, str>>),
    /// The field has, or has not, a text.
    Filled(bool),
    /// No index helps.
    Try,
}

impl<'a> Access<'a> {
    pub(super) fn of(condition: &'a Condition) -> Self {
        match &condition.test {
            Test::Number(ranges) if condition.not => Self::Numbers(Cow::Owned(ranges.complement())),
            Test::Number(ranges) => Self::Numbers(Cow::Borrowed(ranges)),
            Test::Filled => Self::Filled(!condition.not),
            Test::Text(_) if condition.not => Self::Try,
            Test::Text(test) => match &test.kind {
                TextKind::OneOf(values) => Self::Whole(folded(values)),
                TextKind::StartsWith(parts) => Self::Starts(folded(parts)),
                TextKind::EndsWith(parts) => Self::Ends(folded(parts)),
                TextKind::Contains(parts) => Self::Within(folded(parts)),
                TextKind::Matches(expression) => {
                    expression.required().map_or(Self::Try, |texts| Self::Within(folded(texts)))
                }
            },
        }
    }
}

fn folded(texts: &[Box<str>]) -> Vec<Cow<'_, str>> {
    texts.iter().map(|text| fold(text)).collect()
}

/// How many triggers ask for each whole text of a field. What many ask for, many records have.
#[derive(Default)]
pub(super) struct Popularity(HashMap<(usize, Box<str>), usize>);

impl Popularity {
    pub(super) fn of<'a>(conditions: impl Iterator<Item = &'a Condition>) -> Self {
        let mut counts = Self::default();
        for condition in conditions {
            if let Access::Whole(keys) = Access::of(condition) {
                for key in keys {
                    *counts.0.entry((condition.slot, key.into())).or_default() += 1;
                }
            }
        }
        counts
    }

    fn greatest(&self, condition: &Condition) -> usize {
        let Access::Whole(keys) = Access::of(condition) else { return 0 };
        let count = |key: Cow<'_, str>| self.0.get(&(condition.slot, key.into())).copied();
        keys.into_iter().filter_map(count).max().unwrap_or_default()
    }
}

/// The less, the fewer records satisfy the condition, as far as can be told without any record.
pub(super) fn rank(condition: &Condition, popularity: &Popularity) -> (usize, usize) {
    (share(condition), popularity.greatest(condition))
}

/// A guess at the share of records that satisfy a condition, in thousandths: only the order of the guesses matters.
fn share(condition: &Condition) -> usize {
    match Access::of(condition) {
        Access::Whole(keys) if keys.iter().any(|key| key.is_empty()) => 600,
        Access::Whole(keys) => (1 + keys.len()).min(100),
        Access::Starts(parts) | Access::Ends(parts) => of_part(shortest(&parts)),
        Access::Within(parts) => of_part(shortest(&parts)) + 10 + parts.len(),
        Access::Numbers(ranges) => of_numbers(condition.field.source.kind(), &ranges),
        Access::Filled(_) => 500,
        Access::Try => 990,
    }
}

fn shortest(parts: &[Cow<'_, str>]) -> usize {
    parts.iter().map(|part| part.chars().count()).min().unwrap_or_default()
}

fn of_part(chars: usize) -> usize {
    match chars {
        0..=1 => 400,
        2 => 200,
        3 => 120,
        _ => 60,
    }
}

fn of_numbers(kind: Kind, ranges: &Ranges) -> usize {
    let is_points = ranges.is_points();
    match kind {
        Kind::Number if is_points => (20 + ranges.len()).min(200),
        Kind::Number | Kind::TimeOfDay => 300,
        Kind::Code(_) | Kind::Weekday if is_points => (150 * ranges.len()).min(900),
        Kind::Flag => 450,
        _ => 700,
    }
}
