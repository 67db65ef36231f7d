//! The page, from a document.

use serde_json::json;

use super::*;
use ringpost_model::Timestamp;

const NOW: i64 = 1_773_133_200_000_000;

fn at(seconds: i64) -> i64 {
    NOW + seconds * 1_000_000
}

fn busy() -> String {
    let lane = |state: &str, owed: u64, url: &str| {
        json!({
            "lane": "0f0e0d0c-0000-5000-8000-000000000000", "url": url, "state": state, "owed": owed,
            "since": at(-4_000), "next": at(42), "reason": "timeout_connect: nobody\u{1b}[31m answered in 10 s",
        })
    };
    let troubled = [
        lane("open", 48_211, "https://crm.example.com/hooks/…"),
        lane("failing", 3, ""),
        lane("paused", 1, "https://hooks.example.net/a-very-long-first-path-segment/…"),
    ];
    json!({
        "v": 1, "version": "0.1.0", "at": at(0), "started": at(-90_000), "readiness": "ready", "waitingFor": [],
        "stages": [{"name": "aggregate", "lagRecords": 0, "lagSeconds": 0.0},
            {"name": "dispatch", "lagRecords": 1_234_567, "lagSeconds": 93.5}],
        "sources": [
            {"path": "/var/log/freeswitch/json_cdr/*.json", "pbx": "fs1", "state": "trouble", "files": 1_204,
                "behindBytes": 12_300_000, "legs": 90_311, "rejected": 2,
                "reason": "/var/log/freeswitch/json_cdr: no permission; let the user of this process read it"},
            {"path": "/srv/legs.log", "pbx": "k1", "state": "current", "files": 1, "behindBytes": 0, "legs": 12,
                "rejected": 0}],
        "sessions": {"live": 311, "kept": 2_044},
        "lastMinute": {"seconds": 60, "legs": 12_040, "records": 3_001, "requests": 6_100, "delivered": 5_988},
        "lanes": {"busy": 12, "inFlight": 71, "waiting": 140, "troubled": troubled, "more": 7},
        "owed": {"deliveries": 48_215, "held": 2, "spent": 11, "oldestDue": at(-75),
            "most": [{"trigger": "t", "tenant": "acme", "name": "CRM \u{202e}of the north and the south",
                "url": "https://crm.example.com/hooks/…", "deliveries": 48_211, "rate": 10}]},
        "deadLetters": 3,
        "queues": [{"name": "journal", "depth": 60_000_000, "capacity": 67_108_864, "unit": "bytes"},
            {"name": "lanes", "depth": 211, "capacity": 65_536, "unit": "deliveries"}],
        "unknown": ["which lanes are in trouble: list the lanes: the disk is away"],
        "later": "what a newer server adds",
    })
    .to_string()
}

fn page(document: &str, coloured: bool) -> String {
    show::page(&read(document).unwrap(), Timestamp::from_micros(at(7)), coloured)
}

#[test]
fn trouble_is_seen_at_a_glance_in_80_columns() {
    let page = page(&busy(), false);
    assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    insta::assert_snapshot!(page);
}

#[test]
fn colours_are_for_terminals_and_what_others_said_brings_none() {
    let plain = page(&busy(), false);
    assert!(!plain.contains('\u{1b}') && !plain.contains('\u{202e}'));
    let coloured = page(&busy(), true);
    let mut bare = String::new();
    for (at, part) in coloured.split("\u{1b}[").enumerate() {
        bare.push_str(if at == 0 { part } else { part.split_once('m').expect("only colours").1 });
    }
    assert_eq!(bare, plain);
}

#[test]
fn another_format_is_told_and_not_guessed_at() {
    let error = read(&busy().replace("\"v\":1", "\"v\":2")).unwrap_err().to_string();
    assert_eq!(error, "the server's status has format 2, this program knows 1: use the same version");
    assert_eq!(read("hello").unwrap_err().to_string(), "that is not the admin port of a server");
}

#[test]
fn a_server_that_is_not_there_is_said_with_what_to_do() {
    let (code, out, err) = crate::cli::testing::ringpost(&["status", "--admin", "http://127.0.0.1:1"], "");
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("error: no server answers at http://127.0.0.1:1: is it running"), "{err}");
    let (code, _, err) = crate::cli::testing::ringpost(&["log-level", "debug", "--admin", "nowhere"], "");
    assert_eq!(code, 2);
    assert_eq!(err, "error: --admin nowhere: write http://127.0.0.1:8081\n");
}
