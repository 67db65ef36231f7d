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
    insta::assert_snapshot!(mistakes(text, &[]), @"");
}

#[test]
fn mistakes_in_the_environment_name_the_variable() {
    let environment = [
        ("RINGPOST_HTTP_LISTEN", "127.0.0.1:1"),
        ("RINGPOST_HTTP__LISTN", "127.0.0.1:1"),
        ("RINGPOST_BUS__PARTITIONS", "0"),
        ("RINGPOST_SERVICE_HOST", "10.0.0.1"),
    ];
    insta::assert_snapshot!(mistakes("", &environment), @"");
}

#[test]
fn what_is_no_toml_hides_no_other_mistake() {
    insta::assert_snapshot!(mistakes("[http\nlisten = \"x\"\n[sesions]\ngap = 1\nlate = 2\n", &[]), @"");
}

#[test]
fn settings_that_contradict_each_other_are_told() {
    let text =
        "[admin]\nlisten = \"0.0.0.0:8080\"\n[delivery]\nhandoff = \"20s\"\n[sessions]\ngap = \"5h\"\n";
    insta::assert_snapshot!(mistakes(text, &[]), @"");
}

#[test]
fn sections_and_values_are_not_taken_for_each_other() {
    let text = "http = 3\nbus.retention = 4\nsessions.gap.long = \"3s\"\ndata.key = \"abc\"\n";
    insta::assert_snapshot!(mistakes(text, &[]), @"");
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

/// A proxy's password and the key are settings that are read, and never shown.
#[test]
fn no_secret_is_shown() {
    let environment = variables(&[
        ("RINGPOST_DATA__KEY", &"ab".repeat(32)),
        ("RINGPOST_DELIVERY__PROXY", "http://user:hunter2@proxy.example:3128"),
    ]);
    let loaded = parse(Source { variables: &environment, ..Source::default() }).unwrap();
    let shown = format!("{:?}", loaded.settled);
    assert!(!shown.contains("abab") && !shown.contains("hunter2"), "{shown}");
    assert!(!format!("{:?}", loaded.config.data).contains("abab"));
}
