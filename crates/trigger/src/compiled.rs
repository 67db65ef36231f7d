//! A trigger's filters, compiled: all of them must hold.

use ringpost_model::{Cdr, Filter};
use ringpost_numbers::Region;

use crate::compile::compile;
use crate::condition::Condition;
use crate::error::{FilterError, Pointer};
use crate::explain::{Explained, explain};
use crate::field::Field;
use crate::limits::{ERRORS, FILTERS};
use crate::view::View;

/// The filters of one trigger. Without filters it holds for every record.
#[derive(Debug, Clone)]
pub struct Compiled {
    conditions: Vec<Condition>,
    /// Each field once; a condition's slot is its place here.
    fields: Vec<Field>,
}

impl Compiled {
    /// Compiles filters; numbers in them and in records are read in `region`.
    ///
    /// # Errors
    /// All mistakes at once, one for each, in the order of the document; at most [`ERRORS`].
    pub fn new(filters: &[Filter], region: Option<Region>) -> Result<Self, Vec<FilterError>> {
        let pointer = Pointer::root().at("filters");
        if filters.len() > FILTERS {
            return Err(vec![
                pointer.error(format!("{} filters: at most {FILTERS} of a trigger", filters.len())),
            ]);
        }
        let mut errors = Vec::new();
        let compiled = filters.iter().enumerate();
        let compiled =
            compiled.filter_map(|(index, filter)| compile(filter, region, &pointer.at(index), &mut errors));
        let mut conditions: Vec<Condition> = compiled.collect();
        if !errors.is_empty() {
            errors.truncate(ERRORS);
            return Err(errors);
        }
        let mut fields = Vec::new();
        for condition in &mut conditions {
            condition.slot = place(&mut fields, &condition.field);
        }
        Ok(Self { conditions, fields })
    }

    /// Whether all filters hold for the record.
    pub fn holds(&self, cdr: &Cdr) -> bool {
        let view = View::new(cdr, &self.fields);
        self.conditions.iter().all(|condition| condition.holds(&view))
    }

    /// Of each filter, in order: whether it held, and on what value.
    pub fn explain(&self, cdr: &Cdr) -> Vec<Explained> {
        let view = View::new(cdr, &self.fields);
        self.conditions.iter().map(|condition| explain(condition, &view)).collect()
    }

    /// The conditions, with their places in a view of this trigger alone.
    pub(crate) fn into_conditions(self) -> Vec<Condition> {
        self.conditions
    }
}

fn place(fields: &mut Vec<Field>, field: &Field) -> usize {
    fields.iter().position(|known| known == field).unwrap_or_else(|| {
        fields.push(field.clone());
        fields.len() - 1
    })
}

#[cfg(test)]
mod tests;
