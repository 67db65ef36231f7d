//! What an operator is told who writes sources.

use super::super::{Config, DEFAULT_TOML, Source, parse};
use super::*;

fn config(text: &str) -> Config {
    let source = Source { file: Some(("ringpost.toml", text)), ..Source::default() };
    parse(source).unwrap_or_else(|error| panic!("{error}")).config
}

#[test]
fn every_source_is_read_with_what_it_leaves_out() {
    let text = "
[source]
poll = \"1s\"
[[source.file]]
path = \"/var/log/freeswitch/*.json\"
pbx = \"fs1\"
dialect = \"freeswitch-cdr\"
tenant = \"acme\"
[[source.file]]
path = \"/srv/legs.ndjson\"
pbx = \"k1\"
follow = false
";
    let sources = config(text).source;
    assert_eq!(sources.poll, Duration::from_secs(1));
    let key = |text: &str| Some(PbxKey::new(text).unwrap());
    let first = FileSource {
        path: "/var/log/freeswitch/*.json".into(),
        pbx: key("fs1"),
        tenant: Some(TenantKey::new("acme").unwrap()),
        dialect: Some(Dialect::FreeswitchCdr),
        follow: true,
    };
    let second = FileSource {
        path: "/srv/legs.ndjson".into(),
        pbx: key("k1"),
        follow: false,
        ..FileSource::default()
    };
    assert_eq!(sources.files, [first, second]);
}

#[test]
fn all_mistakes_of_all_sources_are_told_at_once() {
    let text = "
[[source.file]]
pbx = \"k 1\"
folow = true
dialect = \"kazooo\"

[[source.file]]
path = \"legs/*.json\"

[[source.file]]
path = \"/srv/[legs\"
pbx = \"k1\"
follow = \"yes\"

[[source.file]]
path = \"/srv/legs\"
pbx = \"k1\"
[[source.file]]
path = \"/srv/legs\"
pbx = \"k2\"
";
    let source = Source { file: Some(("ringpost.toml", text)), ..Source::default() };
    // Which dialects there are is not what is tested.
    let known = Dialect::ALL.map(|dialect| quoted(dialect.name())).join(", ");
    let told = parse(source).expect_err("it has mistakes").to_string().replace(&known, "DIALECTS");
    insta::assert_snapshot!(told, @r#"
    ringpost.toml:2:1: source.file[0].path: missing; write the path of a file, a folder, or a pattern such as "/var/log/cdr/*.json"
    ringpost.toml:3:7: source.file[0].pbx: "k 1" is no key; a key is 1 to 64 of A-Z a-z 0-9 . _ -, in quotes
    ringpost.toml:4:1: source.file[0].folow: no such setting; did you mean source.file[0].follow?
    ringpost.toml:5:11: source.file[0].dialect: "kazooo" is no dialect; write one of DIALECTS
    ringpost.toml:7:1: source.file[1].pbx: missing; write the key of the platform that writes these files
    ringpost.toml:8:8: source.file[1].path: "legs/*.json" is no absolute path; write it from the root, with a / first: where a service is started is nobody's choice
    ringpost.toml:11:8: source.file[2].path: "/srv/[legs" is no pattern: invalid range pattern; write * and ? for any characters, ** for any folders, [[] for a bracket
    ringpost.toml:13:10: source.file[2].follow: "yes" is neither true nor false; write true or false
    ringpost.toml:19:8: source.file[4].path: "/srv/legs" is the path of source.file[3] too; each line would be read twice: name it once
    "#);
}

#[test]
fn one_bracket_too_few_is_told() {
    let text = "[source.file]\npath = \"/srv/legs\"\npbx = \"k1\"\n";
    let source = Source { file: Some(("ringpost.toml", text)), ..Source::default() };
    insta::assert_snapshot!(parse(source).expect_err("it has mistakes").to_string(), @"ringpost.toml:2:1: source.file: one of several; write [[source.file]] above it, with two brackets: there may be several");
}

/// The example in the documented default is right as it stands, without its `#`.
#[test]
fn the_example_of_the_documentation_can_be_used() {
    let example = |section: &str| {
        let begin = DEFAULT_TOML.find(&format!("# [[source.{section}]]")).unwrap();
        let lines = DEFAULT_TOML[begin..].lines().enumerate();
        let lines =
            lines.take_while(|(at, line)| line.starts_with('#') && (*at == 0 || !line.starts_with("# [[")));
        lines.map(|(_, line)| line).collect::<Vec<_>>()
    };
    let (files, topics) = (example("file"), example("kafka"));
    let keys = |example: Vec<&str>| {
        let keys = example.into_iter().map(|line| line.trim_start_matches("# "));
        let keys = keys.filter(|line| {
            line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '))
        });
        keys.collect::<Vec<_>>().join("\n")
    };
    let files = keys(files);
    assert_eq!(config(&files).source.files.len(), 1, "{files}");
    let topics = keys(topics);
    let kafka = "bus.backend = \"kafka\"\nbus.kafka.bootstrap = \"b:9092\"\n";
    assert_eq!(config(&format!("{kafka}{topics}")).source.kafka.len(), 1, "{topics}");
}
