//! What a person reads who asks why.

use crate::cli::testing::ringpost;

const RECORD: &str = r#"{"id":"d53d471f-7412-590d-be38-a3e1b99655e3","dType":"CloudSessionCdr","sVer":1,"tz":"UTC","start":"2026-03-10T09:00:00+00:00","end":"2026-03-10T09:01:00+00:00","dur":60,"talk":40,"dir":2,"type":2,"cliNum":"+441614960000"}"#;

const TRIGGERS: &str = r#"
[[tenant]]
key = "acme"
region = "GB"

[[trigger]]
tenant = "acme"
name = "CRM"
url = "https://crm.example/"
filters = [
  { field = "dir", op = "eq", value = "incoming" },
  { field = "cliNum", op = "eq", value = "0161 496 0000" },
  { field = "talk", op = "gte", value = 40, not = true },
]

[[trigger]]
tenant = "acme"
name = "All"
url = "https://crm.example/"
"#;

fn explain(flags: &[&str], trigger: (&str, &str), session: &str) -> (u8, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(trigger.0);
    std::fs::write(&path, trigger.1).unwrap();
    let path = path.to_str().unwrap();
    let arguments = [&["explain", "--trigger", path, "--session", "-"], flags].concat();
    let (code, out, err) = ringpost(&arguments, session);
    (code, out, err.replace(folder.path().to_str().unwrap(), "DIR"))
}

#[test]
fn each_filter_says_whether_it_held_and_on_what() {
    let (code, out, err) = explain(&["--name", "CRM"], ("t.toml", TRIGGERS), RECORD);
    assert_eq!((code, err.as_str()), (0, ""));
    insta::assert_snapshot!(out, @r#"
    trigger "CRM", record d53d471f-7412-590d-be38-a3e1b99655e3
      yes  dir eq "incoming"          2
      yes  cliNum eq "0161 496 0000"  "+441614960000"
      no   not talk gte 40            40
    does not fire: 1 of 3 filters do not hold
    "#);
}

#[test]
fn a_payload_and_an_envelope_are_records_too_and_each_line_is_explained() {
    let session = format!("{RECORD}\n{{\"triggerId\":\"x\",\"cdr\":{RECORD}}}\n");
    let (code, out, _) = explain(&["--name", "All"], ("t.toml", TRIGGERS), &session);
    assert_eq!(code, 0);
    assert_eq!(out.matches("fires: it has no filters").count(), 2, "{out}");
}

#[test]
fn one_trigger_alone_is_a_file_too() {
    let trigger = r#"{"name": "X", "filters": [{"field": "cliNum", "op": "startsWith", "value": "0161"}]}"#;
    let (_, out, _) = explain(&["--region", "GB"], ("t.json", trigger), RECORD);
    insta::assert_snapshot!(out, @r#"
    trigger "X", record d53d471f-7412-590d-be38-a3e1b99655e3
      no   cliNum startsWith "0161"  "+441614960000"
    does not fire: 1 of 1 filters do not hold
    "#);
}

#[test]
fn filters_that_mean_nothing_are_told_with_their_place() {
    let trigger = "filters = [\n  { field = \"dirr\", op = \"eq\", value = 2 },\n  { field = \"talk\", op = \"contains\", value = 2 },\n]\n";
    let (code, _, err) = explain(&[], ("t.toml", trigger), RECORD);
    assert_eq!(code, 64);
    insta::assert_snapshot!(err, @r#"
    DIR/t.toml:2:13: /filters/0/field: unknown field "dirr": did you mean "dir"?
    DIR/t.toml:3:26: /filters/1/op: talk is a number and has no operator contains: use eq, lt, lte, gt, gte, between, in, exists
    "#);
}

#[test]
fn of_several_triggers_one_must_be_named() {
    let (code, _, err) = explain(&[], ("t.toml", TRIGGERS), RECORD);
    assert_eq!((code, err.as_str()), (2, "error: name one with --name: \"CRM\", \"All\"\n"));
}

/// The id stands on the trigger's page; numbers are read in its owner's region.
#[test]
fn a_trigger_of_the_store_is_explained_by_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("t.toml"), TRIGGERS).unwrap();
    let (code, _, err) = ringpost(&["apply", "-f", &path("t.toml"), "--data", &path("data")], "");
    assert_eq!(code, 0, "{err}");
    let owner = ringpost_model::TenantKey::new("acme").unwrap();
    let id = crate::resources::trigger_id(&owner, "CRM").to_string();
    let (code, out, err) = ringpost(&["explain", "-t", &id, "--data", &path("data"), "-s", "-"], RECORD);
    assert_eq!(code, 0, "{err}");
    assert!(out.ends_with("does not fire: 1 of 3 filters do not hold\n"), "{out}");
    let unknown = id.replace(&id[..4], "0000");
    let (code, _, err) = ringpost(&["explain", "-t", &unknown, "--data", &path("data"), "-s", "-"], RECORD);
    assert_eq!((code, err.contains("there is no trigger")), (1, true), "{err}");
}
