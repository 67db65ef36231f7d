//! `topics repartition`: calls that are half-way move to another number of partitions, and nothing of them is lost, told
//! twice, or closed before its time.

use std::collections::HashMap;
use std::sync::Arc;

use ringpost_bus::{KafkaConfig, Log, Marker, marker};
use serde_json::json;

use crate::harness::{
    COMPANY, Done, Kept, Receiver, Reply, Starting, Traffic, command, eventually, judge, run, session_of,
    settle_down,
};

use super::{Brokered, LEGS};

const WIDER: u32 = 7;
const MOVED: &str = "ringpost.moved";

impl Brokered {
    /// With members of groups that are missed soon.
    fn hasty(name: &str) -> Option<Self> {
        let brokered = Self::new(name)?;
        let settings = "\n[bus.kafka.properties]\n\"session.timeout.ms\" = \"3000\"\n\"heartbeat.interval.ms\" = \"300\"\n";
        brokered.home.write("ringpost.toml", &(brokered.settings() + settings));
        Some(brokered)
    }

    fn settings(&self) -> String {
        std::fs::read_to_string(self.home.path("ringpost.toml")).expect("it was written")
    }

    fn wider(&self) -> String {
        format!("{}wider.", self.prefix)
    }

    /// Arguments of the command that moves to [`Self::wider`].
    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let file = self.home.path("ringpost.toml");
        let wider = self.wider();
        let all = [
            "topics",
            "repartition",
            "--config",
            file.to_str().expect("a plain name"),
            "--to-prefix",
            &wider,
        ];
        all.iter().chain(more).map(|text| (*text).to_owned()).collect()
    }

    fn repartition(&self, more: &[&str]) -> Done {
        let arguments = self.arguments(more);
        run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn move_wider(&self) -> Done {
        self.repartition(&["--partitions", &WIDER.to_string()])
    }

    /// The same installation, with its log at the new prefix.
    fn moved(mut self) -> Self {
        let fresh = self.wider();
        let old = format!("prefix = \"{}\"", self.prefix);
        let settings = self.settings().replace(&old, &format!("prefix = \"{fresh}\""));
        let settings = settings.replace("partitions = 4", &format!("partitions = {WIDER}"));
        self.home.write("ringpost.toml", &settings);
        self.prefix = fresh;
        self
    }
}

