//! What PostgreSQL says when something is wrong, and what to do about it.

use std::sync::Arc;

use sqlx::postgres::PgDatabaseError;

use crate::error::{Error, OpenError};

/// The connection is gone, or there never was one.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Away(String);

impl Away {
    pub(crate) fn is(error: &sqlx::Error) -> bool {
        matches!(error, sqlx::Error::AnyDriverError(source) if source.is::<Self>())
    }
}

/// Errors of the way there, told apart from those of files. Other errors stay what they are.
pub(super) fn away(error: sqlx::Error) -> sqlx::Error {
    let said = match &error {
        sqlx::Error::Io(source) if source.kind() == std::io::ErrorKind::TimedOut => {
            "no answer in time".to_owned()
        }
        sqlx::Error::Io(source) => source.to_string(),
        sqlx::Error::Tls(source) => format!("TLS: {source}"),
        sqlx::Error::Protocol(said) => format!("unexpected answer: {said}"),
        sqlx::Error::PoolTimedOut => "no connection came free, or could be made, in time".to_owned(),
        _ => return error,
    };
    sqlx::Error::AnyDriverError(Box::new(Away(said)))
}

/// From what the server says while the store runs.
pub(crate) fn running(what: &'static str, code: &str, error: sqlx::Error) -> Error {
    let source = Arc::new(error);
    match (code, code.get(..2)) {
        // Shut down, crashed, starting up; too many connections; a password that was changed; the class of connections.
        ("57P01" | "57P02" | "57P03" | "53300", _) | (_, Some("08" | "28")) => Error::Away { what, source },
        // Serialisation, deadlock, lock not to be had.
        // And a row for a day that another process has dropped meanwhile.
        ("40001" | "40P01" | "55P03" | "57014" | "23514", _) => Error::Busy { what },
        ("53100", _) => Error::Full { what },
        // A server that follows another one: so is the old one after a failover.
        ("25006", _) => Error::ReadOnly { what },
        (_, Some("53" | "58")) => Error::Disk { what, source },
        (_, Some("XX")) => Error::Corrupt { what, file: "the database".to_owned(), source },
        _ => Error::Database { what, source },
    }
}

/// The same while it is opened.
pub(super) fn opening(server: &str, error: sqlx::Error) -> OpenError {
    let advice = advice(&error);
    let source: Box<dyn std::error::Error + Send + Sync> = match error {
        // As the server says it, and once.
        sqlx::Error::Database(error) => error.message().to_owned().into(),
        sqlx::Error::AnyDriverError(error) => error,
        error => error.into(),
    };
    OpenError::Server { server: server.to_owned(), advice, source }
}

fn advice(error: &sqlx::Error) -> &'static str {
    if Away::is(error) {
        return "check that it runs and that host, port and TLS of store.url are right";
    }
    let Some(database) = error.as_database_error() else { return "check store.url" };
    let database = database.try_downcast_ref::<PgDatabaseError>();
    match database.map(PgDatabaseError::code) {
        Some("28P01" | "28000") => {
            "it does not take this user and password: check store.url, or RINGPOST_STORE__URL, and pg_hba.conf"
        }
        Some("3D000") => "there is no such database: make it (createdb), or correct store.url",
        Some("42501") => {
            "the user may not make tables there: let it own the database, or GRANT CREATE, USAGE ON SCHEMA public"
        }
        Some("53300") => "it has no connection left: lower store.connections, or raise max_connections",
        Some("57P03") => "it is starting up: try again",
        Some("25006") => "it follows another server and takes no writes: name the primary in store.url",
        Some("08P01") => "a pooler refuses the connection: see docs/postgresql.md, PgBouncer",
        _ => "it refuses what is asked",
    }
}
