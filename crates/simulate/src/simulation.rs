//! The stream of messages: calls begin over a day, and what is told of them is merged by arrival.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};

use ringpost_model::{Cdr, Dialect, PbxKey, TenantKey, Timestamp};

use crate::dice::Dice;
use crate::script::{Micros, S, Script, truth};
use crate::{asterisk, events, kazoo, scenario, switch, tell};

const DAY: Micros = 86_400 * S;

/// Calls per hour of the day, as a share of 1,000: busy mornings, quiet nights, never none.
const HOURS: [u64; 24] =
    [14, 14, 10, 8, 8, 10, 18, 36, 72, 88, 84, 74, 58, 66, 80, 78, 70, 60, 44, 32, 26, 20, 16, 14];

/// What to simulate.
#[derive(Debug, Clone)]
pub struct Params {
    /// How many calls. A room in which several callers meet counts each.
    pub calls: u64,
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// As which switch the messages are written.
    pub dialect: Dialect,
    /// Begin of the day on which the calls begin.
    pub start: Timestamp,
}

impl Default for Params {
    /// 1,000 calls on the day on which Europe's clocks go back.
    fn default() -> Self {
        Self {
            calls: 1_000,
            seed: 1,
            dialect: Dialect::Native,
            start: Timestamp::from_micros(1_792_886_400 * S - 20 * 3_600 * S),
        }
    }
}

/// One message of a switch, on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// When it arrives.
    pub at: Timestamp,
    /// Whose.
    pub tenant: TenantKey,
    /// From which platform.
    pub pbx: PbxKey,
    /// Native: one record, without a line break. FreeSWITCH: one document or event. Kazoo: one
    /// message. Asterisk: the rows of one call.
    pub body: Vec<u8>,
}

/// The expected record of one call.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// Whose.
    pub tenant: TenantKey,
    /// On which platform.
    pub pbx: PbxKey,
    /// The record, as `aggregate` prints it where nothing is configured.
    pub cdr: Cdr,
}

/// Messages in order of arrival. Memory is bounded by the calls alive at one time.
pub struct Simulation {
    params: Params,
    /// Calls, and with them sessions, made up so far.
    scripts: u64,
    calls: u64,
    pending: BinaryHeap<Reverse<Pending>>,
    truths: VecDeque<Truth>,
}

/// Ordered by arrival, then by when it was made up.
struct Pending {
    at: Micros,
    number: (u64, usize),
    message: Message,
}

impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pending {}

impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pending {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl Simulation {
    /// Nothing is made up before it is asked for.
    pub fn new(params: Params) -> Self {
        Self { params, scripts: 0, calls: 0, pending: BinaryHeap::new(), truths: VecDeque::new() }
    }

    /// The expected record of a call made up so far, each once; `None` = ask again after the next message. Take
    /// them all after each message, or they pile up.
    pub fn next_truth(&mut self) -> Option<Truth> {
        self.truths.pop_front()
    }

    fn begin_of(&self, script: u64) -> Micros {
        let total: u64 = HOURS.iter().sum();
        // Where in the day's calls this one stands, in millionths of an hour's share.
        let mut place =
            u128::from(script) * u128::from(total) * 1_000_000 / u128::from(self.params.calls.max(1));
        for (hour, share) in (0..).zip(HOURS) {
            let size = u128::from(share) * 1_000_000;
            if place < size {
                let within = i64::try_from(place * 3_600_000_000 / size).unwrap_or_default();
                return self.params.start.micros() + hour * 3_600 * S + within;
            }
            place -= size;
        }
        self.params.start.micros() + DAY
    }

    /// When the next call begins; none left = `None`.
    fn next_begin(&self) -> Option<Micros> {
        (self.calls < self.params.calls).then(|| self.begin_of(self.scripts))
    }

    fn make_up_call(&mut self, begin: Micros) {
        let number = self.scripts;
        let mut dice = Dice::new(self.params.seed, number);
        let tag = format!("{number:x}-{:x}", self.params.seed);
        let room = self.params.calls - self.calls;
        let begin = begin + dice.between(0, S);
        let (script, bodies) = match self.params.dialect {
            Dialect::Native => {
                let script = scenario::call(&mut dice, begin, &tag, room);
                let bodies = native(&script, &mut dice);
                (script, bodies)
            }
            Dialect::FreeswitchCdr => {
                let call = switch::call(&mut dice, begin, &tag);
                (call.script, call.documents)
            }
            Dialect::FreeswitchEvent => {
                let call = events::call(&mut dice, begin, &tag);
                (call.script, call.messages)
            }
            Dialect::Kazoo => {
                let call = kazoo::call(&mut dice, begin, &tag);
                (call.script, call.messages)
            }
            Dialect::AsteriskCel | Dialect::AsteriskCdr => {
                let table = asterisk::Table::of(self.params.dialect);
                let call = asterisk::call(&mut dice, begin, &tag, table);
                (call.script, vec![(call.at, call.body)])
            }
        };
        self.scripts += 1;
        self.calls += u64::try_from(script.sessions.len()).unwrap_or(1);
        let tenant = TenantKey::new(script.pbx.tenant).expect("the companies have valid keys");
        let pbx = PbxKey::new(script.pbx.key).expect("the platforms have valid keys");
        for index in 0..script.sessions.len() {
            let cdr = truth::record(&script, index);
            self.truths.push_back(Truth { tenant: tenant.clone(), pbx: pbx.clone(), cdr });
        }
        for (index, (at, body)) in bodies.into_iter().enumerate() {
            let (tenant, pbx) = (tenant.clone(), pbx.clone());
            let message = Message { at: Timestamp::from_micros(at), tenant, pbx, body };
            self.pending.push(Reverse(Pending { at, number: (number, index), message }));
        }
    }
}

fn native(script: &Script, dice: &mut Dice) -> Vec<(Micros, Vec<u8>)> {
    let told = tell::records(script, dice);
    told.iter().map(|told| (told.at, tell::print(script.pbx, &told.record))).collect()
}

impl Iterator for Simulation {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        while let Some(begin) = self.next_begin() {
            // What arrives before the next call begins is told before it is made up.
            let earlier = self.pending.peek().is_some_and(|Reverse(first)| first.at < begin);
            if earlier {
                break;
            }
            self.make_up_call(begin);
        }
        self.pending.pop().map(|Reverse(first)| first.message)
    }
}

#[cfg(test)]
mod tests;
