//! All tables of a tenant, as one value of one version, and what they say of a record.

use std::collections::{BTreeMap, HashMap};

use ringpost_model::{
    CallDirection, Cdr, Device, Envelope, Faces, Leg, LegDirection, NumberName, PublicNumber, Rate, Side,
    TariffDirection, Text, Timestamp,
};
use ringpost_numbers::{Region, normalise};

use crate::{Contacts, Tariff};

mod again;

/// Everything that one tenant's records are enriched from, besides where numbers are from.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// Which version of each kind this is; kinds that the tenant has none of are left out.
    pub versions: BTreeMap<Text, u64>,
    /// Whose numbers are whose.
    pub contacts: Contacts,
    /// The tenant's own numbers.
    pub numbers: Numbers,
    /// Who sits where.
    pub devices: Devices,
    /// Prices, in the order in which they are asked.
    pub tariffs: Vec<(TariffDirection, Tariff)>,
}

/// Names of the tenant's public numbers.
#[derive(Debug, Clone, Default)]
pub struct Numbers(HashMap<Text, Text>);

/// Devices by their number.
#[derive(Debug, Clone, Default)]
pub struct Devices(HashMap<Text, Device>);

/// What came of looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Contacts in the record.
    pub matches: usize,
    /// Contacts that were too many for it.
    pub more_matches: usize,
    /// A tariff gave it a price.
    pub is_rated: bool,
}

impl FromIterator<PublicNumber> for Numbers {
    fn from_iter<I: IntoIterator<Item = PublicNumber>>(numbers: I) -> Self {
        Self(numbers.into_iter().map(|one| (one.number, one.name)).collect())
    }
}

impl FromIterator<Device> for Devices {
    fn from_iter<I: IntoIterator<Item = Device>>(devices: I) -> Self {
        Self(devices.into_iter().map(|one| (one.number.clone(), one)).collect())
    }
}

impl Tables {
    /// Fills a record with what the tables know of it, and writes into its envelope which version that was. `region`
    /// is the one in which its legs' numbers are read.
    pub fn enrich(&self, envelope: &mut Envelope, region: Option<Region>) -> Counts {
        let mut counts = Counts::default();
        envelope.tables.clone_from(&self.versions);
        self.numbers.enrich(&mut envelope.cdr);
        self.devices.enrich(&mut envelope.cdr);
        let found = self.contacts.find(&envelope.cdr.cli.number);
        (counts.matches, counts.more_matches) = (found.matches.len(), found.more);
        envelope.cdr.directory_matches = found.matches;
        if envelope.cdr.rate.is_none() {
            envelope.cdr.rate = self.rate(&envelope.cdr, &envelope.legs, region);
            counts.is_rated = envelope.cdr.rate.is_some();
        }
        counts
    }

    /// What they take in memory, in bytes, about.
    pub fn bytes(&self) -> usize {
        let tariffs: usize = self.tariffs.iter().map(|(_, tariff)| tariff.bytes()).sum();
        self.contacts.bytes() + self.numbers.bytes() + self.devices.bytes() + tariffs
    }

    fn rate(&self, cdr: &Cdr, legs: &[Leg], region: Option<Region>) -> Option<Rate> {
        if self.tariffs.is_empty() {
            return None;
        }
        let charge = Charge::of(cdr, legs, region)?;
        let wanted = self.tariffs.iter().filter(|(direction, _)| *direction == charge.direction);
        let rated = wanted.map(|(_, tariff)| tariff.rate(&charge.number, charge.answered, charge.seconds));
        let rated = rated.flatten().next()?;
        Some(Rate { cost: rated.cost, band: rated.row.band.clone(), name: rated.row.name.clone() })
    }
}

/// What of a call is charged.
struct Charge {
    direction: TariffDirection,
    number: Text,
    answered: Timestamp,
    /// From answer to end: carriers bill hold and park.
    seconds: i64,
}

