//! How records arrive: a little after they were written, sometimes twice, sometimes minutes late, and not in
//! order. Never so late that a part of a call, already closed, has been forgotten (sessions.md 2, Closing).

use super::Told;
use crate::dice::Dice;
use crate::script::{MS, Micros, S};

/// From the switch to us.
pub(super) fn delay(dice: &mut Dice) -> Micros {
    if dice.percent(10) { dice.between(300 * MS, 1_500 * MS) } else { dice.between(5 * MS, 300 * MS) }
}

/// Some come twice, and of some calls one leg's last word comes minutes later.
pub(super) fn disturb(told: &mut Vec<Told>, dice: &mut Dice) {
    if dice.percent(4) {
        delay_one(told, dice);
    }
    for index in 0..told.len() {
        if dice.percent(2) {
            let at = told[index].at + dice.between(0, 30 * S);
            let record = told[index].record.clone();
            told.push(Told { at, record, last: false });
        }
    }
}

fn delay_one(told: &mut [Told], dice: &mut Dice) {
    let last: Vec<usize> = (0..told.len()).filter(|index| told[*index].last).collect();
    if last.is_empty() {
        return;
    }
    let index = *dice.pick(&last);
    told[index].at += dice.between(5 * S, 240 * S);
}
