//! A row as read: a path from one channel to another, or to an application.

use std::sync::Arc;

use ringpost_model::{Text, Timestamp};

use super::{
    ANSWER, APP, BILLABLE, CALLER, CHANNEL, CONTEXT, DATA, DISPOSITION, DURATION, END, FROM, OTHER, PUBLIC,
    RECORDING, SEQUENCE, START, TO,
};
use crate::asterisk::table::{LINKEDID, Table, UNIQUEID};
use crate::asterisk::{Owner, Source, clock, endpoint};
use crate::decoded::Notes;
use crate::reason::{Reason, clip};

/// Ordered by call, then by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) owner: Arc<Owner>,
    /// The linked id, else the unique id, else the channel and when it began.
    pub(super) call: Text,
    pub(super) start: Timestamp,
    pub(super) sequence: u64,
    pub(super) channel: Text,
    /// The channel at the other end; empty = an application.
    pub(super) other: Text,
    pub(super) answer: Option<Timestamp>,
    pub(super) end: Timestamp,
    pub(super) disposition: Disposition,
    pub(super) number: Text,
    pub(super) name: Text,
    pub(super) dialled: Text,
    pub(super) context: Text,
    pub(super) app: Text,
    pub(super) data: Text,
    pub(super) recording: Option<Text>,
    /// The public number that was called (FreePBX).
    pub(super) public: Text,
}

/// What became of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Disposition {
    NoAnswer,
    Failed,
    Busy,
    Congestion,
    Answered,
}

impl Disposition {
    fn read(text: &str) -> Option<Self> {
        const NAMES: [(&str, Disposition); 7] = [
            ("ANSWERED", Disposition::Answered),
            ("ANSWER", Disposition::Answered),
            ("NO ANSWER", Disposition::NoAnswer),
            ("NOANSWER", Disposition::NoAnswer),
            ("BUSY", Disposition::Busy),
            ("FAILED", Disposition::Failed),
            ("CONGESTION", Disposition::Congestion),
        ];
        NAMES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map(|(_, found)| *found)
    }

    /// The cause that comes nearest.
    pub(super) const fn cause(self) -> &'static str {
        match self {
            Self::Answered => "NORMAL_CLEARING",
            Self::NoAnswer => "NO_ANSWER",
            Self::Busy => "USER_BUSY",
            Self::Congestion => "SWITCH_CONGESTION",
            Self::Failed => "NORMAL_TEMPORARY_FAILURE",
        }
    }
}

impl Row {
    /// Of its longer texts.
    pub(super) fn bytes(&self) -> usize {
        let texts =
            [&self.call, &self.channel, &self.other, &self.number, &self.name, &self.dialled, &self.data];
        texts.iter().map(|text| text.len()).sum()
    }

    pub(super) fn read(
        source: &Source<'_>,
        table: &Table,
        owner: Arc<Owner>,
        notes: &mut Notes,
    ) -> Result<Self, Reason> {
        let channel = table.text(CHANNEL).ok_or_else(|| Reason::missing("channel"))?;
        let start = table.text(START).ok_or_else(|| Reason::missing("start"))?;
        let start = time(source, "start", start, notes)?;
        let disposition = table.text(DISPOSITION).ok_or_else(|| Reason::missing("disposition"))?;
        let disposition = Disposition::read(disposition).ok_or_else(|| Reason::UnknownValue {
            path: "disposition".to_owned(),
            got: clip(disposition),
            known: "ANSWERED, NO ANSWER, BUSY, FAILED, CONGESTION",
        })?;
        let end = match table.text(END) {
            Some(text) => time(source, "end", text, notes)?,
            None => start.plus_micros(seconds(table, DURATION).ok_or_else(|| Reason::missing("end"))?),
        };
        let is_answered = disposition == Disposition::Answered;
        let answer = match table.text(ANSWER).filter(|text| is_answered && !text.starts_with("0000-")) {
            Some(text) => Some(time(source, "answer", text, notes)?),
            None => seconds(table, BILLABLE).filter(|_| is_answered).map(|billed| end.plus_micros(-billed)),
        };
        let unnamed = || format!("{channel}@{}", start.seconds());
        let call = table.text(LINKEDID).or(table.text(UNIQUEID)).map_or_else(unnamed, str::to_owned);
        let text = |column| Text::from(table.text(column).unwrap_or_default());
        let (name, number) = caller(table.text(CALLER).unwrap_or_default());
        Ok(Self {
            owner,
            call: call.into(),
            start,
            sequence: table.text(SEQUENCE).and_then(|text| text.parse().ok()).unwrap_or_default(),
            channel: channel.into(),
            other: text(OTHER),
            answer,
            end,
            disposition,
            number: table.text(FROM).unwrap_or(number).into(),
            name: name.into(),
            dialled: text(TO),
            context: text(CONTEXT),
            app: text(APP),
            data: text(DATA),
            recording: endpoint::recording(table.text(RECORDING)),
            public: text(PUBLIC),
        })
    }
}

fn time(source: &Source<'_>, path: &str, text: &str, notes: &mut Notes) -> Result<Timestamp, Reason> {
    clock::read(text, source.zone, notes).map_err(|error| Reason::Time { path: path.to_owned(), error })
}

/// Whole seconds of a column, in microseconds.
fn seconds(table: &Table, column: usize) -> Option<i64> {
    let text = table.text(column)?;
    let whole: u32 = text.split('.').next()?.parse().ok()?;
    Some(i64::from(whole) * 1_000_000)
}

/// Name and number of `"Ann Caller" <1001>`.
fn caller(text: &str) -> (&str, &str) {
    let Some((name, rest)) = text.rsplit_once('<') else { return ("", text.trim()) };
    (name.trim().trim_matches('"').trim(), rest.trim_end_matches('>').trim())
}
