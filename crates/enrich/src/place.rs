//! Where the other party's number is from: keys `cliLoc`, `cliArea`, `cliState`, `cliCtry`.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use ringpost_model::Cdr;
use ringpost_numbers::Place;

/// Numbers that are kept, as a power of two: callers of the last minutes call again, and 4,096 of them cost 700 KB.
const KEPT: usize = 1 << 12;

/// Looks numbers up, and remembers those of late: one in its slot, the newer in place of the older.
#[derive(Debug)]
pub struct Places {
    slots: Vec<Option<(Box<str>, Place)>>,
    hasher: BuildHasherDefault<DefaultHasher>,
}

impl Default for Places {
    fn default() -> Self {
        Self { slots: vec![None; KEPT], hasher: BuildHasherDefault::default() }
    }
}

impl Places {
    /// The place of a number in E.164; of anything else nothing is known.
    pub fn of(&mut self, number: &str) -> Place {
        if !number.starts_with('+') {
            return Place::default();
        }
        let at = self.hasher.hash_one(number) as usize % KEPT;
        let Some(slot) = self.slots.get_mut(at) else { return ringpost_numbers::place(number) };
        match slot {
            Some((known, place)) if **known == *number => *place,
            _ => {
                let place = ringpost_numbers::place(number);
                *slot = Some((number.into(), place));
                place
            }
        }
    }

    /// Says of a record where its other party is.
    pub fn enrich(&mut self, cdr: &mut Cdr) {
        let Place { location, area, state, country } = self.of(&cdr.cli.number);
        cdr.cli.location = location.into();
        cdr.cli.area = area.as_str().into();
        cdr.cli.state = state.into();
        cdr.cli.country = country.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_takes_the_slot_of_another_is_still_itself() {
        let mut places = Places::default();
        for _ in 0..2 {
            for n in 0..10_000 {
                let number = format!("+44161496{n:04}");
                assert_eq!(places.of(&number), ringpost_numbers::place(&number));
            }
        }
    }

    #[test]
    fn a_device_or_a_hidden_number_is_from_nowhere() {
        let mut places = Places::default();
        for number in ["", "201", "anonymous", "0161 496 0000"] {
            assert_eq!(places.of(number), Place::default(), "{number}");
        }
    }
}
