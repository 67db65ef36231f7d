//! The status as text of 80 columns. Everything that others named is made harmless and cut to its column.

use std::fmt::Write;

use ringpost_model::Timestamp;

use crate::admin::status::{Lane, LastMinute, OwedBy, Queue, Source, Stage, Status};
use crate::cli::harmless;
use crate::config::Role;

const WIDTH: usize = 80;
/// Lanes shown; `--json` has more.
const LANES: usize = 15;
/// Older than this the picture is not of now: the server has more important things to do, or hangs.
const STALE_SECONDS: i64 = 5;

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const DIM: &str = "2";

/// The page.
pub(super) fn page(status: &Status, now: Timestamp, coloured: bool) -> String {
    let look = Look { coloured, now };
    let mut out = String::new();
    look.head(&mut out, status);
    look.stages(&mut out, &status.stages);
    look.sources(&mut out, &status.sources);
    look.work(&mut out, status);
    look.owed(&mut out, status);
    look.lanes(&mut out, status);
    look.queues(&mut out, &status.queues);
    for what in &status.unknown {
        let _ = writeln!(out, "{}", look.paint(RED, &fit(&format!("not known: {what}"), WIDTH)));
    }
    out
}

struct Look {
    coloured: bool,
    now: Timestamp,
}

impl Look {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.coloured { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn head(&self, out: &mut String, status: &Status) {
        let readiness = match status.readiness.as_str() {
            "ready" => self.paint(GREEN, "ready"),
            "starting" => {
                let names = status.waiting_for.iter().map(|one| one.split(" (").next().unwrap_or_default());
                let names = names.collect::<Vec<_>>().join(", ");
                self.paint(YELLOW, &fit(&format!("starting, waits for {names}"), 60))
            }
            other => self.paint(YELLOW, &fit(other, 40)),
        };
        let up = span(seconds(status.started, status.at));
        let _ = writeln!(out, "ringpost {}  {readiness}  up {up}", fit(&status.version, 16));
        if !status.roles.is_empty() && status.roles.len() < Role::ALL.len() {
            let _ =
                writeln!(out, "{}", self.paint(DIM, &format!("only {}", fit(&status.roles.join(", "), 60))));
        }
        for reason in status.waiting_for.iter().filter(|one| one.contains(" (")) {
            let _ = writeln!(out, "{}", self.paint(YELLOW, &fit(reason, WIDTH)));
        }
        let age = seconds(status.at, self.now);
        if age > STALE_SECONDS {
            let text = format!("as of {} ago: the server has not measured since", span(age));
            let _ = writeln!(out, "{}", self.paint(YELLOW, &text));
        }
    }

    fn stages(&self, out: &mut String, stages: &[Stage]) {
        let _ = writeln!(out, "\n{}", self.paint(DIM, "STAGE          RECORDS BEHIND  OLDEST UNREAD"));
        for stage in stages {
            let oldest = if stage.lag_records == 0 { "-".to_owned() } else { tenths(stage.lag_seconds) };
            let line = format!("{:<14} {:>14}  {oldest:>13}", fit(&stage.name, 14), count(stage.lag_records));
            let is_late = stage.lag_seconds >= 60.0;
            let _ = writeln!(out, "{}", if is_late { self.paint(YELLOW, &line) } else { line });
        }
        if stages.is_empty() {
            let _ = writeln!(out, "nothing was read yet");
        }
    }

    fn sources(&self, out: &mut String, sources: &[Source]) {
        if sources.is_empty() {
            return;
        }
        let head = "SOURCE    BYTES BEHIND  FILES       LEGS    REJECTED  PATH";
        let _ = writeln!(out, "\n{}", self.paint(DIM, head));
        for source in sources {
            let state = format!("{:<8}", fit(&source.state, 8));
            let state = match source.state.as_str() {
                "trouble" => self.paint(RED, &state),
                "behind" | "waiting" => self.paint(YELLOW, &state),
                _ => state,
            };
            let (behind, files) = (count(source.behind_bytes), count(source.files));
            let (legs, rejected) = (count(source.legs), count(source.rejected));
            // Of a path its end says the most.
            let path = fit_end(&source.path, 26);
            let _ = writeln!(out, "{state} {behind:>13} {files:>6} {legs:>10} {rejected:>11}  {path}");
            if !source.reason.is_empty() {
                let reason = format!("         {}", fit(&source.reason, WIDTH - 9));
                let _ = writeln!(out, "{}", self.paint(RED, &reason));
            }
        }
    }

    fn work(&self, out: &mut String, status: &Status) {
        let LastMinute { seconds, legs, records, requests, delivered } = status.last_minute;
        let (legs, records, requests) = (count(legs), count(records), count(requests));
        let done =
            format!("{legs} legs in, {records} records out, {requests} requests, {} ok", count(delivered));
        let _ = writeln!(out, "\nLast {:<7} {}", format!("{seconds} s"), fit(&done, WIDTH - 13));
        let (live, kept) = (count(status.sessions.live), count(status.sessions.kept));
        let _ = writeln!(out, "Calls        {live} live, {kept} kept for late records");
        let letters = status.dead_letters;
        let text = format!("{} open", count(letters));
        let text = if letters > 0 { self.paint(YELLOW, &text) } else { text };
        let _ = writeln!(out, "Dead letters {text}");
    }

