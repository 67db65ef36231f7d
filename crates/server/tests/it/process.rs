//! Exit codes, help, and pipes that are closed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

fn ringpost(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringpost"));
    command.args(arguments).stdin(Stdio::null()).env_remove("RINGPOST_CONFIG");
    command
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = ringpost(arguments).output().expect("the binary runs");
    let code = status.code().expect("it ends by itself");
    let text = |bytes| String::from_utf8(bytes).expect("it prints UTF-8");
    (code, text(stdout), text(stderr))
}

const COMMANDS: [&str; 11] = [
    "serve",
    "aggregate",
    "simulate",
    "compare",
    "apply",
    "sink",
    "dead-letters",
    "check-config",
    "explain",
    "completions",
    "help",
];

#[test]
fn every_command_is_in_the_help_and_teaches_by_example() {
    let (code, help, _) = run(&["--help"]);
    assert_eq!(code, 0);
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is not in:\n{help}");
        if command != "help" {
            let (code, help, _) = run(&[command, "--help"]);
            assert_eq!(code, 0, "{command}");
            let example = format!("\n  ringpost {command}");
            assert!(
                help.contains("\nExample") && help.contains(&example),
                "{command} has no example:\n{help}"
            );
            let widest = help.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(100), "{command} is wider than a terminal");
        }
    }
}

#[test]
fn exit_codes_tell_usage_configuration_and_failure_apart() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("ringpost.toml");
    std::fs::write(&config, "[http]\nlisten = 8080\n").unwrap();
    let config = config.to_str().unwrap();
    assert_eq!(run(&["--version"]).0, 0);
    assert_eq!(run(&[]).0, 2);
    assert_eq!(run(&["aggregate", "--nonsense"]).0, 2);
    assert_eq!(run(&["check-config", config]).0, 64);
    assert_eq!(run(&["serve", "--config", config]).0, 64);
    assert_eq!(run(&["check-config", "/nonexistent.toml"]).0, 64);
    assert_eq!(run(&["aggregate", "/nonexistent"]).0, 1);
}

#[test]
fn what_check_config_prints_is_a_configuration() {
    let (code, printed, err) = run(&["check-config"]);
    assert_eq!(code, 0, "{err}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("printed.toml");
    std::fs::write(&path, &printed).unwrap();
    let (code, _, err) = run(&["check-config", path.to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (0, ""));
}

/// The environment is another process's, so it is tried on a real one.
#[test]
fn the_environment_is_read() {
    let output =
        ringpost(&["check-config", "--changed"]).env("RINGPOST_SESSIONS__SETTLE", "9s").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("settle = \"9s\"") && text.contains("# environment RINGPOST_SESSIONS__SETTLE"),
        "{text}"
    );
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = run(&["completions", shell]);
        assert_eq!(code, 0);
        assert!(script.contains("dead-letters") && script.contains("check-config"), "{shell}");
    }
}

/// `ringpost simulate | head -1`: the reader leaves while much is still to be written.
#[test]
fn a_closed_pipe_is_no_failure() {
    let mut child = ringpost(&["simulate", "--calls", "2000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    assert!(line.starts_with('{'), "{line}");
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn the_chain_of_three_commands_agrees_with_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (_, legs, _) = run(&["simulate", "--calls", "200", "--seed", "11", "--truth", &path("truth")]);
    let mut child = ringpost(&["aggregate"])
        .stdin(Stdio::piped())
        .stdout(std::fs::File::create(path("records")).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(legs.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let (code, report, _) = run(&["compare", &path("truth"), &path("records")]);
    assert_eq!(code, 0, "{report}");
}
