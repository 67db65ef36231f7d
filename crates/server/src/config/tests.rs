//! What an operator is told, and that the documented default is the default.

use super::*;

fn variables(given: &[(&str, &str)]) -> Vec<(String, String)> {
    given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn mistakes(text: &str, environment: &[(&str, &str)]) -> String {
    let environment = variables(environment);
    let source = Source { file: Some(("ringpost.toml", text)), variables: &environment, ..Source::default() };
    parse(source).expect_err("it has mistakes").to_string()
}

fn config(text: &str, environment: &[(&str, &str)]) -> Config {
    let environment = variables(environment);
    let source = Source { file: Some(("ringpost.toml", text)), variables: &environment, ..Source::default() };
    parse(source).unwrap_or_else(|error| panic!("{error}")).config
}

#[test]
fn the_documented_default_is_the_default() {
    assert_eq!(config(DEFAULT_TOML, &[]), Config::default());
}

/// Every setting stands in the file, and each that has a default stands there with it.
#[test]
fn the_documented_default_names_every_setting() {
    let source = Source { file: Some(("default.toml", DEFAULT_TOML)), ..Source::default() };
    let mut missing = Vec::new();
    for settled in parse(source).unwrap().settled {
        let (_, key) = settled.key.rsplit_once('.').unwrap();
        let as_comment = DEFAULT_TOML.contains(&format!("\n# {key} = "));
        if settled.place == Place::Default && !(settled.value == "none" && as_comment) {
            missing.push(settled.key);
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn five_mistakes_are_told_in_one_run_each_with_its_place_and_remedy() {
    let text = "\
[http]
listen = \"8080\"
max_body = 10

[sessions]
setle = \"3s\"
gap = \"a while\"

[delivery]
allow_networks = [\"10.0.0.0/8\", \"10.1.2.3/8\"]
";
    insta::assert_snapshot!(mistakes(text, &[]), @r#"
    ringpost.toml:2:10: http.listen: "8080" is no address; write IP:port, such as "0.0.0.0:8080" or "[::]:8080"
    ringpost.toml:3:12: http.max_body: 10 has no unit; write "10B" or another unit
    ringpost.toml:6:1: sessions.setle: no such setting; did you mean sessions.settle?
    ringpost.toml:7:7: sessions.gap: "a while" is no duration; write a number with a unit, such as "3s", "15m", "4h" or "7days"
    ringpost.toml:10:33: delivery.allow_networks[1]: "10.1.2.3/8" has bits beyond its prefix; write "10.0.0.0/8" or "10.1.2.3/32"
    "#);
}

#[test]
fn mistakes_in_the_environment_name_the_variable() {
    let environment = [
        ("RINGPOST_HTTP_LISTEN", "127.0.0.1:1"),
        ("RINGPOST_HTTP__LISTN", "127.0.0.1:1"),
        ("RINGPOST_BUS__PARTITIONS", "0"),
        ("RINGPOST_SERVICE_HOST", "10.0.0.1"),
    ];
    insta::assert_snapshot!(mistakes("", &environment), @r#"
    environment RINGPOST_BUS__PARTITIONS: bus.partitions: 0 is out of range; write something from 1 to 1024
    environment RINGPOST_HTTP__LISTN: http.listn: no such setting; did you mean RINGPOST_HTTP__LISTEN?
    environment RINGPOST_HTTP_LISTEN: http.listen: not a setting: section and key are parted by two underscores; write RINGPOST_HTTP__LISTEN
    "#);
}

#[test]
fn what_is_no_toml_hides_no_other_mistake() {
    insta::assert_snapshot!(mistakes("[http\nlisten = \"x\"\n[sesions]\ngap = 1\nlate = 2\n", &[]), @r#"
    ringpost.toml:1:6: not TOML: unclosed table, expected `]`; see https://toml.io for how it is written
    ringpost.toml:4:1: sesions: no such section; did you mean [sessions]?
    "#);
}

#[test]
fn settings_that_contradict_each_other_are_told() {
    let text =
        "[admin]\nlisten = \"0.0.0.0:8080\"\n[delivery]\nhandoff = \"20s\"\n[sessions]\ngap = \"5h\"\n";
    insta::assert_snapshot!(mistakes(text, &[]), @r#"
    ringpost.toml:2:10: admin.listen: 0.0.0.0:8080 is http.listen too; give each its own port
    ringpost.toml:4:11: delivery.handoff: not shorter than delivery.deadline, so no slow delivery would be written down in time; make it shorter, such as "1s"
    ringpost.toml:6:7: sessions.gap: longer than sessions.max_idle, which is the longest wait of all; make it shorter, or max_idle longer
    "#);
}

#[test]
fn sections_and_values_are_not_taken_for_each_other() {
    let text = "http = 3\nbus.retention = 4\nsessions.gap.long = \"3s\"\ndata.key = \"abc\"\n";
    insta::assert_snapshot!(mistakes(text, &[]), @r#"
    ringpost.toml:1:1: http: a section, not a value; write its keys below [http]
    ringpost.toml:2:5: bus.retention: a section, not a value; write its keys below [bus.retention]
    ringpost.toml:3:14: sessions.gap.long: no such setting; did you mean sessions.gap?
    ringpost.toml:4:12: data.key: a secret does not belong in this file; put it into a file named by data.key_file, or into the environment
    "#);
}

#[test]
fn the_environment_wins_over_the_file_and_flags_over_both() {
    let text = "[sessions]\nsettle = \"5s\"\nlate = \"1m\"\ngap = \"2m\"\n";
    let environment = variables(&[
        ("RINGPOST_SESSIONS__LATE", "2m"),
        ("RINGPOST_DATA__DIR", "/b"),
        ("RINGPOST_DELIVERY__ALLOW_NETWORKS", "10.0.0.0/8, fd00::/8"),
        ("RINGPOST_BUS__RETENTION__EVENTS", "2days"),
    ]);
    let flags = Flags::default().with("data.dir", "--data", Some("/c".to_owned()));
    let file = Some(("ringpost.toml", text));
    let config = parse(Source { file, variables: &environment, flags: &flags }).unwrap().config;
    assert_eq!(config.sessions.settle.as_secs(), 5);
    assert_eq!(config.sessions.late.as_secs(), 120);
    assert_eq!(config.data.dir.to_str(), Some("/c"));
    assert_eq!(config.delivery.allow_networks.len(), 2);
    assert_eq!(config.bus.retention.events.as_secs(), 2 * 86_400);
}

/// The key is a setting that is read, and never shown.
#[test]
fn no_secret_is_shown() {
    let environment = variables(&[("RINGPOST_DATA__KEY", &"ab".repeat(32))]);
    let loaded = parse(Source { variables: &environment, ..Source::default() }).unwrap();
    let shown = format!("{:?}", loaded.settled);
    assert!(!shown.contains("abab"), "{shown}");
    assert!(!format!("{:?}", loaded.config.data).contains("abab"));
}
