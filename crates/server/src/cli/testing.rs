//! Runs a command line in-process: standard input in; exit code, standard output and standard error out.

use std::ffi::OsString;

use super::Io;

/// Without an environment.
pub(crate) fn ringpost(arguments: &[&str], stdin: &str) -> (u8, String, String) {
    ringpost_with(arguments, stdin, &[])
}

/// With an environment.
pub(crate) fn ringpost_with(
    arguments: &[&str],
    stdin: &str,
    variables: &[(&str, &str)],
) -> (u8, String, String) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut io = Io {
        stdin: &mut stdin.as_bytes(),
        stdout: &mut stdout,
        stderr: &mut stderr,
        stdout_is_terminal: false,
        stderr_is_terminal: false,
        variables: variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    };
    let arguments = std::iter::once("ringpost").chain(arguments.iter().copied()).map(OsString::from);
    let code = super::run(arguments, &mut io);
    (code, String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}
