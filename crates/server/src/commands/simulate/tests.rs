//! Calls made up, put together and compared: the offline chain through the commands.

use crate::cli::testing::ringpost;

fn chain(simulate: &[&str], aggregate: &[&str], compare: &[&str]) -> (u8, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let truth = path("truth.ndjson");
    let arguments = [&["simulate", "--truth", &truth], simulate].concat();
    let (code, legs, err) = ringpost(&arguments, "");
    assert_eq!(code, 0, "{err}");
    let (code, records, err) = ringpost(&[&["aggregate"], aggregate].concat(), &legs);
    assert_eq!(code, 0, "{err}");
    let (code, report, _) = ringpost(&[&["compare", &truth, "-"], compare].concat(), &records);
    (code, report)
}

#[test]
fn every_simulated_call_comes_out_as_its_truth() {
    let (code, report) = chain(&["--calls", "300", "--seed", "7"], &[], &[]);
    assert_eq!((code, report.as_str()), (0, "equal 300, different 0, missing 0, extra 0, unreadable 0\n"));
}

#[test]
fn the_same_holds_in_a_stream() {
    let (code, report) = chain(&["--calls", "300", "--seed", "7"], &["--stream"], &["--stream"]);
    assert_eq!((code, report.as_str()), (0, "equal 300, different 0, missing 0, extra 0, unreadable 0\n"));
}

#[test]
fn a_record_that_differs_is_told_and_is_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let truth = folder.path().join("truth.ndjson");
    let record = r#"{"id":"d53d471f-7412-590d-be38-a3e1b99655e3","dType":"CloudSessionCdr","sVer":1,"pbxId":"k1","tz":"UTC","start":"2026-03-10T09:00:00+00:00","end":"2026-03-10T09:01:00+00:00","dur":60,"dir":2,"type":2}"#;
    std::fs::write(&truth, format!("{record}\n")).unwrap();
    let (code, report, _) =
        ringpost(&["compare", truth.to_str().unwrap(), "-"], &record.replace("\"dir\":2", "\"dir\":3"));
    assert_eq!(code, 1);
    insta::assert_snapshot!(report, @r#"
    equal 0, different 1, missing 0, extra 0, unreadable 0
    d53d471f-7412-590d-be38-a3e1b99655e3
      dir: expected 2, got 3
    "#);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_others() {
    let of = |seed: &str| ringpost(&["simulate", "--calls", "20", "--seed", seed], "").1;
    assert_eq!(of("1"), of("1"));
    assert_ne!(of("1"), of("2"));
}

/// Documents of FreeSWITCH do not name their platform, so they are told one platform at a time.
#[test]
fn one_platform_can_be_told_alone() {
    let (code, report) = chain(&["--calls", "200", "--pbx", "k1"], &[], &[]);
    assert_eq!(code, 0, "{report}");
    let arguments = ["simulate", "--calls", "200", "--pbx", "k1", "--dialect", "freeswitch-cdr"];
    let (_, documents, err) = ringpost(&arguments, "");
    assert!(!err.contains("choose one"), "{err}");
    let (_, records, err) = ringpost(&["aggregate", "--dialect", "freeswitch-cdr"], &documents);
    assert!(err.contains("  rejected                     0\n"), "{err}");
    assert!(records.lines().count() > 5, "{records}");
}

/// A table is read to its end by `aggregate`, whatever its shape: newest first with names, in the default order, JSON.
#[test]
fn tables_of_an_asterisk_come_out_as_expected() {
    for (tenant, pbx) in [("acme", "k1"), ("initech", "us-east"), ("hooli", "main"), ("umbrella", "pune")] {
        let of_pbx = ["--dialect", "asterisk-cel", "--pbx", pbx];
        let simulate = [&["--calls", "600"][..], &of_pbx].concat();
        let aggregate = [&of_pbx[..], &["--tenant", tenant]].concat();
        let (code, report) = chain(&simulate, &aggregate, &[]);
        assert_eq!(code, 0, "{pbx}: {report}");
    }
}

#[test]
fn mixed_documents_are_told_with_what_to_choose_from() {
    let (_, _, err) = ringpost(&["simulate", "--calls", "200", "--dialect", "freeswitch-cdr"], "");
    assert!(err.contains("choose one with --pbx: k1 of acme, "), "{err}");
}
