//! One channel of a call: what its own rows tell, and what the rows beside them tell of it.

use ringpost_model::{Fields, LegDirection, NumberName, Side, SideRules, Text, Timestamp};

use super::cause;
use super::row::{Event, Row};
use crate::asterisk::endpoint;

/// The rows of one channel, by time, and what is asked of them again and again.
#[derive(Debug)]
pub(super) struct Channel<'a> {
    /// At least one.
    pub(super) rows: Vec<&'a Row>,
    /// The name it began with.
    pub(super) name: &'a str,
    /// Its first row: who it is stands there. Without it these are the rows of a channel told elsewhere.
    pub(super) start: Option<&'a Row>,
    pub(super) answered: Option<Timestamp>,
    /// At its end, else at its hang-up.
    pub(super) ended: Option<Timestamp>,
    sides: &'a SideRules,
}

impl<'a> Channel<'a> {
    /// Of at least one row.
    pub(super) fn new(rows: Vec<&'a Row>, sides: &'a SideRules) -> Self {
        let last = |wanted: fn(&Event) -> bool| rows.iter().rfind(|row| wanted(&row.event)).map(|row| row.at);
        let end = last(|event| *event == Event::End);
        Self {
            name: rows.iter().map(|row| &*row.name).find(|name| !name.is_empty()).unwrap_or_default(),
            start: rows.iter().copied().find(|row| row.event == Event::Start),
            answered: rows.iter().find(|row| row.event == Event::Answer).map(|row| row.at),
            ended: end.or_else(|| last(|event| matches!(event, Event::Hangup(_)))),
            rows,
            sides,
        }
    }

