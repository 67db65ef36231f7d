//! What a list of rows comes to when some of them cannot be read: the others are not kept back.

use std::ops::Deref;
use std::sync::Arc;

use crate::error::Error;

/// So many errors are told one by one; a page of them says no more.
const TOLD: usize = 16;

/// The rows that could be read, and what was wrong with the rest. In use it is the list of the former.
#[derive(Debug, Clone)]
pub struct Rows<T> {
    /// Those that could be read, in the order asked for.
    pub found: Vec<T>,
    /// The first of those that could not, at most 16.
    pub unreadable: Vec<Unreadable>,
    /// All that could not.
    pub skipped: u64,
}

/// A row that cannot be read.
#[derive(Debug, Clone)]
pub struct Unreadable {
    /// Which one, as far as it is known.
    pub row: String,
    /// What is wrong with it.
    pub error: Error,
}

impl<T> Rows<T> {
    pub(crate) const fn new() -> Self {
        Self { found: Vec::new(), unreadable: Vec::new(), skipped: 0 }
    }

    /// All rows, or what was wrong with the first that cannot be read: for who must not miss one.
    ///
    /// # Errors
    /// A row cannot be read.
    pub fn all(self) -> Result<Vec<T>, Error> {
        match self.unreadable.into_iter().next() {
            Some(unreadable) => Err(unreadable.error),
            None => Ok(self.found),
        }
    }

    /// Adds a row, or that it could not be read.
    pub(crate) fn push(&mut self, row: Result<T, Unreadable>) {
        match row {
            Ok(row) => self.found.push(row),
            Err(unreadable) => {
                self.skipped += 1;
                if self.unreadable.len() < TOLD {
                    self.unreadable.push(unreadable);
                }
            }
        }
    }
}

impl Unreadable {
    pub(crate) fn new(what: &'static str, row: String, error: sqlx::Error) -> Self {
        Self { error: Error::Damaged { what, row: row.clone(), source: Arc::new(error) }, row }
    }
}

impl<T> FromIterator<Result<T, Unreadable>> for Rows<T> {
    fn from_iter<I: IntoIterator<Item = Result<T, Unreadable>>>(rows: I) -> Self {
        let mut all = Self::new();
        for row in rows {
            all.push(row);
        }
        all
    }
}

impl<T> Deref for Rows<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.found
    }
}

impl<T> IntoIterator for Rows<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Rows<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.iter()
    }
}

/// So that a test compares the rows themselves.
impl<T: PartialEq, const N: usize> PartialEq<[T; N]> for Rows<T> {
    fn eq(&self, other: &[T; N]) -> bool {
        self.skipped == 0 && self.found == other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_bad_rows_are_counted_and_some_of_them_told() {
        let bad = |n| Unreadable { row: format!("row {n}"), error: Error::Busy { what: "read" } };
        let rows: Rows<u32> = (0..1_000).map(|n| if n % 2 == 0 { Ok(n) } else { Err(bad(n)) }).collect();
        assert_eq!((rows.len(), rows.skipped, rows.unreadable.len()), (500, 500, TOLD));
        assert_eq!(rows.unreadable[0].row, "row 1");
    }
}
