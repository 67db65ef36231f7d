//! What dialects that tell a call message by message have in common: how messages arrive.

use crate::dice::Dice;
use crate::script::{MS, Micros, S, Script};

/// The messages of one call by time of arrival, and what its expected record is worked out from.
pub(crate) struct Call {
    pub(crate) script: Script,
    pub(crate) messages: Vec<(Micros, Vec<u8>)>,
}

/// The way from a switch to who reads its messages: some come late, some twice.
pub(crate) struct Post<'a> {
    dice: &'a mut Dice,
    messages: Vec<(Micros, Vec<u8>)>,
}

impl<'a> Post<'a> {
    pub(crate) const fn new(dice: &'a mut Dice) -> Self {
        Self { dice, messages: Vec::new() }
    }

    /// Sends a message of what happened at that time.
    pub(crate) fn send(&mut self, at: Micros, body: Vec<u8>) {
        let slow = self.dice.percent(10);
        let (least, most) = if slow { (300 * MS, 1_500 * MS) } else { (5 * MS, 300 * MS) };
        let arrives = at + self.dice.between(least, most);
        if self.dice.percent(2) {
            self.messages.push((arrives + self.dice.between(0, 30 * S), body.clone()));
        }
        self.messages.push((arrives, body));
    }

    /// All that was sent, with the time at which it arrives.
    pub(crate) fn sent(self) -> Vec<(Micros, Vec<u8>)> {
        self.messages
    }
}
