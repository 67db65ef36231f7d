//! `[store]`, as far as it is about PostgreSQL: where it is, who we are to it, how much of it is used.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::document::Given;
use super::mistake::Wrong;
use super::reader::Reader;
use super::sections::Secret;
use super::setting::{Setting, quoted, text};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// How the store in PostgreSQL is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    /// The database; none = the store is in files of the data folder.
    pub url: Option<StoreUrl>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// The password itself; only from the environment. It wins over the file.
    pub password: Option<StorePassword>,
    /// Connections of this process, at most.
    pub connections: u32,
    /// For how long a statement waits for a connection.
    pub wait: Duration,
    /// For how long a statement may take.
    pub timeout: Duration,
    /// What stands between.
    pub pooler: Pooler,
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            url: None,
            password_file: None,
            password: None,
            connections: 10,
            wait: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            pooler: Pooler::None,
        }
    }
}

/// A URL of PostgreSQL; from the environment it may hold the password, so it is never printed whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreUrl(pub Secret);

/// The password of the database, never printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorePassword(pub Secret);

/// What stands between us and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing, or what leaves a connection to who has it.
    None,
    /// What gives each transaction another connection.
    Transaction,
}

pub(crate) fn resolve(reader: &mut Reader, postgres: &mut Postgres) {
    reader.set("store.url", &mut postgres.url);
    reader.set("store.password_file", &mut postgres.password_file);
    reader.set("store.password", &mut postgres.password);
    // Dispatch, pages and changes of configuration each wait for one at times.
    reader.set_within("store.connections", &mut postgres.connections, 2..=1_000);
    reader.set_within("store.wait", &mut postgres.wait, SECOND..=HOUR);
    reader.set_within("store.timeout", &mut postgres.timeout, SECOND..=HOUR);
    reader.set("store.pooler", &mut postgres.pooler);
}

impl Setting for StoreUrl {
    fn read(given: &Given) -> Result<Self, Wrong> {
        let instead = "write \"postgres://user@host:5432/database\"";
        let url = text(given, instead)?;
        // What is wrong with it is not shown: it may hold a password.
        if ringpost_store::shown_url(url).is_none() {
            return Err(Wrong::new("no URL of PostgreSQL", instead));
        }
        let has_password = url.parse::<Url>().is_ok_and(|url| url.password().is_some());
        if has_password && !matches!(given, Given::Bare(_)) {
            let instead = "put it into a file named by store.password_file, or into RINGPOST_STORE__PASSWORD";
            return Err(Wrong::new("a password does not belong in this file", instead));
        }
        Ok(Self(Secret(url.to_owned())))
    }

    fn show(&self) -> String {
        quoted(&format!("postgres://… ({})", ringpost_store::shown_url(&self.0.0).unwrap_or_default()))
    }
}

impl Setting for StorePassword {
    fn read(given: &Given) -> Result<Self, Wrong> {
        let Given::Bare(text) = given else {
            let instead = "put it into a file named by store.password_file, or into RINGPOST_STORE__PASSWORD";
            return Err(Wrong::new("a secret does not belong in this file", instead));
        };
        if text.is_empty() {
            return Err(Wrong::new("an empty password", "leave the variable out"));
        }
        Ok(Self(Secret(text.clone())))
    }

    fn show(&self) -> String {
        quoted("…")
    }
}

impl Setting for Pooler {
    fn read(given: &Given) -> Result<Self, Wrong> {
        match text(given, "write \"none\" or \"transaction\"")? {
            "none" => Ok(Self::None),
            "transaction" => Ok(Self::Transaction),
            other => Err(Wrong::new(
                format!("{other:?} is no kind of pooler"),
                "write \"none\" or \"transaction\"",
            )),
        }
    }

    fn show(&self) -> String {
        quoted(match self {
            Self::None => "none",
            Self::Transaction => "transaction",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Source, parse};
    use super::*;

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let source =
            Source { file: Some(("ringpost.toml", text)), variables: &variables, ..Source::default() };
        parse(source).map(|loaded| loaded.config).map_err(|error| error.to_string())
    }

    #[test]
    fn a_password_of_the_database_is_in_no_file_and_on_no_page() {
        let text = "[store]\nurl = \"postgres://ringpost:hunter2@db/calls\"\npassword = \"hunter2\"\npooler = \"pgpool\"\n";
        let mistakes = read(text, &[]).unwrap_err();
        insta::assert_snapshot!(mistakes, @r#"
        ringpost.toml:2:7: store.url: a password does not belong in this file; put it into a file named by store.password_file, or into RINGPOST_STORE__PASSWORD
        ringpost.toml:3:12: store.password: a secret does not belong in this file; put it into a file named by store.password_file, or into RINGPOST_STORE__PASSWORD
        ringpost.toml:4:10: store.pooler: "pgpool" is no kind of pooler; write "none" or "transaction"
        "#);
        let url = [("RINGPOST_STORE__URL", "postgres://ringpost:hunter2@db/calls")];
        let config = read("", &url).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        let url = config.store.postgres.url.unwrap();
        assert_eq!(url.show(), "\"postgres://… (calls at db:5432)\"");
    }

    #[test]
    fn what_is_no_url_of_postgresql_is_told_without_being_shown() {
        let mistakes = read("[store]\nurl = \"mysql://ringpost:hunter2@db/calls\"\n", &[]).unwrap_err();
        assert_eq!(
            mistakes.trim(),
            "ringpost.toml:2:7: store.url: no URL of PostgreSQL; write \"postgres://user@host:5432/database\""
        );
    }
}
