//! Searching for sessions: which ones, and by which index.

use ringpost_model::{CallDirection, TenantKey, Text, Timestamp};

use super::{COLUMNS, CallOutcome, SessionCursor};

use crate::sql::{Builder, Dialect};

/// Which sessions to list. Everything given must hold; absorbed ones are not listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionFilter {
    /// Of these tenants; empty = of all, for operators.
    pub tenants: Vec<TenantKey>,
    /// Started at or after.
    pub from: Option<Timestamp>,
    /// Started before.
    pub to: Option<Timestamp>,
    /// This number is the other party's, or the tenant's own.
    pub number: Option<Text>,
    /// A user's number or name contains this; case of ASCII letters does not count.
    pub user: Option<Text>,
    /// Which way it went.
    pub direction: Option<CallDirection>,
    /// How it ended.
    pub outcome: Option<CallOutcome>,
    /// Only after this one in the list: the last one of the page before.
    pub before: Option<SessionCursor>,
}

/// Beyond so many tenants one search over all of them is made, instead of one for each.
const ARMS: usize = 100;

/// One search that an index answers in the order of the list.
#[derive(Clone, Copy)]
struct Arm<'a> {
    tenant: Option<&'a TenantKey>,
    number: Option<&'static str>,
}

impl SessionFilter {
    /// Tenants and columns of numbers are searched apart, each with its own index and limit, and then put together:
    /// a busy number or a large tenant costs no more than the page that is read.
    pub(super) fn query(&self, dialect: Dialect, limit: usize) -> Builder {
        let tenants: Vec<Option<&TenantKey>> = match self.tenants.len() {
            1..=ARMS => self.tenants.iter().map(Some).collect(),
            _ => vec![None],
        };
        let numbers: &[Option<&'static str>] =
            if self.number.is_some() { &[Some("cli"), Some("ddi")] } else { &[None] };
        let mut query = Builder::new(dialect, "");
        for (at, tenant) in tenants.into_iter().enumerate() {
            for number in numbers.iter().copied() {
                if at > 0 || number == Some("ddi") {
                    query.push(" UNION ");
                }
                query.push("SELECT * FROM (");
                self.push_arm(&mut query, Arm { tenant, number }, limit);
                query.push(") AS arm");
            }
        }
        push_order(&mut query, limit);
        query
    }

    fn push_arm(&self, query: &mut Builder, arm: Arm<'_>, limit: usize) {
        query.push("SELECT ").push(COLUMNS).push(" FROM sessions WHERE replaced_by IS NULL");
        if let (Some(column), Some(number)) = (arm.number, &self.number) {
            query.push(" AND ").push(column).push(" = ").push_bind(number.to_string());
        }
        // A plus before a column keeps its index out, in SQLite: that of the number is the better one. PostgreSQL knows
        // by its statistics.
        let is_plus = arm.number.is_some() && query.dialect() == Dialect::Sqlite;
        let tenant_column = if is_plus { "+tenant" } else { "tenant" };
        if let Some(tenant) = arm.tenant {
            query.push(" AND ").push(tenant_column).push(" = ").push_bind(tenant.as_str());
        } else if !self.tenants.is_empty() {
            query.push(" AND ").push_in_texts(tenant_column, self.tenants.iter().map(TenantKey::as_str));
        }
        self.push_conditions(query);
        push_order(query, limit);
    }

    fn push_conditions(&self, query: &mut Builder) {
        if let Some(from) = self.from {
            query.push(" AND start >= ").push_bind(from.micros());
        }
        if let Some(to) = self.to {
            query.push(" AND start < ").push_bind(to.micros());
        }
        if let Some(user) = &self.user {
            // instr and not LIKE: nothing in the text has a meaning of its own.
            let place = if query.dialect() == Dialect::Sqlite { "instr" } else { "strpos" };
            query.push(" AND ").push(place).push("(lower(users), lower(");
            query.push_bind(user.to_string()).push(")) > 0");
        }
        if let Some(direction) = self.direction {
            query.push(" AND dir = ").push_bind(i64::from(direction.code()));
        }
        if let Some(outcome) = self.outcome {
            query.push(" AND outcome = ").push_bind(outcome as i64);
        }
        if let Some(before) = self.before {
            query.push(" AND (start, session) < (").push_bind(before.start.micros());
            query.push(", ").push_bind(before.id.0).push(")");
        }
    }
}

fn push_order(query: &mut Builder, limit: usize) {
    query.push(" ORDER BY start DESC, session DESC LIMIT ").push_bind(limit as i64);
}
