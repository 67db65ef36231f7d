//! Records that wait for their tenant's tables, beside the stream: by tenant, in order. They are kept with the state of
//! the partition, so that a crash loses none and whoever gets the partition goes on with them.

use std::collections::{BTreeMap, VecDeque};

use anyhow::Context;
use bytes::Bytes;
use ringpost_bus::{Partition, StateChange};
use ringpost_model::{Command, Envelope, TenantKey};

/// First byte of their keys in the state; those of sessions are others.
const KEY: u8 = b'h';

/// What waits in one partition.
#[derive(Debug, Default)]
pub(super) struct Held {
    tenants: BTreeMap<TenantKey, VecDeque<One>>,
    /// Number of the next: it keeps the order over a restart.
    next: u64,
    bytes: usize,
    count: usize,
}

#[derive(Debug)]
struct One {
    number: u64,
    bytes: usize,
    waiting: Waiting,
}

/// What waits.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A record that is on its way out.
    First(Envelope),
    /// One that is to be enriched again.
    Again(Command),
}

impl Waiting {
    fn tenant(&self) -> &TenantKey {
        match self {
            Self::First(envelope) => &envelope.tenant,
            Self::Again(command) => &command.envelope.tenant,
        }
    }

    fn to_bytes(&self) -> anyhow::Result<Vec<u8>> {
        Ok(match self {
            Self::First(envelope) => envelope.to_bytes()?,
            Self::Again(command) => command.to_bytes()?,
        })
    }

    fn from_bytes(bytes: &[u8]) -> anyhow::Result<Self> {
        Ok(match Command::is_one(bytes) {
            true => Self::Again(Command::from_bytes(bytes)?),
            false => Self::First(Envelope::from_bytes(bytes)?),
        })
    }
}

/// Whether an entry of the state is a record that waits.
pub(crate) fn is_held(key: &[u8]) -> bool {
    key.first() == Some(&KEY)
}

/// The tenant of a record that waits, and its key in another partition, where others wait as well: those of one partition
/// keep their order, and no two of different ones have the same key.
///
/// # Errors
/// The entry is not what was written.
pub(crate) fn moved(
    key: &[u8],
    value: &[u8],
    from: Partition,
    partitions: u32,
) -> anyhow::Result<(TenantKey, Bytes)> {
    let number = number(key)?;
    let fresh =
        number.checked_mul(u64::from(partitions)).and_then(|first| first.checked_add(u64::from(from.0)));
    let fresh = fresh.context("move a record that waits: its number is too large")?;
    let waiting = Waiting::from_bytes(value).context("move a record that waits")?;
    Ok((waiting.tenant().clone(), self::key(fresh)))
}

impl Held {
    /// From the state of a partition.
    ///
    /// # Errors
    /// An entry is not what was written.
    pub(super) fn restore(entries: Vec<(Bytes, Bytes)>) -> anyhow::Result<Self> {
        let mut held = Self::default();
        let mut all = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let number = number(&key)?;
            let waiting = Waiting::from_bytes(&value).context("restore a record that waits")?;
            all.push(One { number, bytes: value.len(), waiting });
        }
        all.sort_by_key(|one| one.number);
        for one in all {
            held.next = one.number + 1;
            held.add(one);
        }
        Ok(held)
    }

    /// Takes a record in; what says so in the state.
    ///
    /// # Errors
    /// The record cannot be written.
    pub(super) fn push(&mut self, partition: Partition, waiting: Waiting) -> anyhow::Result<StateChange> {
        let value = Bytes::from(waiting.to_bytes().context("write a record that waits")?);
        let number = self.next;
        self.next += 1;
        self.add(One { number, bytes: value.len(), waiting });
        Ok(StateChange { partition, key: key(number), value: Some(value) })
    }

    /// Whether something of a tenant waits: what comes later waits behind it.
    pub(super) fn has(&self, tenant: &TenantKey) -> bool {
        self.tenants.contains_key(tenant)
    }

    /// Whose records wait.
    pub(super) fn tenants(&self) -> Vec<TenantKey> {
        self.tenants.keys().cloned().collect()
    }

    /// Takes the first of a tenant's records out, if it is ready; and what says so in the state.
    pub(super) fn take(
        &mut self,
        partition: Partition,
        tenant: &TenantKey,
        is_ready: impl FnOnce(&Waiting) -> bool,
    ) -> Option<(Waiting, StateChange)> {
        let of_tenant = self.tenants.get_mut(tenant)?;
        let one = of_tenant.pop_front_if(|one| is_ready(&one.waiting))?;
        if of_tenant.is_empty() {
            self.tenants.remove(tenant);
        }
        self.count -= 1;
        self.bytes -= one.bytes;
        Some((one.waiting, StateChange { partition, key: key(one.number), value: None }))
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    fn add(&mut self, one: One) {
        self.bytes += one.bytes;
        self.count += 1;
        self.tenants.entry(one.waiting.tenant().clone()).or_default().push_back(one);
    }
}

fn number(key: &[u8]) -> anyhow::Result<u64> {
    let number = key.get(1..).and_then(|number| <[u8; 8]>::try_from(number).ok());
    number.map(u64::from_be_bytes).context("restore a record that waits: its key is damaged")
}

fn key(number: u64) -> Bytes {
    let mut key = vec![KEY];
    key.extend_from_slice(&number.to_be_bytes());
    key.into()
}
