//! `ringpost topics repartition`: everything that is on its way, in new topics with another number of partitions.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ringpost_bus::{Doing, KafkaConfig, Keep, Move, MoveError, MoveStep, Survey, Tell, Topic, print_topics};
use serde_json::json;

use super::report::{self, Sides};
use super::routes::Routes;
use crate::cli::{Failure, Io, Outcome, harmless};
use crate::clock;
use crate::config::{Config, named_on_broker};
use crate::log::{self, GROUPS};
use crate::topics::{MOVED, SESSIONS, SOURCES};

/// How long a process that was stopped counts as a member where nothing else is set, in milliseconds: see docs/kafka.md.
const SESSION: u64 = 10_000;
/// Beyond that.
const GRACE: Duration = Duration::from_secs(2);

/// Arguments of `topics repartition`.
#[derive(Debug, Args)]
#[command(after_help = "\
A tenant's partition follows from its key and the number of partitions. So partitions are never added to a topic in use; \
what is on its way moves to new topics, with another bus.kafka.prefix:

  1. Stop every process of ringpost, and every program that writes to ringpost.legs.
  2. ringpost topics repartition --partitions 32 --to-prefix eu2. --dry-run     says what there is to be moved
  3. ringpost topics repartition --partitions 32 --to-prefix eu2.               moves it
  4. Set bus.partitions and bus.kafka.prefix as it says, and start.

What moves: legs, records and dead letters that were not read yet; the state of calls that are going on, and what is known \
of closed ones; how far files and topics of others were read. Legs stay as old as they were, so that calls \
close when they would have closed. All of it is read again and compared before the last step, a record in ringpost.moved \
under the new prefix. The old topics stay as they are.

It is refused while a group has members (a process that was stopped just now counts for some seconds, which are waited for), \
where a new topic is not empty, and where somebody writes to the old ones meanwhile. Broken off, it leaves topics \
on which nothing starts: --discard deletes them, and it can begin again.

The client needs, besides what it has on the old topics: CREATE, ALTER_CONFIGS, and for --discard DELETE on the new ones, \
DESCRIBE on its groups, and READ on the new groups.

Exit code 0 when all is moved, 1 when it is refused or fails, 64 for mistakes in the configuration.

Examples:
  ringpost topics repartition --partitions 32 --to-prefix eu2. --replicas 3 --config /etc/ringpost.toml
  ringpost topics repartition --to-prefix eu2. --discard --config /etc/ringpost.toml")]
pub(super) struct Repartition {
    /// How many partitions the new topics get
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1024),
        required_unless_present = "discard"
    )]
    partitions: Option<u32>,
    /// What the names of the new topics begin with: the next bus.kafka.prefix
    #[arg(long, value_name = "P")]
    to_prefix: String,
    /// Copies of each new partition, on as many brokers; without it as the brokers do by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=15))]
    replicas: Option<u16>,
    /// Say what there is to be moved, what is in the way, and which topics are made; change nothing
    #[arg(long)]
    dry_run: bool,
    /// Delete the new topics of a move that was broken off
    #[arg(long, conflicts_with_all = ["partitions", "dry_run", "replicas"])]
    discard: bool,
}

/// Moves, looks what would be moved, or removes what a broken move has left.
///
/// # Errors
/// What is in the way, or what the brokers refused.
pub(super) fn run(args: &Repartition, config: &Config, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let from = log::kafka(config)?;
    let prefix = &args.to_prefix;
    named_on_broker(prefix)
        .map_err(|wrong| Failure::Usage(format!("--to-prefix: {}; {}", wrong.wrong, wrong.instead)))?;
    if *prefix == from.prefix {
        let wrong =
            format!("--to-prefix: {prefix:?} is bus.kafka.prefix as it is; new topics need another one");
        return Err(Failure::Usage(wrong));
    }
    let to = target(&from, prefix, args.partitions);
    if args.discard {
        let deleted = io.runtime()?.block_on(ringpost_bus::discard(&to, MOVED));
        for name in deleted.context("nothing was discarded")? {
            writeln!(io.stdout, "{name}: deleted")?;
        }
        return Ok(Outcome::Fine);
    }
    let what = spec(from, to, args.replicas);
    let runtime = io.runtime()?;
    let patience = if args.dry_run { Duration::ZERO } else { leaving(config) };
    let waiting = bar(io.stderr_is_terminal);
    waiting.set_message("looking at groups and topics");
    let survey = runtime.block_on(ringpost_bus::survey(&what, patience));
    waiting.finish_and_clear();
    let survey = survey.map_err(told)?;
    let wanted = args.partitions.unwrap_or_default();
    let sides = Sides {
        from: &what.from.prefix,
        to: &what.to.prefix,
        partitions: (survey.partitions, wanted),
        bootstrap: &what.from.bootstrap,
    };
    if args.dry_run {
        return dry_run(&what, sides, &survey, io);
    }
    if !survey.refusals.is_empty() {
        return Err(told(MoveError::Refused(survey.refusals)));
    }
    let routes = Box::new(Routes::new(survey.partitions, wanted));
    let bar = bar(io.stderr_is_terminal);
    let done = runtime.block_on(ringpost_bus::carry_out(&what, survey, routes, tell(bar.clone())));
    bar.finish_and_clear();
    let moved = done.map_err(|error| broken_off(error, prefix))?;
    let names: Vec<String> = what.from.topics.iter().map(|topic| topic.name.clone()).collect();
    write!(io.stdout, "{}{}", report::moved(sides, &moved), report::next(sides, &names))?;
    Ok(Outcome::Fine)
}

