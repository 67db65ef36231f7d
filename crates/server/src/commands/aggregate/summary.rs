//! What a run has counted, for people: nothing is lost without a number here.

use std::collections::BTreeMap;
use std::fmt::Write;

use ringpost_ingest::Notes;
use ringpost_session::Stats;

/// Counts of the input.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// Elements that were read.
    pub(super) elements: u64,
    /// Records with a time before that of an earlier one.
    pub(super) out_of_order: u64,
    /// What switches told beside calls.
    pub(super) notices: u64,
    pub(super) notes: Notes,
    rejected: BTreeMap<&'static str, u64>,
}

impl Summary {
    pub(super) fn rejected(&mut self, code: &'static str) {
        *self.rejected.entry(code).or_default() += 1;
    }

    /// Several lines; what is 0 and says nothing is left out.
    pub(super) fn text(&self, stats: &Stats, stream: bool) -> String {
        let rejected: u64 = self.rejected.values().sum();
        let reasons: Vec<String> =
            self.rejected.iter().map(|(code, count)| format!("{count} {code}")).collect();
        let sessions = stats.emitted - stats.revisions + stats.without_person;
        let mut out = String::new();
        let mut line = |name: &str, count: u64, about: &str| {
            let _ = writeln!(out, "{}", format!("{name:<22}{count:>10}  {about}").trim_end());
        };
        line("elements read", self.elements + rejected, "");
        line("  rejected", rejected, &reasons.join(", "));
        line("leg records", stats.accepted, "");
        line("  repeats", stats.repeats, "");
        line("sessions", sessions, "");
        line("records out", stats.emitted, "");
        line("  revisions", stats.revisions, "");
        let more = [
            ("  partial", stats.partial, "not all of the call was known"),
            ("sessions not out", stats.without_person, "nobody took part"),
            ("sessions absorbed", stats.absorbed, "two that were one"),
            ("reopened, unchanged", stats.unchanged, ""),
            ("legs refused", stats.too_late + stats.session_full, "their session was forgotten, or full"),
            (
                "out of order",
                if stream { self.out_of_order } else { 0 },
                "--stream wants the input in order of time",
            ),
            ("unknown keys", self.notes.unknown_keys, "ignored"),
            ("keys given twice", self.notes.duplicate_keys, "the last one counts"),
            ("unknown zones", self.notes.unknown_zones, "ignored"),
            ("invalid UTF-8", self.notes.invalid_utf8, "became U+FFFD"),
            ("local times", self.notes.local_times, "without an offset: in the platform's zone, else UTC"),
            ("notices", self.notices, "faxes, messages, changed documents: no legs"),
            ("passed over", self.notes.passed_over, "messages that say nothing of a leg"),
            ("far legs", self.notes.far_legs, "read out of another leg's document"),
            ("negative intervals", stats.negative_intervals, "two clocks disagree"),
            ("clock disagreements", stats.clock_disagreements, "bridges of legs that never lived together"),
            ("unknown bridges", stats.unknown_bridges, "with a leg that is not in the input"),
            ("broken links", stats.broken_links, "carried by more than 1,000 legs"),
        ];
        for (name, count, about) in more.into_iter().filter(|(_, count, _)| *count > 0) {
            line(name, count, about);
        }
        out
    }
}
