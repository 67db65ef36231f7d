//! Reads packed records by reference.

use ringpost_model::{LegDirection, Service, Side};
use rust_decimal::Decimal;

use super::{DIRECTIONS, SERVICES, SIDES, key};

/// One packed record without its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packed<'a> {
    /// A whole leg's edition; none = an event.
    pub(crate) rev: Option<u64>,
    /// What decides between two values.
    pub(crate) stamp: i64,
    facts: &'a [u8],
}

/// A scalar's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    Direction(LegDirection),
    Side(Side),
    Service(Service),
    Text(&'a str),
    /// Two texts of one value: number and name, or id and name of a route.
    Pair(&'a str, &'a str),
    Sip(u16),
    /// Cost, band, name, currency.
    Rating(Decimal, &'a str, &'a str, &'a str),
}

/// One thing that a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fact<'a> {
    Scalar(u8, Said<'a>),
    Link(&'a str),
    Recording(&'a str),
    Tag(&'a str, &'a str),
    /// One of the times, by its key.
    Time(u8, i64),
    Bridge(&'a str, i64, Option<i64>),
    Hold(i64, Option<i64>),
    Park(&'a str, i64, Option<i64>),
    Stay(Service, &'a str, &'a str, i64, Option<i64>),
    Bridged(&'a str),
    Unbridged(Option<&'a str>),
    Held,
    Resumed,
    Parked(&'a str),
    Retrieved,
    ServiceBegin(Service, &'a str, &'a str),
    ServiceEnd(Service, &'a str, &'a str),
}

/// The records packed one after another. Ends early where the bytes are no packed record.
pub(crate) fn records(bytes: &[u8]) -> impl Iterator<Item = (Packed<'_>, &[u8])> {
    let mut reader = Reader { bytes };
    std::iter::from_fn(move || {
        let whole = reader.bytes;
        let length = reader.unsigned()? as usize;
        let body = reader.take(length)?;
        let framed = &whole[..whole.len() - reader.bytes.len()];
        let mut head = Reader { bytes: body };
        let kind = head.byte()?;
        let rev = head.unsigned()?;
        let stamp = head.signed()?;
        let rev = (kind == 0).then_some(rev);
        Some((Packed { rev, stamp, facts: head.bytes }, framed))
    })
}

impl<'a> Packed<'a> {
    /// What it says, in the order written.
    pub(crate) fn facts(self) -> impl Iterator<Item = Fact<'a>> {
        let mut reader = FactReader { reader: Reader { bytes: self.facts }, stamp: self.stamp };
        std::iter::from_fn(move || reader.next())
    }

    /// Its links and bridges, which are written first.
    fn ties(self) -> impl Iterator<Item = Fact<'a>> {
        self.facts().take_while(|fact| matches!(fact, Fact::Link(_) | Fact::Bridge(..) | Fact::Bridged(_)))
    }

    /// The legs named in its bridges.
    pub(crate) fn names(self) -> impl Iterator<Item = &'a str> {
        self.ties().filter_map(|fact| match fact {
            Fact::Bridge(with, ..) | Fact::Bridged(with) => Some(with),
            _ => None,
        })
    }

    /// Its links.
    pub(crate) fn links(self) -> impl Iterator<Item = &'a str> {
        self.ties().filter_map(|fact| if let Fact::Link(link) = fact { Some(link) } else { None })
    }
}

/// Reads integers and texts; none at the end or where the bytes are not what we write.
pub(crate) struct Reader<'a> {
    pub(crate) bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(first)
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    pub(crate) fn unsigned(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        let raw = self.unsigned()?;
        Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let length = self.unsigned()? as usize;
        std::str::from_utf8(self.take(length)?).ok()
    }
}

struct FactReader<'a> {
    reader: Reader<'a>,
    stamp: i64,
}

impl<'a> FactReader<'a> {
    fn next(&mut self) -> Option<Fact<'a>> {
        let code = self.reader.byte()?;
        Some(match code {
            0..key::LINK => Fact::Scalar(code, self.scalar(code)?),
            key::LINK => Fact::Link(self.reader.text()?),
            key::RECORDING => Fact::Recording(self.reader.text()?),
            key::TAG => Fact::Tag(self.reader.text()?, self.reader.text()?),
            key::AT..=key::ENDED => Fact::Time(code, self.time()?),
            key::BRIDGE..=key::STAY => self.interval(code)?,
            _ => self.happening(code)?,
        })
    }

    fn scalar(&mut self, code: u8) -> Option<Said<'a>> {
        let reader = &mut self.reader;
        Some(match code {
            key::DIRECTION => Said::Direction(*DIRECTIONS.get(usize::from(reader.byte()?))?),
            key::SIDE => Said::Side(*SIDES.get(usize::from(reader.byte()?))?),
            key::SERVICE => Said::Service(self.service()?),
            key::PARTY | key::DDI | key::DEVICE | key::USER | key::AGENT | key::ROUTE => {
                Said::Pair(reader.text()?, reader.text()?)
            }
            key::SIP => Said::Sip(u16::try_from(reader.unsigned()?).ok()?),
            key::RATING => {
                let (band, name, currency) = (reader.text()?, reader.text()?, reader.text()?);
                let cost = Decimal::deserialize(reader.take(16)?.try_into().ok()?);
                Said::Rating(cost, band, name, currency)
            }
            _ => Said::Text(reader.text()?),
        })
    }

    fn interval(&mut self, code: u8) -> Option<Fact<'a>> {
        Some(match code {
            key::BRIDGE => {
                let with = self.reader.text()?;
                let (from, to) = self.span()?;
                Fact::Bridge(with, from, to)
            }
            key::HOLD => {
                let (from, to) = self.span()?;
                Fact::Hold(from, to)
            }
            key::PARK => {
                let slot = self.reader.text()?;
                let (from, to) = self.span()?;
                Fact::Park(slot, from, to)
            }
            _ => {
                let service = self.service()?;
                let (name, outcome) = (self.reader.text()?, self.reader.text()?);
                let (from, to) = self.span()?;
                Fact::Stay(service, name, outcome, from, to)
            }
        })
    }

    fn happening(&mut self, code: u8) -> Option<Fact<'a>> {
        Some(match code {
            key::BRIDGED => Fact::Bridged(self.reader.text()?),
            key::UNBRIDGED => Fact::Unbridged(Some(self.reader.text()?)),
            key::UNBRIDGED_ALL => Fact::Unbridged(None),
            key::HELD => Fact::Held,
            key::RESUMED => Fact::Resumed,
            key::PARKED => Fact::Parked(self.reader.text()?),
            key::RETRIEVED => Fact::Retrieved,
            key::SERVICE_BEGIN => {
                Fact::ServiceBegin(self.service()?, self.reader.text()?, self.reader.text()?)
            }
            key::SERVICE_END => Fact::ServiceEnd(self.service()?, self.reader.text()?, self.reader.text()?),
            _ => return None,
        })
    }

    fn service(&mut self) -> Option<Service> {
        SERVICES.get(usize::from(self.reader.byte()?)).copied()
    }

    fn time(&mut self) -> Option<i64> {
        Some(self.reader.signed()?.wrapping_add(self.stamp))
    }

    fn span(&mut self) -> Option<(i64, Option<i64>)> {
        let from = self.time()?;
        let to = if self.reader.byte()? == 1 { Some(self.time()?) } else { None };
        Some((from, to))
    }
}
