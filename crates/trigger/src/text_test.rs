//! What a filter asks of one text: the same for names, numbers and the elements of lists.

use std::borrow::Cow;

use crate::expression::Expression;
use crate::fold::fold;

/// A text of the record in the forms that tests look at.
#[derive(Debug, Clone)]
pub(crate) struct Element<'a> {
    /// As it stands in the record; a valid number in E.164.
    pub(crate) exact: Cow<'a, str>,
    /// The same, folded.
    pub(crate) folded: Cow<'a, str>,
    /// A dialled text that is no valid number, without its separators; none where that is the same as `exact`.
    pub(crate) dialled: Option<Box<str>>,
}

impl<'a> Element<'a> {
    /// Of a text that is no number.
    pub(crate) fn new(exact: Cow<'a, str>) -> Self {
        let folded = match &exact {
            Cow::Borrowed(text) => fold(text),
            Cow::Owned(text) => Cow::Owned(fold(text).into_owned()),
        };
        Self { exact, folded, dialled: None }
    }

    /// The text in which parts are searched.
    pub(crate) fn searched(&self, folded: bool) -> &str {
        match &self.dialled {
            Some(dialled) => dialled,
            None if folded => &self.folded,
            None => &self.exact,
        }
    }

    fn whole(&self, folded: bool) -> &str {
        if folded { &self.folded } else { &self.exact }
    }
}

/// A condition on one text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TextTest {
    /// Compared without regard to case; then the values below are folded too.
    pub(crate) folded: bool,
    pub(crate) kind: TextKind,
}

/// The values are in the form in which they are compared; parts may have two forms, of which either will do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum TextKind {
    /// One of these, in byte order.
    OneOf(Box<[Box<str>]>),
    StartsWith(Box<[Box<str>]>),
    EndsWith(Box<[Box<str>]>),
    Contains(Box<[Box<str>]>),
    /// Knows itself whether case matters.
    Matches(Box<Expression>),
}

impl TextTest {
    /// Whether the text satisfies it.
    pub(crate) fn holds(&self, element: &Element<'_>) -> bool {
        match &self.kind {
            TextKind::OneOf(values) => is_one_of(element.whole(self.folded), values),
            TextKind::StartsWith(parts) => any(parts, |part| element.searched(self.folded).starts_with(part)),
            TextKind::EndsWith(parts) => any(parts, |part| element.searched(self.folded).ends_with(part)),
            TextKind::Contains(parts) => any(parts, |part| element.searched(self.folded).contains(part)),
            TextKind::Matches(expression) => expression.is_match(&element.exact),
        }
    }
}

fn is_one_of(text: &str, values: &[Box<str>]) -> bool {
    match values {
        [value] => **value == *text,
        _ => values.binary_search_by(|value| (**value).cmp(text)).is_ok(),
    }
}

fn any(parts: &[Box<str>], holds: impl Fn(&str) -> bool) -> bool {
    parts.iter().any(|part| holds(part))
}