fn target(from: &KafkaConfig, prefix: &str, partitions: Option<u32>) -> KafkaConfig {
    let mut to = from.clone();
    prefix.clone_into(&mut to.prefix);
    for topic in &mut to.topics {
        topic.partitions = partitions.unwrap_or(topic.partitions);
    }
    to
}

fn spec(from: KafkaConfig, to: KafkaConfig, replicas: Option<u16>) -> Move {
    let note = json!({
        "from": from.prefix,
        "to": to.prefix,
        "partitions": to.topics.first().map(|topic| topic.partitions),
        "at": clock::now().to_string(),
    });
    Move {
        from,
        to,
        replicas,
        unread: GROUPS.iter().map(|(group, topic)| ((*group).to_owned(), (*topic).to_owned())).collect(),
        states: vec![SESSIONS.to_owned(), SOURCES.to_owned()],
        of_others: "ingest-".to_owned(),
        marker: MOVED.to_owned(),
        note: note.to_string().into(),
    }
}

/// How long members are waited for: one that was stopped is missed only after its session.
fn leaving(config: &Config) -> Duration {
    let set = config.bus.kafka.properties.get("session.timeout.ms").and_then(|text| text.parse().ok());
    Duration::from_millis(set.unwrap_or(SESSION)) + GRACE
}

fn dry_run(what: &Move, sides: Sides<'_>, survey: &Survey, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    write!(io.stdout, "{}", report::found(sides, &survey.unread, &survey.states, &survey.others))?;
    let mut marker = what.to.clone();
    marker.topics = vec![Topic { name: what.marker.clone(), partitions: 1, keep: Keep::Latest }];
    writeln!(io.stdout, "\nTopics that are made; whoever else may make them does it so:\n")?;
    for config in [&what.to, &marker] {
        write!(io.stdout, "{}", print_topics(config, what.replicas))?;
    }
    if survey.refusals.is_empty() {
        writeln!(io.stdout, "\nNothing is in the way; nothing was changed.")?;
        return Ok(Outcome::Fine);
    }
    writeln!(io.stdout, "\nIn the way; nothing was changed:")?;
    for refusal in &survey.refusals {
        writeln!(io.stdout, "  {}", harmless(refusal))?;
    }
    Ok(Outcome::No)
}

/// Before anything was written.
fn told(error: MoveError) -> Failure {
    match error {
        MoveError::Refused(why) => {
            let why: Vec<_> = why.iter().map(|refusal| harmless(refusal)).collect();
            Failure::Other(anyhow!("nothing was moved:\n  {}", why.join("\n  ")))
        }
        other => Failure::Other(anyhow::Error::from(other).context("nothing was moved")),
    }
}

/// Half-way.
fn broken_off(error: MoveError, prefix: &str) -> Failure {
    let error = match error {
        // Nothing of it is ours to be discarded.
        MoveError::Taken { .. } => return told(error),
        MoveError::Refused(why) => anyhow!(harmless(&why.join("; "))),
        other => other.into(),
    };
    let next = format!(
        "the move is not whole, and nothing starts on what it has written. The old topics are as they were. When the reason is \
         gone: `ringpost topics repartition --to-prefix {prefix:?} --discard`, and begin again. The reason"
    );
    Failure::Other(error.context(next))
}

fn bar(is_visible: bool) -> ProgressBar {
    if !is_visible {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg:40} {bar:30} {human_pos} of {human_len} {elapsed}");
    let bar = ProgressBar::new(0).with_style(style.expect("the template is the one above"));
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn tell(bar: ProgressBar) -> Tell {
    Arc::new(move |step: MoveStep<'_>| {
        let doing = match step.doing {
            Doing::Looking => "reading keys of",
            Doing::Copying => "copying",
            Doing::Checking => "checking",
        };
        bar.set_message(format!("{doing} {}", step.topic));
        bar.set_length(step.of);
        bar.set_position(step.done);
    })
}

#[cfg(test)]
mod tests {
    use crate::cli::testing::ringpost;

    fn told(arguments: &[&str]) -> (u8, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ringpost.toml");
        let text = "[bus]\nbackend = \"kafka\"\n[bus.kafka]\nbootstrap = \"b1:9092\"\nprefix = \"eu.\"\n";
        std::fs::write(&file, text).unwrap();
        let begin = ["topics", "repartition", "--config", file.to_str().unwrap()];
        let (code, _, told) = ringpost(&[&begin, arguments].concat(), "");
        (code, told)
    }

    #[test]
    fn a_number_or_a_prefix_that_cannot_be_is_refused_before_any_broker_is_asked() {
        for partitions in ["0", "1025", "-1", "many"] {
            let (code, told) = told(&["--partitions", partitions, "--to-prefix", "eu2."]);
            assert_eq!(code, 2, "{told}");
        }
        let (code, same) = told(&["--partitions", "7", "--to-prefix", "eu."]);
        assert!(code == 2 && same.contains("new topics need another one"), "{same}");
        let (code, wrong) = told(&["--partitions", "7", "--to-prefix", "a b"]);
        assert!(code == 2 && wrong.contains("as in a topic's name"), "{wrong}");
        let (code, both) = told(&["--partitions", "7", "--to-prefix", "eu2.", "--discard"]);
        assert!(code == 2 && both.contains("cannot be used with"), "{both}");
        assert_eq!(told(&["--to-prefix", "eu2."]).0, 2);
    }
}