/// The numbers of a line of the final table: old, new.
fn line(done: &Done, what: &str) -> (u64, u64) {
    let line = done.stdout.lines().find(|line| line.starts_with(what));
    let line = line.unwrap_or_else(|| panic!("no line {what:?} in {}{}", done.stdout, done.stderr));
    let mut numbers = line.split_whitespace().rev().map(|text| text.parse().expect("a number"));
    let (new, old) = (numbers.next(), numbers.next());
    (old.expect("old"), new.expect("new"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_kafka_calls_that_are_half_way_move_to_more_partitions_and_each_becomes_its_record_once() {
    let Some(brokered) = Brokered::hasty("move") else { return };
    // Senders stand still while it moves: no call is over because of that.
    let settings = brokered.settings().replace("gap = \"1s\"", "gap = \"90s\"");
    brokered.home.write("ringpost.toml", &settings.replace("max_idle = \"3s\"", "max_idle = \"90s\""));
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let traffic = Traffic::new(60, 11);
    let resources = traffic.resources(&receiver);
    let pbx = resources.split("[[pbx]]\nkey = \"").nth(1).and_then(|text| text.split('"').next());
    let pbx = pbx.expect("a switch").to_owned();
    brokered.home.apply(&resources);
    let mut sending = traffic.send();
    let part = sending.requests / 5;
    // Some calls are over and told; of others there are records that nobody has read, or legs that nobody has.
    let serve = brokered.home.serve().await;
    sending.to(Some(serve.intake));
    sending.accepted(part).await;
    // At once: what is sent while the test looks on would leave nothing for later.
    sending.to(None);
    receiver.count(1).await;
    serve.stops_well().await;
    let told = brokered.records().await;
    let serve = brokered.home.serve_as("ingest,aggregate").await;
    sending.to(Some(serve.intake));
    sending.accepted(2 * part).await;
    sending.to(None);
    let written = eventually("records that nobody reads", async || {
        let records = brokered.records().await;
        (records.len() > told.len()).then_some(records)
    })
    .await;
    serve.kill();
    let serve = brokered.home.serve_as("ingest").await;
    sending.to(Some(serve.intake));
    sending.accepted(3 * part).await;
    sending.to(None);
    let answer = serve.post(&pbx, "no leg").await;
    assert_eq!(answer.told(), (0, 1), "{answer:?}");
    serve.stops_well().await;

    let before = (brokered.records().await, brokered.letters().await);
    assert!(before.0.len() >= written.len());
    let done = brokered.move_wider();
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    for what in ["legs", "records, unread", "dead letters", "sessions"] {
        let (old, new) = line(&done, what);
        assert!(old == new && old > 0, "{what}: {}", done.stdout);
    }
    let next = format!("prefix = \"{}\"", brokered.wider());
    assert!(done.stdout.contains(&next) && done.stdout.contains("partitions = 7"), "{}", done.stdout);
    let after = (brokered.records().await, brokered.letters().await);
    assert_eq!((&before.0, &before.1), (&after.0, &after.1), "what there was stays as it was");
    let unread = line(&done, "records, unread").0;

    let brokered = brokered.moved();
    let serve = brokered.home.serve().await;
    sending.to(Some(serve.intake));
    sending.done().await;
    settle_down(&serve, &traffic, &receiver).await;
    brokered.listed(1).await;
    serve.stops_well().await;
    judge(&traffic, &Kept::open(&brokered.home).await, &receiver.requests()).await;
    brokered.has_each_record_once().await;
    // A revision that is in the old topic is in the new one only if it was not read.
    let fresh = brokered.records().await;
    let both = before.0.keys().filter(|record| fresh.contains_key(*record)).count();
    assert_eq!(both as u64, unread, "no revision is given out twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_kafka_a_call_whose_last_leg_was_unread_at_the_move_closes_whole_however_long_that_took() {
    let Some(brokered) = Brokered::hasty("last") else { return };
    brokered.home.write("ringpost.toml", &brokered.settings().replace("gap = \"1s\"", "gap = \"3s\""));
    brokered.home.apply(COMPANY);
    let (aggregate, ingest) =
        (brokered.home.serve_as("aggregate").await, brokered.home.serve_as("ingest").await);
    let begin = 1_773_133_200_000_000_i64;
    let leg = |id: &str, with: &str, direction: &str| {
        json!({
            "v": 1, "kind": "leg", "tenant": "acme", "pbx": "k1", "leg": id, "direction": direction,
            "created": begin, "answered": begin + 5_000_000, "ended": begin + 60_000_000,
            "bridges": [{"with": with, "from": begin + 5_000_000, "to": begin + 60_000_000}],
        })
        .to_string()
    };
    assert_eq!(ingest.post("k1", leg("a", "b", "in")).await.told(), (1, 0));
    aggregate.until("the first leg is in a session", |value| value("session_live") == 1.0).await;
    // The other leg comes within the time that the session waits for it, and nobody reads it then.
    aggregate.kill();
    assert_eq!(ingest.post("k1", leg("b", "a", "out")).await.told(), (1, 0));
    ingest.stops_well().await;
    assert!(
        brokered.records().await.is_empty(),
        "the machine was too slow for this test: the call closed early"
    );
    let done = brokered.move_wider();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!((line(&done, "legs"), line(&done, "sessions")), ((1, 1), (1, 1)), "{}", done.stdout);
    let brokered = brokered.moved();
    let serve = brokered.home.serve().await;
    serve.until("a record", |value| value("session_records_total{revision=\"first\"}") == 1.0).await;
    serve.until("nothing is live", |value| value("session_live") == 0.0).await;
    serve.stops_well().await;
    let records = brokered.records().await;
    assert_eq!(records, HashMap::from([((session_of("a"), 1), 1)]), "one call, one record, never corrected");
    let [envelope] = &Kept::open(&brokered.home).await.envelopes().await[..] else { panic!("one call") };
    assert_eq!(envelope.legs.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_kafka_a_move_that_is_killed_is_used_by_nobody_and_is_discarded_and_done_again() {
    let Some(brokered) = Brokered::hasty("broken") else { return };
    brokered.home.apply(COMPANY);
    let log = brokered.log().await;
    let call = |at: u32| crate::harness::lost_call(&format!("call-{at}")).to_string();
    let records = (0..5_000).map(|at| ringpost_bus::Record {
        key: "acme".into(),
        value: call(at).into(),
        timestamp: 0,
    });
    log.append(LEGS, records.collect()).await.expect("a broker takes them");
    let mut to = KafkaConfig::new(&brokered.bootstrap, "another", Vec::new(), Arc::new(|| 0));
    to.prefix = brokered.wider();

    let arguments = brokered.arguments(&["--partitions", "7"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let moving = Starting::spawn(command(&arguments));
    while matches!(marker(&to, MOVED).await.expect("the broker answers"), Marker::None | Marker::Made) {}
    moving.kill();
    let left = marker(&to, MOVED).await.expect("the broker answers");
    assert!(matches!(left, Marker::Begun(_)), "it was over before it was killed: {left:?}");

    let again = brokered.move_wider();
    assert_eq!(again.code, Some(1), "{}", again.stdout);
    assert!(
        again.stderr.contains("was broken off") && again.stderr.contains("--discard"),
        "{}",
        again.stderr
    );
    let old = brokered.settings();
    let brokered = brokered.moved();
    let refused = brokered.home.start().up_or_ended().await;
    let Err((code, told)) = refused else { panic!("it started on half of the topics") };
    assert!(
        code != Some(0) && told.contains("a move that is not whole") && told.contains("--discard"),
        "{told}"
    );
    let doctor = brokered.home.run(&["doctor"]);
    assert!(
        doctor.code == Some(1) && doctor.stdout.contains("a move that is not whole"),
        "{}",
        doctor.stdout
    );

    // Back to the old prefix, as it says.
    brokered.home.write("ringpost.toml", &old);
    let prefix = brokered.prefix.strip_suffix("wider.").expect("it is the new one").to_owned();
    let brokered = Brokered { prefix, ..brokered };
    let discarded = brokered.repartition(&["--discard"]);
    assert_eq!(discarded.code, Some(0), "{}", discarded.stderr);
    assert!(
        discarded.stdout.contains(&format!("{}{MOVED}: deleted", brokered.wider())),
        "{}",
        discarded.stdout
    );
    let done = brokered.move_wider();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(line(&done, "legs"), (5_000, 5_000), "{}", done.stdout);
    let discarded = brokered.repartition(&["--discard"]);
    assert!(
        discarded.code == Some(1) && discarded.stderr.contains("nothing is deleted"),
        "{}",
        discarded.stderr
    );
    let brokered = brokered.moved();
    let serve = brokered.home.serve().await;
    serve.until("every record", |value| value("session_records_total{revision=\"first\"}") == 5_000.0).await;
    serve.stops_well().await;
    let records = brokered.records().await;
    assert!(records.len() == 5_000 && records.values().all(|times| *times == 1), "{}", records.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_kafka_nothing_moves_beside_a_process_that_runs_and_a_dry_run_says_so_and_changes_nothing() {
    let Some(brokered) = Brokered::hasty("members") else { return };
    brokered.home.apply(COMPANY);
    let serve = brokered.home.serve().await;
    let answer = serve.post("k1", "no leg").await;
    assert_eq!(answer.told(), (0, 1));
    let dry = eventually("members in every group", async || {
        let dry = brokered.repartition(&["--partitions", "7", "--dry-run"]);
        (dry.stdout.matches("is in the group").count() == 3).then_some(dry)
    })
    .await;
    assert_eq!(dry.code, Some(1), "{}", dry.stdout);
    for part in ["legs not read by aggregate", "--partitions 7", MOVED, "nothing was changed"] {
        assert!(dry.stdout.contains(part), "{part}: {}", dry.stdout);
    }
    let refused = brokered.move_wider();
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    for group in ["aggregate", "dispatch", "dead-letters"] {
        let told = format!("ringpost-one at 127.0.0.1 is in the group {}{group}: stop it", brokered.prefix);
        assert!(refused.stderr.contains(&told), "{}", refused.stderr);
    }
    let mut to = KafkaConfig::new(&brokered.bootstrap, "another", Vec::new(), Arc::new(|| 0));
    to.prefix = brokered.wider();
    assert_eq!(marker(&to, MOVED).await.expect("the broker answers"), Marker::None);
    serve.stops_well().await;

    // The positions of dead letters of old topics and new ones are told apart: no letter hides another one.
    let junk =
        |text: &str| ringpost_bus::Record { key: "acme".into(), value: text.to_owned().into(), timestamp: 0 };
    brokered.log().await.append(LEGS, vec![junk("first")]).await.expect("a broker takes it");
    let serve = brokered.home.serve().await;
    brokered.listed(2).await;
    serve.stops_well().await;
    let done = brokered.move_wider();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let brokered = brokered.moved();
    let serve = brokered.home.serve().await;
    brokered.log().await.append(LEGS, vec![junk("second")]).await.expect("a broker takes it");
    brokered.listed(3).await;
    serve.stops_well().await;
}
