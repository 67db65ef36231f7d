//! What is sent together, and where what is refused stands.

use ringpost_ingest::frames;
use ringpost_model::Dialect;

use super::batch::Batch;
use crate::cli::testing::{ringpost, ringpost_with};

#[test]
fn what_a_request_refuses_is_told_with_its_place_in_the_file() {
    let mut batch = Batch::new(Dialect::Native);
    let input = b"{\"a\":1}\n\nnonsense\n[{\"b\":2},{\"c\":3}]\n";
    let all: Vec<_> = frames(Dialect::Native, input).collect();
    // The first has gone with an earlier request.
    for frame in &all[1..] {
        assert_eq!(batch.add("x.log", frame), None);
    }
    assert_eq!(batch.body(), Some(&b"nonsense\n{\"b\":2}\n{\"c\":3}\n"[..]));
    assert_eq!(batch.in_file("element 1 (line 1, byte 0)"), "x.log line 3, byte 9");
    assert_eq!(batch.in_file("element 3 (line 3, byte 17)"), "x.log line 4, byte 27");
    assert_eq!(batch.in_file("leg a-1"), "x.log leg a-1");
}

#[test]
fn every_request_of_a_table_begins_with_its_columns() {
    let mut batch = Batch::new(Dialect::AsteriskCel);
    let head = "eventtime,eventtype,uniqueid,linkedid,channame";
    let row = |id: u32| format!("2026-07-01 09:00:00,CHAN_START,{id}.1,{id}.1,PJSIP/1001-1");
    let input = format!("{head}\n{}\n{}\n", row(1), row(2));
    let all: Vec<_> = frames(Dialect::AsteriskCel, input.as_bytes()).collect();
    batch.add("cel.csv", &all[0]);
    batch.add("cel.csv", &all[1]);
    assert_eq!(batch.body(), Some(format!("{head}\n{}\n", row(1)).as_bytes()));
    batch.clear();
    batch.add("cel.csv", &all[2]);
    assert_eq!(batch.body(), Some(format!("{head}\n{}\n", row(2)).as_bytes()));
    assert!(batch.in_file("element 2 (line 2, byte 47)").starts_with("cel.csv line 3, byte "));
    batch.begin_input();
    batch.add("other.csv", &all[2]);
    assert_eq!(batch.body(), Some(format!("{}\n", row(2)).as_bytes()), "another file has its own columns");
}

#[test]
fn without_a_token_or_a_server_it_says_what_to_do() {
    let (code, _, err) = ringpost(&["send", "--pbx", "k1"], "{}\n");
    assert_eq!(
        (code, err.as_str()),
        (1, "error: a server wants a token: --token TOKEN, or RINGPOST_TOKEN\n")
    );
    let arguments = ["send", "--pbx", "k1", "--to", "http://127.0.0.1:1", "-"];
    let (code, _, err) = ringpost_with(&arguments, "{}\n", &[("RINGPOST_TOKEN", "secret")]);
    assert_eq!(code, 1);
    assert!(err.starts_with("0 legs taken in, 0 elements refused\nerror: send - line 1, byte 0"), "{err}");
    assert!(!err.contains("secret"), "{err}");
}
