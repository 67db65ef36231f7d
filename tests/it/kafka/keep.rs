//! Looking after an installation with its log on Kafka: doctor, status, backup and restore.

use serde_json::Value;

use crate::harness::{COMPANY, eventually, lost_call};

use super::Brokered;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_kafka_doctor_looks_at_brokers_and_a_backup_has_the_store_and_where_groups_were() {
    let Some(brokered) = Brokered::new("keep") else { return };
    let home = &brokered.home;
    home.apply(COMPANY);
    let serve = home.serve().await;
    let answer = serve.post("k1", lost_call("kept").to_string()).await;
    assert_eq!(answer.told(), (1, 0), "{answer:?}");
    serve
        .until("nothing is behind", |value| {
            value("session_records_total{revision=\"first\"}") == 1.0
                && value("stage_lag_records{stage=\"aggregate\"}") == 0.0
                && value("stage_lag_records{stage=\"dispatch\"}") == 0.0
        })
        .await;
    let call = async || home.run(&["calls", "list"]).stdout;
    let listed =
        eventually("the call in the store", async || Some(call().await).filter(|text| !text.is_empty()))
            .await;
    eventually("every stage in the status", async || {
        let status: Value = serde_json::from_str(&serve.page("/status").await).ok()?;
        let stages: Vec<_> = status["stages"].as_array()?.iter().map(|stage| &stage["name"]).collect();
        (stages == ["aggregate", "dead-letters", "dispatch"]).then_some(())
    })
    .await;

    let legs = format!("{}ringpost.legs", brokered.prefix);
    let found = eventually("groups that have read all", async || {
        let doctor = home.run(&["doctor", "--json"]);
        let found: Vec<Value> = serde_json::from_str(&doctor.stdout).expect("a list");
        let is_read = |group: &str| {
            found.iter().any(|one| {
                one["what"] == group && one["text"].as_str().is_some_and(|text| text.contains("to its end"))
            })
        };
        (is_read("group aggregate") && is_read("group dispatch")).then_some(found)
    })
    .await;
    let state = |what: &str| {
        let one = found.iter().find(|one| one["what"] == what);
        one.map(|one| one["state"].as_str().unwrap_or_default().to_lowercase())
    };
    assert_eq!(state("brokers").as_deref(), Some("warning"), "one broker is told: {found:?}");
    assert_eq!(state(&format!("topic {legs}")).as_deref(), Some("ok"), "{found:?}");

    let (into, other) = (home.path("backup"), home.path("other"));
    let (into, other) = (into.to_str().expect("a plain name"), other.to_str().expect("a plain name"));
    let done = home.run(&["backup", into, "--with-key"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.contains("topics are backed up with Kafka's own means"), "{}", done.stdout);
    serve.stops_well().await;
    let config = home.path("ringpost.toml");
    let config = config.to_str().expect("a plain name");
    let refused = crate::harness::run(&["restore", into, "--data", other]);
    assert!(refused.code != Some(0) && refused.stderr.contains("log on Kafka"), "{refused:?}");
    let done = crate::harness::run(&["restore", into, "--config", config, "--data", other]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.contains("--group") && done.stdout.contains("--to-offset"), "{}", done.stdout);
    let restored = crate::harness::run(&["calls", "list", "--config", config, "--data", other]);
    assert_eq!(restored.stdout, listed);
    // A broker that is away is a finding, and keeps no store from being backed up.
    let text =
        std::fs::read_to_string(config).expect("it was written").replace(&brokered.bootstrap, "127.0.0.1:9");
    let away = home.write("away.toml", &text);
    let away = away.to_str().expect("a plain name");
    let done = crate::harness::run(&[
        "backup",
        &format!("{into}-2"),
        "--config",
        away,
        "--data",
        other,
        "--with-key",
    ]);
    assert!(done.code == Some(0) && done.stdout.contains("are not noted"), "{done:?}");
}
