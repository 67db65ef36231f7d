//! The bridges of one leg as both ends tell them: what decides whether a record says anything new.

use super::Space;
use crate::merge::{BridgeSaid, Interval, Merged, intervals};

impl Space {
    /// The bridges of a leg by partner; bit 1 of `by` = the leg itself tells it, bit 2 = the partner does.
    pub(crate) fn bridges_of<'a>(&'a self, id: &str, merged: &Merged<'a>) -> Vec<(&'a str, Vec<Interval>)> {
        let own = merged.bridges.iter().filter_map(|said| match said {
            BridgeSaid::Interval(with, ..) | BridgeSaid::Open(with, _) => Some(*with),
            BridgeSaid::Close(..) => None,
        });
        let namers = self.namers.get(id).into_iter().flatten().map(|namer| &*self.legs[*namer].id);
        let mut partners: Vec<&str> = own.chain(namers).filter(|partner| *partner != id).collect();
        partners.sort_unstable();
        partners.dedup();
        partners.into_iter().map(|partner| (partner, self.between(id, merged, partner))).collect()
    }

    fn between(&self, id: &str, merged: &Merged<'_>, partner: &str) -> Vec<Interval> {
        let mut told = Told::default();
        told.add(&merged.bridges, partner, 1);
        if let Some(leg) = self.by_id.get(partner) {
            told.add(&self.legs[*leg].merged().bridges, id, 2);
        }
        intervals(told.intervals, told.opens, told.closes)
    }
}

#[derive(Default)]
struct Told {
    intervals: Vec<Interval>,
    opens: Vec<(i64, u8)>,
    closes: Vec<i64>,
}

impl Told {
    /// Adds what one leg says about another.
    fn add(&mut self, said: &[BridgeSaid<'_>], about: &str, by: u8) {
        for one in said {
            match *one {
                BridgeSaid::Interval(with, from, to) if with == about => {
                    self.intervals.push(Interval { from, to, by });
                }
                BridgeSaid::Open(with, at) if with == about => self.opens.push((at, by)),
                BridgeSaid::Close(with, at) if with.is_none_or(|with| with == about) => self.closes.push(at),
                _ => {}
            }
        }
    }
}
