//! The worked cases through the command itself, and what happens to input that is no record.

use std::path::PathBuf;

use ringpost_model::{Cdr, Cli};

use crate::cli::testing::ringpost;
use crate::resources::json_parse;

fn cases() -> Vec<(String, crate::resources::Node)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/cases");
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = std::fs::read_to_string(&path).unwrap();
            cases.push((path.display().to_string(), json_parse(&text).unwrap()));
        }
    }
    assert!(cases.len() >= 8, "the cases are found");
    cases
}

/// Elements of a list, one compact line each.
fn lines(case: &crate::resources::Node, key: &str) -> Vec<String> {
    let list = case.get(key).unwrap_or_else(|| panic!("the case has {key}"));
    list.elements().iter().map(|node| format!("{}\n", node.to_json())).collect()
}

/// Records without what enrichment adds: the cases were worked out by hand without tables.
fn bare(records: &str) -> String {
    let bare = records.lines().map(|line| {
        let mut cdr: Cdr = serde_json::from_str(line).unwrap();
        let Cli { number, name, .. } = std::mem::take(&mut cdr.cli);
        cdr.cli = Cli { number, name, ..Cli::default() };
        format!("{}\n", serde_json::to_string(&cdr).unwrap())
    });
    bare.collect()
}

fn flags(case: &crate::resources::Node) -> Vec<&'static str> {
    let stream = case.get("stream").is_some_and(|node| node.to_json() == "true");
    if stream { vec!["aggregate", "--stream"] } else { vec!["aggregate"] }
}

#[test]
fn every_worked_case_prints_exactly_its_records() {
    for (name, case) in cases() {
        let (code, out, err) = ringpost(&flags(&case), &lines(&case, "legs").concat());
        assert_eq!(code, 0, "{name}: {err}");
        assert_eq!(bare(&out), lines(&case, "expect").concat(), "{name}");
    }
}

#[test]
fn a_record_says_where_its_caller_is_from() {
    let leg = r#"{"v":1,"kind":"leg","tenant":"acme","pbx":"k1","leg":"a","direction":"in","side":"external","number":"+441614960000","created":1773133200000000,"ended":1773133260000000}"#;
    let (_, out, _) = ringpost(&["aggregate"], leg);
    assert!(
        out.contains(r#""cliNum":"+441614960000","cliLoc":"Manchester","cliArea":"161","cliCtry":"GB""#),
        "{out}"
    );
}

/// Offline, neither order nor repetition of the input changes a byte of the output.
#[test]
fn order_and_repeats_of_an_offline_input_change_nothing() {
    for (name, case) in cases() {
        if flags(&case).len() > 1 {
            continue;
        }
        let mut legs = lines(&case, "legs");
        legs.reverse();
        let twice = legs.concat().repeat(2);
        let (_, out, _) = ringpost(&["aggregate"], &twice);
        assert_eq!(bare(&out), lines(&case, "expect").concat(), "{name}");
    }
}

/// An array over several lines, as a pretty-printer leaves it, is input like lines are.
#[test]
fn a_json_array_is_read_like_lines() {
    let folder = tempfile::tempdir().unwrap();
    for (name, case) in cases() {
        let path = folder.path().join("legs.json");
        std::fs::write(&path, case.get("legs").unwrap().to_json().replace(',', ",\n  ")).unwrap();
        let mut arguments = flags(&case);
        arguments.push(path.to_str().unwrap());
        let (_, out, _) = ringpost(&arguments, "");
        assert_eq!(bare(&out), lines(&case, "expect").concat(), "{name}");
    }
}

const GOOD: &str = r#"{"v":1,"kind":"leg","tenant":"acme","pbx":"k1","leg":"a","direction":"in","side":"external","number":"+441632960101","created":1773133200000000,"ended":1773133260000000}"#;

#[test]
fn bad_input_never_stops_the_run_and_is_counted() {
    let bad = ["{\"v\":1", "[", "nonsense", "{\"v\":1,\"kind\":\"leg\"}", "\u{0}\u{fffd}", "{\"v\":2}", "7"];
    let input = format!("{}\n{GOOD}\n{}\n", bad.join("\n"), bad.join("\n"));
    let (code, out, err) = ringpost(&["aggregate"], &input);
    assert_eq!(code, 0, "{err}");
    assert_eq!(out.lines().count(), 1, "{out}{err}");
    assert!(err.contains("not_json"), "{err}");
}

#[test]
fn rejects_are_written_with_reason_position_and_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let legs = folder.path().join("legs.ndjson");
    let rejects = folder.path().join("rejects.ndjson");
    let mut input =
        format!("{GOOD}\n{{\"v\":1,\"kind\":\"leg\",\"tenant\":\"acme\",\"pbx\":\"k1\"}}\n").into_bytes();
    input.extend_from_slice(b"{\"v\":\xff}\n");
    std::fs::write(&legs, input).unwrap();
    let arguments = ["aggregate", "--rejects", rejects.to_str().unwrap(), legs.to_str().unwrap()];
    let (code, out, err) = ringpost(&arguments, "");
    assert_eq!((code, out.lines().count()), (0, 1), "{err}");
    let written = std::fs::read_to_string(&rejects).unwrap().replace(folder.path().to_str().unwrap(), "DIR");
    insta::assert_snapshot!(written, @r#"
    {"reason":"leg: missing","code":"missing_key","position":{"file":"DIR/legs.ndjson","element":2,"line":2,"offset":170},"bytes":"{\"v\":1,\"kind\":\"leg\",\"tenant\":\"acme\",\"pbx\":\"k1\"}"}
    {"reason":"not JSON: expected value at line 1 column 6","code":"not_json","position":{"file":"DIR/legs.ndjson","element":3,"line":3,"offset":218},"base64":"eyJ2Ijr/fQ=="}
    "#);
    insta::assert_snapshot!(err, @r#"
    elements read                  3
      rejected                     2  1 missing_key, 1 not_json
    leg records                    1
      repeats                      0
    sessions                       1
    records out                    1
      revisions                    0
    "#);
}

#[test]
fn a_file_that_is_not_there_is_told_before_anything_is_read() {
    let (code, out, err) = ringpost(&["aggregate", "/nonexistent/a", "/nonexistent/b"], GOOD);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("/nonexistent/a: ") && err.contains("/nonexistent/b: "), "{err}");
}

#[test]
fn files_are_read_one_after_the_other_and_none_runs_into_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("a"), GOOD).unwrap();
    std::fs::write(path("b"), GOOD.replace("\"leg\":\"a\"", "\"leg\":\"b\"")).unwrap();
    let (_, out, _) = ringpost(&["aggregate", &path("a"), &path("b")], "");
    assert_eq!(out.lines().count(), 2);
    let (_, with_stdin, _) =
        ringpost(&["aggregate", &path("a"), "-"], &GOOD.replace("\"leg\":\"a\"", "\"leg\":\"c\""));
    assert_eq!(with_stdin.lines().count(), 2);
}

