//! What was found, and how it is printed.

use std::fmt::Write;

use serde::Serialize;

use crate::cli::harmless;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum State {
    Ok,
    Warning,
    Problem,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Finding {
    pub(super) what: String,
    pub(super) state: State,
    pub(super) text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) todo: String,
}

impl Finding {
    pub(super) fn ok(what: &str, text: impl Into<String>) -> Self {
        Self::new(State::Ok, what, text, "")
    }

    pub(super) fn warning(what: &str, text: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::new(State::Warning, what, text, todo)
    }

    pub(super) fn problem(what: &str, text: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::new(State::Problem, what, text, todo)
    }

    fn new(state: State, what: &str, text: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { what: what.to_owned(), state, text: text.into(), todo: todo.into() }
    }

    pub(super) fn is_problem(&self) -> bool {
        self.state == State::Problem
    }
}

/// All of them, and a line that sums up.
pub(super) fn page(findings: &[Finding], coloured: bool) -> String {
    let mut out = String::new();
    for Finding { what, state, text, todo } in findings {
        let (code, word) = match state {
            State::Ok => ("32", "ok"),
            State::Warning => ("33", "warning"),
            State::Problem => ("31", "problem"),
        };
        let word = format!("{word:<7}");
        let word = if coloured { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word };
        let _ = writeln!(out, "{word}  {:<13}  {}", harmless(what), harmless(text));
        if !todo.is_empty() {
            let _ = writeln!(out, "{:24}-> {}", "", harmless(todo));
        }
    }
    let count = |wanted| findings.iter().filter(|finding| finding.state == wanted).count();
    let _ = writeln!(out, "\n{} problems, {} warnings", count(State::Problem), count(State::Warning));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_says_what_to_do_and_the_last_line_sums_up() {
        let findings = [
            Finding::ok("data folder", "/var/lib/ringpost"),
            Finding::warning("disk", "a write takes 130 ms", "use a faster disk"),
            Finding::problem("key", "others can read it\u{1b}[2J", "chmod 600 secret.key"),
        ];
        let expected = "\
ok       data folder    /var/lib/ringpost
warning  disk           a write takes 130 ms
                        -> use a faster disk
problem  key            others can read it\u{fffd}[2J
                        -> chmod 600 secret.key

1 problems, 1 warnings
";
        assert_eq!(page(&findings, false), expected);
    }
}
