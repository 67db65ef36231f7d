//! One compiled filter: a test on one field, or its complement.

use crate::field::Field;
use crate::range::Ranges;
use crate::text_test::TextTest;
use crate::view::{Value, View};

/// One compiled filter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Condition {
    pub(crate) field: Field,
    /// Place of the field's value in a [`View`] made for this condition's trigger or set.
    pub(crate) slot: usize,
    pub(crate) test: Test,
    pub(crate) not: bool,
}

/// What is asked of the field's value. A list satisfies a test on texts if any of its elements does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Test {
    Number(Ranges),
    Text(TextTest),
    /// Has a text that is not empty.
    Filled,
}

impl Condition {
    /// Whether it holds. Matching, the plain loop and the explanation all come through here.
    pub(crate) fn holds(&self, view: &View<'_>) -> bool {
        self.test.holds(view.value(self.slot)) != self.not
    }
}

impl Test {
    fn holds(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Filled, Value::Texts(elements)) => {
                elements.iter().any(|element| !element.exact.is_empty())
            }
            (Self::Number(ranges), Value::Number(number)) => ranges.contains(*number),
            (Self::Text(test), Value::Texts(elements)) => elements.iter().any(|element| test.holds(element)),
            // The compiler gives a field only tests of its kind.
            (Self::Number(_), Value::Texts(_)) | (Self::Text(_) | Self::Filled, Value::Number(_)) => false,
        }
    }
}
