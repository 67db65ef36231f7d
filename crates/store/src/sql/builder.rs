//! Statements whose text depends on what is asked.

use sqlx::{AssertSqlSafe, SqlSafeStr};
use uuid::Uuid;

use super::{Bind, Dialect, Query, Sql, Value};

/// A statement that grows. Texts are ours; whatever comes from outside is bound.
pub(crate) struct Builder {
    dialect: Dialect,
    text: String,
    values: Vec<Value>,
}

impl Builder {
    pub(crate) fn new(dialect: Dialect, text: &str) -> Self {
        Self { dialect, text: text.to_owned(), values: Vec::new() }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    pub(crate) fn push_bind(&mut self, value: impl Bind) -> &mut Self {
        self.values.push(value.value());
        let place = self.values.len();
        self.push(&format!("${place}"))
    }

    /// `column` is one of these. PostgreSQL gets a list, so that its statement is the same for any number of them.
    pub(crate) fn push_in(&mut self, column: &str, ids: impl Iterator<Item = Uuid>) -> &mut Self {
        match self.dialect {
            Dialect::Sqlite => self.push(column).push_list(ids),
            Dialect::Postgres => {
                let ids = Value::Ids(ids.map(Some).collect());
                self.push(column).push(" = ANY (").push_bind(ids).push(")")
            }
        }
    }

    /// The same with texts.
    pub(crate) fn push_in_texts<'t>(
        &mut self,
        column: &str,
        texts: impl Iterator<Item = &'t str>,
    ) -> &mut Self {
        match self.dialect {
            Dialect::Sqlite => self.push(column).push_list(texts),
            Dialect::Postgres => {
                let texts = Value::Texts(texts.map(|text| Some(text.to_owned())).collect());
                self.push(column).push(" = ANY (").push_bind(texts).push(")")
            }
        }
    }

    /// The same with numbers.
    pub(crate) fn push_in_numbers(&mut self, column: &str, numbers: &[i64]) -> &mut Self {
        match self.dialect {
            Dialect::Sqlite => self.push(column).push_list(numbers.iter().copied()),
            Dialect::Postgres => {
                let numbers = Value::Integers(numbers.iter().copied().map(Some).collect());
                self.push(column).push(" = ANY (").push_bind(numbers).push(")")
            }
        }
    }

    fn push_list(&mut self, values: impl Iterator<Item = impl Bind>) -> &mut Self {
        self.push(" IN (");
        for (at, value) in values.enumerate() {
            self.push(if at > 0 { ", " } else { "" }).push_bind(value);
        }
        self.push(")")
    }

    pub(crate) fn build(self) -> Query {
        Query { sql: Sql::Both(AssertSqlSafe(self.text).into_sql_str()), values: self.values }
    }
}
