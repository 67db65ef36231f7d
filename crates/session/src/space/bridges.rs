//! The bridges of one leg as both ends tell them: what decides whether a record says anything new.

use super::Space;
use crate::merge::{BridgeSaid, Interval, Merged, PairTold, leave_all};

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
        let mut told: Vec<PairTold> =
            partners.iter().map(|partner| self.between(id, merged, partner)).collect();
        let leaves = merged.bridges.iter().filter_map(|said| match said {
            BridgeSaid::Close(None, at) => Some(*at),
            _ => None,
        });
        leave_all(&mut told.iter_mut().collect::<Vec<_>>(), leaves.collect());
        partners.into_iter().zip(told.iter().map(PairTold::settle)).collect()
    }

    fn between(&self, id: &str, merged: &Merged<'_>, partner: &str) -> PairTold {
        let mut told = PairTold::default();
        told.add(&merged.bridges, partner, 1);
        if let Some(leg) = self.by_id.get(partner) {
            told.add(&self.legs[*leg].merged().bridges, id, 2);
        }
        told
    }
}

impl PairTold {
    /// Adds what one leg says about another.
    pub(crate) fn add(&mut self, said: &[BridgeSaid<'_>], about: &str, by: u8) {
        for one in said {
            match *one {
                BridgeSaid::Interval(with, from, to) if with == about => {
                    self.intervals.push(Interval { from, to, by });
                }
                BridgeSaid::Open(with, at) if with == about => self.opens.push((at, by)),
                BridgeSaid::Close(Some(with), at) if with == about => self.closes.push(at),
                // Whom the partner leaves besides is not looked at here: it matters to a record, not to whether
                // another one says anything new.
                BridgeSaid::Close(None, at) if by == 2 => self.closes.push(at),
                _ => {}
            }
        }
    }
}