impl Charge {
    /// None where nothing is: it was internal, or nobody answered.
    fn of(cdr: &Cdr, legs: &[Leg], region: Option<Region>) -> Option<Self> {
        let answered = cdr.answer?;
        let whole = |direction, number: &Text| Self {
            direction,
            number: number.clone(),
            answered,
            seconds: cdr.end.seconds() - answered.seconds(),
        };
        match cdr.direction {
            CallDirection::Outgoing => Some(whole(TariffDirection::Outgoing, &cdr.cli.number)),
            CallDirection::Incoming | CallDirection::Both if cdr.t2t => Self::forwarded(legs, region),
            CallDirection::Incoming => Some(whole(TariffDirection::Incoming, &cdr.ddi.number)),
            CallDirection::Unknown | CallDirection::Internal | CallDirection::Both => None,
        }
    }

    /// A caller from outside was connected to the outside: what is charged is the leg that was placed, as long as it
    /// was connected; an agent who talked before costs nothing.
    fn forwarded(legs: &[Leg], region: Option<Region>) -> Option<Self> {
        let is_placed = |leg: &&Leg| {
            leg.fields.side == Some(Side::External) && leg.fields.direction == Some(LegDirection::Out)
        };
        let placed = legs.iter().filter(is_placed);
        let (leg, answered) = placed
            .filter_map(|leg| leg.answered.map(|answered| (leg, answered)))
            .min_by_key(|(leg, answered)| (*answered, leg.leg.clone()))?;
        let dialled = [&leg.fields.dialled, &leg.fields.party.number];
        let dialled = dialled.into_iter().find(|number| !number.is_empty())?;
        let number = region.and_then(|region| normalise(dialled, region));
        let number = number.map_or_else(|| dialled.clone(), |number| number.as_str().into());
        let seconds = leg.ended?.seconds() - answered.seconds();
        Some(Self { direction: TariffDirection::Outgoing, number, answered, seconds })
    }
}

impl Numbers {
    fn enrich(&self, cdr: &mut Cdr) {
        if cdr.ddi.name.is_empty()
            && let Some(name) = self.0.get(&cdr.ddi.number)
        {
            cdr.ddi.name.clone_from(name);
        }
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|(number, name)| number.len() + name.len() + 64).sum()
    }
}

impl Devices {
    /// The device of a number.
    pub fn get(&self, number: &str) -> Option<&Device> {
        self.0.get(number)
    }

    /// Who sits at the devices that the record names, and under which name it goes, where the legs do not say it.
    fn enrich(&self, cdr: &mut Cdr) {
        if self.0.is_empty() {
            return;
        }
        let groups = [&mut cdr.first_group, &mut cdr.last_group, &mut cdr.answer_group];
        let numbers = [&cdr.devices.first_rang, &cdr.devices.last_rang, &cdr.devices.answered]
            .map(|face| &*face.number);
        for (group, number) in groups.into_iter().zip(numbers) {
            if let ("", Some([only])) = (&**group, self.get(number).map(|device| &*device.groups)) {
                group.clone_from(only);
            }
        }
        for face in FACES {
            let Some(device) = self.get(&face(&mut cdr.devices).number) else { continue };
            if face(&mut cdr.devices).name.is_empty() {
                face(&mut cdr.devices).name.clone_from(&device.name);
            }
            fill(face(&mut cdr.users), &device.user);
            fill(face(&mut cdr.agents), &device.agent);
        }
    }

    fn bytes(&self) -> usize {
        let pair = |pair: &NumberName| pair.number.len() + pair.name.len();
        let device = |device: &Device| {
            let groups: usize = device.groups.iter().map(|group| group.len() + 16).sum();
            2 * device.number.len() + device.name.len() + pair(&device.user) + pair(&device.agent) + groups
        };
        self.0.values().map(|one| size_of::<Device>() + 64 + device(one)).sum()
    }
}

/// First and last to ring and to answer.
const FACES: [fn(&mut Faces) -> &mut NumberName; 4] =
    [|it| &mut it.first_rang, |it| &mut it.last_rang, |it| &mut it.answered, |it| &mut it.last_answered];

/// A number and a name are one value.
fn fill(face: &mut NumberName, by: &NumberName) {
    if face.is_empty() {
        face.clone_from(by);
    }
}

#[cfg(test)]
mod tests;