    fn owed(&self, out: &mut String, status: &Status) {
        let owed = &status.owed;
        let due =
            owed.oldest_due.map_or_else(String::new, |due| format!(", the oldest due {}", self.when(due)));
        let held = if owed.held > 0 { format!(", {} held", count(owed.held)) } else { String::new() };
        let spent = if owed.spent > 0 {
            format!(", {} failed that may come back", count(owed.spent))
        } else {
            String::new()
        };
        let line = format!("{} deliveries{due}{held}{spent}", count(owed.deliveries));
        let _ = writeln!(out, "Owed         {}", fit(&line, WIDTH - 13));
        if owed.most.is_empty() {
            return;
        }
        let _ = writeln!(
            out,
            "\n{}",
            self.paint(DIM, "      OWED  RATE/s  TENANT        TRIGGER           RECEIVER")
        );
        for OwedBy { tenant, name, url, deliveries, rate, .. } in &owed.most {
            let rate = rate.map_or_else(|| "-".to_owned(), |rate| rate.to_string());
            let (tenant, name) = (fit(tenant, 12), fit(name, 16));
            let line =
                format!("{:>10}  {rate:>6}  {tenant:<12}  {name:<16}  {}", count(*deliveries), fit(url, 28));
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }

    fn lanes(&self, out: &mut String, status: &Status) {
        let lanes = &status.lanes;
        let _ = writeln!(
            out,
            "\nLanes        {} busy, {} requests in flight, {} wait; {} in trouble",
            count(lanes.busy),
            count(lanes.in_flight),
            count(lanes.waiting),
            count(lanes.troubled.len() as u64 + lanes.more)
        );
        if lanes.troubled.is_empty() {
            return;
        }
        let head = "STATE    SINCE   NEXT       OWED  RECEIVER                      REASON";
        let _ = writeln!(out, "\n{}", self.paint(DIM, head));
        for lane in lanes.troubled.iter().take(LANES) {
            self.lane(out, lane);
        }
        let more = lanes.troubled.len().saturating_sub(LANES) as u64 + lanes.more;
        if more > 0 {
            let _ = writeln!(out, "and {} more", count(more));
        }
    }

    fn lane(&self, out: &mut String, lane: &Lane) {
        let state = format!("{:<8}", fit(&lane.state, 8));
        let state = match lane.state.as_str() {
            "open" => self.paint(RED, &state),
            _ => self.paint(YELLOW, &state),
        };
        let since = lane.since.map_or_else(|| "-".to_owned(), |since| span(seconds(since, self.now)));
        let next = lane.next.map_or_else(
            || "-".to_owned(),
            |next| {
                let left = seconds(self.now, next);
                if left <= 0 { "now".to_owned() } else { span(left) }
            },
        );
        // A lane of which nobody wrote down where it leads has its id.
        let url = if lane.url.is_empty() { &lane.lane } else { &lane.url };
        let (owed, url, reason) = (count(lane.owed), fit(url, 28), fit(&lane.reason, 16));
        let line = format!("{state} {since:<7} {next:<6} {owed:>8}  {url:<28}  {reason}");
        let _ = writeln!(out, "{}", line.trim_end());
    }

    fn queues(&self, out: &mut String, queues: &[Queue]) {
        let _ = writeln!(out, "\n{}", self.paint(DIM, "QUEUE             DEPTH       BOUND"));
        for Queue { name, depth, capacity, unit } in queues {
            let line = format!(
                "{:<10} {:>12} {:>11}  {}",
                fit(name, 10),
                count(*depth),
                count(*capacity),
                fit(unit, 12)
            );
            let is_full = *capacity > 0 && depth.saturating_mul(10) >= capacity.saturating_mul(8);
            let _ = writeln!(out, "{}", if is_full { self.paint(YELLOW, &line) } else { line });
        }
    }

    fn when(&self, at: Timestamp) -> String {
        let left = seconds(self.now, at);
        if left > 0 { format!("in {}", span(left)) } else { format!("{} ago", span(-left)) }
    }
}

fn fit(text: &str, width: usize) -> String {
    let text = harmless(text);
    if text.chars().count() <= width {
        return text;
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Cut at its begin.
fn fit_end(text: &str, width: usize) -> String {
    let text = harmless(text);
    let length = text.chars().count();
    if length <= width {
        return text;
    }
    std::iter::once('…').chain(text.chars().skip(length + 1 - width)).collect()
}

fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    (to.micros() - from.micros()).div_euclid(1_000_000)
}

/// The two largest units.
fn span(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..60 => format!("{s}s"),
        s @ 60..3_600 => format!("{}m{:02}s", s / 60, s % 60),
        s @ 3_600..86_400 => format!("{}h{:02}m", s / 3_600, s % 3_600 / 60),
        s => format!("{}d{:02}h", s / 86_400, s % 86_400 / 3_600),
    }
}

fn tenths(seconds: f64) -> String {
    if seconds < 60.0 { format!("{seconds:.1}s") } else { span(seconds as i64) }
}

/// With a comma every three digits.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