    pub(super) fn first(&self) -> &'a Row {
        self.rows[0]
    }

    pub(super) fn id(&self) -> &'a str {
        &self.first().channel
    }

    pub(super) fn is_local(&self) -> bool {
        endpoint::is_local(self.name)
    }

    pub(super) fn created(&self) -> Option<Timestamp> {
        self.start.map(|row| row.at)
    }

    /// When its last row was written.
    pub(super) fn last(&self) -> Timestamp {
        self.rows[self.rows.len() - 1].at
    }

    pub(super) fn has(&self, event: &Event) -> bool {
        self.rows.iter().any(|row| row.event == *event)
    }

    pub(super) fn links(&self) -> Vec<Text> {
        let linked = self.rows.iter().map(|row| &row.linked);
        let tied = self.rows.iter().filter_map(|row| match &row.event {
            Event::Ties(ids) => Some(ids),
            _ => None,
        });
        let mut links: Vec<Text> = linked.chain(tied.flatten()).cloned().collect();
        links.sort_unstable();
        links.dedup();
        links
    }

    pub(super) fn recordings(&self) -> Vec<Text> {
        let mut ids: Vec<Text> = self.rows.iter().filter_map(|row| recording(&row.event)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The scalars. `dialled_outside`: placed by a channel that dialled out of the house.
    pub(super) fn fields(&self, dialled_outside: bool, group: &'a str) -> Fields {
        let cause = self.cause();
        if self.is_local() {
            return Fields { side: Some(Side::Service), cause, ..Fields::default() };
        }
        let Some(start) = self.start else {
            // Later rows win where records are merged: so this says only what the first row cannot say otherwise.
            let side = self.is_external().then_some(Side::External);
            return Fields { side, cause, ..Fields::default() };
        };
        let comes_from_outside = self.is_context_outside() || self.has(&Event::Incoming);
        let direction = direction(start, comes_from_outside);
        let is_in = direction == LegDirection::In;
        let is_external = (dialled_outside && !is_in) || self.is_external();
        let side = self.side(is_external);
        Fields {
            direction: Some(direction),
            side,
            party: self.party(is_in && is_external),
            dialled: if is_in { self.dialled(start) } else { Text::default() },
            device: if side == Some(Side::Internal) {
                self.device(&start.number)
            } else {
                NumberName::default()
            },
            group: if is_in { Text::default() } else { group.into() },
            cause,
            ..Fields::default()
        }
    }

    fn side(&self, is_external: bool) -> Option<Side> {
        let known = !self.name.is_empty();
        if is_external { Some(Side::External) } else { known.then_some(Side::Internal) }
    }

    fn device(&self, number: &Text) -> NumberName {
        NumberName { number: number.clone(), name: endpoint::endpoint(self.name).into() }
    }

    /// What can be guessed of a channel whose first row is not among these, and the time to say it at: just before its
    /// id was made, and so before any of its rows. So whatever the first row says wins, wherever it is told.
    pub(super) fn guess(&self) -> Option<(Timestamp, Fields)> {
        const LONGEST: i64 = 7 * 86_400 * 1_000_000;
        let epoch = self.id().rsplit_once('.')?.0.rsplit('-').next()?;
        let at = Timestamp::checked(epoch.parse::<i64>().ok()?.checked_mul(1_000_000)? - 1).ok()?;
        let age = self.first().at.micros() - at.micros();
        let numbered = self.rows.iter().find(|row| !row.number.is_empty());
        let is_guess = self.start.is_none() && !self.is_local() && (0..LONGEST).contains(&age);
        let row = numbered.filter(|_| is_guess)?;
        let side = self.side(self.is_external());
        let is_first = row.channel == row.linked;
        let fields = Fields {
            direction: Some(if is_first { LegDirection::In } else { LegDirection::Out }),
            side,
            party: self.party(false),
            device: if side == Some(Side::Internal) {
                self.device(&row.number)
            } else {
                NumberName::default()
            },
            ..Fields::default()
        };
        Some((at, fields))
    }

    fn is_external(&self) -> bool {
        if self.has(&Event::Incoming) {
            return true;
        }
        let number = self.rows.iter().map(|row| &*row.number).find(|number| !number.is_empty());
        match self.sides.of_endpoint(endpoint::endpoint(self.name)) {
            Some(side) => side == Side::External,
            None => {
                let by_number = || number.and_then(|number| self.sides.of_number(number));
                self.is_context_outside() || by_number() == Some(Side::External)
            }
        }
    }

    fn is_context_outside(&self) -> bool {
        let of_context = |start: &Row| self.sides.of_context(&start.context) == Some(Side::External);
        self.start.is_some_and(of_context)
    }

    /// Number and name of the first row that has a number; of the first application where the rules for incoming
    /// calls changed the number before.
    fn party(&self, is_incoming: bool) -> NumberName {
        let of = |row: &Row| NumberName { number: row.number.clone(), name: row.caller.clone() };
        let Some(first) = self.rows.iter().find(|row| !row.number.is_empty()) else {
            return NumberName::default();
        };
        let is_app = |row: &&&Row| matches!(row.event, Event::AppStart { .. }) && !row.number.is_empty();
        match self.rows.iter().find(is_app) {
            Some(ruled) if is_incoming && ruled.number != first.number => of(ruled),
            _ => of(first),
        }
    }

    fn dialled(&self, start: &Row) -> Text {
        let dialled_on = || self.rows.iter().find(|row| row.event == Event::DialledOn);
        let exten = start.exten.as_ref().filter(|exten| is_number(exten));
        let exten = exten.or_else(|| dialled_on()?.exten.as_ref().filter(|exten| is_number(exten)));
        exten.cloned().unwrap_or_default()
    }

    fn cause(&self) -> Text {
        let causes = self.rows.iter().filter_map(|row| match row.event {
            Event::Hangup(cause) => Some((row.at, cause?)),
            _ => None,
        });
        causes.max_by_key(|(at, _)| *at).map(|(_, cause)| cause).map(cause::name).unwrap_or_default().into()
    }
}

/// A call's first channel entered if it dialled something, or came from a carrier on `s`; the others were placed,
/// and so was the first leg of an originate. A table without extensions does not say, but calls mostly enter.
fn direction(start: &Row, comes_from_outside: bool) -> LegDirection {
    let dialled = match start.exten.as_deref() {
        None => true,
        Some("s") => comes_from_outside,
        Some(exten) => !exten.is_empty(),
    };
    if start.channel == start.linked && dialled { LegDirection::In } else { LegDirection::Out }
}

fn is_number(exten: &str) -> bool {
    !exten.is_empty() && exten != "s"
}

/// Also of an application that records, where the switch writes no row for the recording itself.
fn recording(event: &Event) -> Option<Text> {
    match event {
        Event::Recording(id) => Some(id.clone()),
        Event::AppStart { app, data } if app.eq_ignore_ascii_case("MixMonitor") => {
            endpoint::recording(data.split(',').next())
        }
        _ => None,
    }
}
