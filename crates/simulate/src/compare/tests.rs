//! The comparison must see every kind of difference, or it proves nothing.

use super::*;

const A: &str = r#"{"id":"00000000-0000-0000-0000-00000000000a","dType":"CloudSessionCdr","sVer":1,"tz":"UTC","start":"2026-03-10T09:00:00+00:00","end":"2026-03-10T09:00:10+00:00","dur":10,"talk":5,"dir":2,"type":2}"#;

fn changed(from: &str, to: &str) -> String {
    assert!(A.contains(from));
    A.replace(from, to)
}

fn check(truth: &[&str], records: &[&str], run: Run) -> String {
    compare(truth.iter().copied(), records.iter().copied(), run, 3).to_string()
}

#[test]
fn equal_lines_are_equal_in_any_order() {
    let b = changed("00a\"", "00b\"");
    assert_eq!(
        check(&[A, &b], &[&b, A], Run::Offline),
        "equal 2, different 0, missing 0, extra 0, unreadable 0\n"
    );
}

#[test]
fn each_kind_of_difference_is_seen() {
    let wrong = changed("\"talk\":5", "\"talk\":6");
    let report = check(&[A], &[&wrong], Run::Offline);
    assert!(report.contains("different 1") && report.contains("talk: expected 5, got 6"), "{report}");
    let gone = changed("\"talk\":5,", "");
    assert!(check(&[A], &[&gone], Run::Offline).contains("talk: expected 5, got \n"));
    assert!(check(&[A], &[], Run::Offline).contains("missing 1"));
    assert!(check(&[], &[A], Run::Offline).contains("extra 1"));
    assert!(check(&[A], &[A, A], Run::Offline).contains("extra 1"), "told twice is one too many");
    assert!(check(&[A], &[A, "nonsense"], Run::Offline).contains("unreadable 1"));
}

#[test]
fn in_a_stream_only_the_last_revision_counts() {
    let second = changed("\"type\":2", "\"type\":2,\"rev\":2");
    let first = changed("\"talk\":5", "\"talk\":1");
    assert!(check(&[A], &[&first, &second], Run::Stream).starts_with("equal 1, different 0"));
    assert!(check(&[A], &[&second], Run::Offline).contains("rev: expected , got 2"));
    let last_is_wrong = changed("\"talk\":5", "\"talk\":1,\"rev\":2");
    assert!(check(&[A], &[A, &last_is_wrong], Run::Stream).contains("different 1"));
}

#[test]
fn what_enrichment_adds_is_no_difference() {
    let enriched = changed("\"type\":2", "\"type\":2,\"cliLoc\":\"London\",\"rate\":1,\"rateCost\":0.10");
    assert!(check(&[A], &[&enriched], Run::Offline).starts_with("equal 1"));
}
