//! `[serve]`: which roles a process has.

use super::document::Given;
use super::kafka::Backend;
use super::mistake::Wrong;
use super::reader::Reader;
use super::setting::{Setting, quoted, shown, text};

/// A part of the work that a process can do by itself (architecture.md, Roles).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Takes legs in: by HTTP, from files, from topics of others.
    Ingest,
    /// Legs to records.
    Aggregate,
    /// Records to receivers.
    Dispatch,
    /// What people and programs ask for.
    Api,
}

impl Role {
    /// Every role, in the order of the stream.
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Aggregate, Self::Dispatch, Self::Api];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Aggregate => "aggregate",
            Self::Dispatch => "dispatch",
            Self::Api => "api",
        }
    }
}

/// `[serve]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serve {
    /// In the order of [`Role::ALL`], each once.
    pub roles: Vec<Role>,
}

impl Default for Serve {
    fn default() -> Self {
        Self { roles: Role::ALL.to_vec() }
    }
}

impl Serve {
    /// Whether this process has a role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// After the log's backend is known.
pub(crate) fn resolve(reader: &mut Reader, backend: Backend, serve: &mut Serve) {
    reader.set_list("serve.roles", &mut serve.roles);
    serve.roles.sort_unstable();
    serve.roles.dedup();
    if reader.has_mistake("serve.roles") {
        return;
    }
    let all = "leave it out, or write [\"ingest\", \"aggregate\", \"dispatch\", \"api\"]";
    if serve.roles.is_empty() {
        reader.contradiction("serve.roles", "no role at all: this process would do nothing", all);
    } else if backend == Backend::Embedded && serve.roles.len() < Role::ALL.len() {
        let wrong =
            "with bus.backend = \"embedded\" the log is a file that one process has: it does everything";
        let instead =
            format!("{all}; to share the work among processes, put the log on Kafka (docs/roles.md)");
        reader.contradiction("serve.roles", wrong, instead);
    }
}

impl Setting for Role {
    fn read(given: &Given) -> Result<Self, Wrong> {
        let instead = "write \"ingest\", \"aggregate\", \"dispatch\" or \"api\"";
        let name = text(given, instead)?;
        let found = Self::ALL.into_iter().find(|role| role.name() == name);
        found.ok_or_else(|| Wrong::new(format!("{} is no role", shown(given)), instead))
    }

    fn show(&self) -> String {
        quoted(self.name())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Flags, Source, parse};

    fn roles(text: &str, flag: Option<&str>) -> Result<String, String> {
        let flags = Flags::default().with("serve.roles", "--roles", flag.map(str::to_owned));
        let source = Source { file: Some(("f", text)), flags: &flags, ..Source::default() };
        let loaded = parse(source).map_err(|error| error.to_string())?;
        Ok(loaded.config.serve.roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(","))
    }

    const KAFKA: &str = "bus.backend = \"kafka\"\nbus.kafka.bootstrap = \"b:9092\"\n";

    #[test]
    fn a_process_has_every_role_unless_told_otherwise_and_the_flag_wins_over_the_file() {
        assert_eq!(roles("", None).unwrap(), "ingest,aggregate,dispatch,api");
        let text = format!("{KAFKA}serve.roles = [\"dispatch\"]\n");
        assert_eq!(roles(&text, None).unwrap(), "dispatch");
        assert_eq!(roles(&text, Some("api, ingest,api")).unwrap(), "ingest,api");
        assert_eq!(
            roles("", Some("api,dispatch,aggregate,ingest")).unwrap(),
            "ingest,aggregate,dispatch,api"
        );
    }

    #[test]
    fn what_one_process_alone_can_do_is_not_split_and_the_reason_is_told() {
        insta::assert_snapshot!(roles("", Some("ingest,api")).unwrap_err(), @r#"flag --roles: serve.roles: with bus.backend = "embedded" the log is a file that one process has: it does everything; leave it out, or write ["ingest", "aggregate", "dispatch", "api"]; to share the work among processes, put the log on Kafka (docs/roles.md)"#);
        insta::assert_snapshot!(roles(KAFKA, Some("injest")).unwrap_err(), @r#"flag --roles: serve.roles[0]: "injest" is no role; write "ingest", "aggregate", "dispatch" or "api""#);
        insta::assert_snapshot!(roles(KAFKA, Some("")).unwrap_err(), @r#"flag --roles: serve.roles: no role at all: this process would do nothing; leave it out, or write ["ingest", "aggregate", "dispatch", "api"]"#);
    }
}
