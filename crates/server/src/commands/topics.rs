//! `ringpost topics`: the topics of a log on Kafka, made or told to whoever may make them, and moved to others with another
//! number of partitions.

mod repartition;
mod report;
mod routes;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use ringpost_bus::TopicMade;

use crate::cli::{Failure, Io, Outcome};
use crate::config::{self, Backend, Flags};
use crate::log;

/// Arguments of `topics`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ringpost topics create --replicas 3 --config /etc/ringpost.toml
  ringpost topics create --replicas 3 --print --config /etc/ringpost.toml
  ringpost topics repartition --partitions 32 --to-prefix eu2. --dry-run --config /etc/ringpost.toml")]
pub struct Topics {
    /// Configuration file; without it defaults and environment. Environment: RINGPOST_CONFIG
    #[arg(long, short, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the topics that are missing; those that are there stay as they are
    #[command(after_help = "\
Uses [bus.kafka] of the configuration for the brokers, [bus] for how many partitions the topics get \
and how long records are kept. `serve` looks at them at every start, and says what is not as it \
has to be.

Examples:
  ringpost topics create --replicas 3 --config /etc/ringpost.toml
  ringpost topics create --replicas 3 --print | ssh kafka-admin sh")]
    Create(Create),
    /// Move everything to new topics with another number of partitions; nothing may run meanwhile
    Repartition(repartition::Repartition),
}

#[derive(Debug, Args)]
struct Create {
    /// Copies of each partition, on as many brokers; without it as the brokers do by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=15))]
    replicas: Option<u16>,
    /// Print the commands of Kafka's own tools instead, for whoever may make topics
    #[arg(long)]
    print: bool,
}

/// Makes topics, prints how, or moves them.
///
/// # Errors
/// Mistakes in the configuration, what the brokers refused, or what is in the way.
pub fn run(args: &Topics, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let file = args.config.clone().or_else(|| io.variable("RINGPOST_CONFIG").map(PathBuf::from));
    let config = config::load(file.as_deref(), &io.variables, &Flags::default())?.config;
    if config.bus.backend != Backend::Kafka {
        let wrong = "the log is in a file, and has no topics: bus.backend is \"embedded\" (docs/kafka.md)";
        return Err(Failure::Mistakes(wrong.to_owned()));
    }
    let create = match &args.command {
        Command::Create(create) => create,
        Command::Repartition(args) => return repartition::run(args, &config, io),
    };
    let kafka = log::kafka(&config)?;
    if create.print {
        write!(io.stdout, "{}", ringpost_bus::print_topics(&kafka, create.replicas))?;
        return Ok(Outcome::Fine);
    }
    let made = io.runtime()?.block_on(ringpost_bus::create_topics(&kafka, create.replicas));
    for (name, made) in made.context("make the topics")? {
        let what = match made {
            TopicMade::New => "made",
            TopicMade::Before => "is there already, and was not changed",
        };
        writeln!(io.stdout, "{name}: {what}")?;
    }
    Ok(Outcome::Fine)
}

#[cfg(test)]
mod tests {
    use crate::cli::testing::ringpost;

    #[test]
    fn an_administrator_gets_commands_with_every_setting() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ringpost.toml");
        let text = "[bus]\nbackend = \"kafka\"\npartitions = 4\n[bus.kafka]\nbootstrap = \"b1:9092\"\n";
        std::fs::write(&file, text).unwrap();
        let arguments =
            ["topics", "create", "--replicas", "3", "--print", "--config", file.to_str().unwrap()];
        let (code, told, _) = ringpost(&arguments, "");
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!((code, lines.len()), (0, 5), "{told}");
        assert!(
            lines[0].starts_with(
                "kafka-topics.sh --bootstrap-server b1:9092 --create --if-not-exists --topic ringpost.legs \
                 --partitions 4 --replication-factor 3 --config message.timestamp.type=LogAppendTime"
            ),
            "{told}"
        );
        assert!(lines[1].contains("ringpost.sessions") && lines[1].contains("cleanup.policy=compact"));
    }

    #[test]
    fn an_embedded_log_has_no_topics_to_be_made_or_moved() {
        let moved = ["topics", "repartition", "--partitions", "7", "--to-prefix", "b."];
        for arguments in [&["topics", "create"][..], &moved] {
            let (code, _, told) = ringpost(arguments, "");
            assert_eq!(code, 64, "{told}");
            assert!(told.contains("bus.backend is \"embedded\""), "{told}");
        }
    }
}