#[test]
fn resources_give_names_and_zones() {
    let folder = tempfile::tempdir().unwrap();
    let resources = "[[tenant]]\nkey = \"acme\"\nzone = \"Europe/London\"\n[[pbx]]\nkey = \"k1\"\ntenant = \"acme\"\nname = \"Head office\"\n";
    std::fs::write(folder.path().join("r.toml"), resources).unwrap();
    let (code, out, err) = ringpost(&["aggregate", "--resources", folder.path().to_str().unwrap()], GOOD);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains(r#""pbxName":"Head office","tz":"Europe/London""#), "{out}");
}

/// `ringpost aggregate … | head -1` is no failure.
#[test]
fn resources_say_who_is_behind_a_carrier() {
    let folder = tempfile::tempdir().unwrap();
    let resources = "[[pbx]]\nkey = \"fs1\"\n[pbx.sides]\ninternal = { gateways = [\"branch-*\"] }\n";
    std::fs::write(folder.path().join("r.toml"), resources).unwrap();
    let leg = r#"{"variables":{"uuid":"u","direction":"outbound","sip_gateway_name":"branch-leeds",
        "start_uepoch":"1773133200000000","end_uepoch":"1773133210000000"}}"#;
    let aggregate = ["aggregate", "--dialect", "freeswitch-cdr", "--pbx", "fs1"];
    let (_, stock, _) = ringpost(&aggregate, leg);
    let (_, ruled, _) =
        ringpost(&[&aggregate[..], &["--resources", folder.path().to_str().unwrap()]].concat(), leg);
    assert!(stock.contains(r#""dir":3"#), "{stock}");
    assert!(ruled.contains(r#""dir":1"#), "{ruled}");
}

#[test]
fn a_reader_that_leaves_ends_the_run_quietly() {
    struct Left;
    impl std::io::Write for Left {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut stderr = Vec::new();
    let mut io = crate::cli::Io {
        stdin: &mut GOOD.as_bytes(),
        stdout: &mut Left,
        stderr: &mut stderr,
        stdout_is_terminal: false,
        stderr_is_terminal: false,
        variables: Vec::new(),
    };
    let code = crate::cli::run(["ringpost", "aggregate"].map(Into::into), &mut io);
    assert_eq!((code, String::from_utf8(stderr).unwrap().as_str()), (0, ""));
}

#[test]
fn the_dialect_is_found_out_and_said_for_each_file() {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../ingest/fixtures");
    let files =
        ["kazoo/incoming-cdrs.ndjson", "freeswitch-event/outgoing-socket.txt", "asterisk-cel/pickup.csv"];
    let paths = files.map(|file| fixtures.join(file).display().to_string());
    let mut arguments = vec!["aggregate", "--dialect", "auto"];
    arguments.extend(paths.iter().map(String::as_str));
    let (code, out, err) = ringpost(&arguments, "");
    assert_eq!((code, out.lines().count()), (0, 3), "{err}");
    for (path, dialect) in paths.iter().zip(["kazoo", "freeswitch-event", "asterisk-cel"]) {
        assert!(err.contains(&format!("{path} is read as {dialect}\n")), "{err}");
    }
}

#[test]
fn input_of_no_dialect_is_refused_with_what_to_do() {
    let (code, out, err) = ringpost(&["aggregate", "--dialect", "auto"], "<cdr/>");
    assert_ne!(code, 0);
    assert_eq!(out, "");
    assert!(
        err.contains("-: no dialect shows in its first bytes; name it with --dialect, one of native, "),
        "{err}"
    );
    let (code, _, err) = ringpost(&["aggregate", "--dialect", "auto"], "\n");
    assert_eq!(code, 0, "{err}");
}
