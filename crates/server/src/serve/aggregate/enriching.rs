//! Records on their way out: enriched, or made anew from what went out before. What waits for its tenant's tables is put
//! beside the stream.

use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use ringpost_bus::{Output, Partition, Record};
use ringpost_enrich::{Counts, Places, Tables};
use ringpost_ingest::{Source, decode};
use ringpost_model::{Command, Dialect, Envelope, LegRecord, Timestamp, Wanted};
use ringpost_session::{Refusal, Settings, rework};
use ringpost_store::DeadLetter;

use super::core::{Effects, Owned};
use super::held::Waiting;
use crate::serve::dead_letters::refused;
use crate::serve::tables::{Known, TableReader};
use crate::topics::CDRS;

/// What enrichment came to, until it is counted.
#[derive(Debug, Default)]
pub(super) struct Enriched {
    pub(super) matches: usize,
    pub(super) more_matches: usize,
    pub(super) rated: u64,
    /// From the end of a call's last leg to its first record, in microseconds.
    pub(super) settled: Vec<i64>,
}

/// What enriches records.
pub(super) struct Enrich<'a> {
    pub(super) tables: &'a TableReader,
    pub(super) settings: &'a Arc<Settings>,
    pub(super) counts: &'a mut Enriched,
}

impl Enrich<'_> {
    /// Takes out of a machine what it has to say. `place` is where the record stood that it was given last.
    pub(super) fn take_outputs(
        &mut self,
        partition: Partition,
        owned: &mut Owned,
        place: &str,
        effects: &mut Effects,
    ) -> anyhow::Result<()> {
        let mut records = Vec::new();
        while let Some(output) = owned.machine.poll() {
            match output {
                ringpost_session::Output::Record(envelope) => {
                    self.counts.settled.extend(settle_delay(&envelope));
                    let tenant = &envelope.tenant;
                    if owned.held.has(tenant) || matches!(self.tables.of(tenant), Known::NotYet) {
                        effects.commit.changes.push(owned.held.push(partition, Waiting::First(*envelope))?);
                    } else {
                        records.push(written(self.all(&mut owned.places, *envelope))?);
                    }
                }
                ringpost_session::Output::DeadLetter { record, reason } => {
                    let now = owned.time.now();
                    effects.dead_letters.push(refused(place, &record, &reason.to_string(), now));
                }
                // They are put out from the day that something listens to them.
                ringpost_session::Output::Event(_) => {}
            }
        }
        if !records.is_empty() {
            effects.commit.outputs.push(Output { topic: CDRS.to_owned(), records });
        }
        Ok(())
    }

    /// Enriches a record again that went out before. A new revision comes of it where it differs; what is wanted of a
    /// tenant whose tables are not there yet waits for them like any record.
    pub(super) fn again(
        &mut self,
        partition: Partition,
        owned: &mut Owned,
        command: Command,
        now: Timestamp,
        effects: &mut Effects,
    ) -> anyhow::Result<()> {
        let is_behind = owned.held.has(&command.envelope.tenant);
        let waiting = Waiting::Again(command);
        if is_behind || !self.is_ready(&waiting) {
            effects.commit.changes.push(owned.held.push(partition, waiting)?);
            return Ok(());
        }
        let Waiting::Again(command) = waiting else { return Ok(()) };
        if let Some(envelope) = self.anew(owned, command, now, &mut effects.dead_letters) {
            let records = vec![written(envelope)?];
            effects.commit.outputs.push(Output { topic: CDRS.to_owned(), records });
        }
        Ok(())
    }

    /// Whether the tables that it needs are there.
    pub(super) fn is_ready(&self, waiting: &Waiting) -> bool {
        let known = match waiting {
            Waiting::First(envelope) => self.tables.of(&envelope.tenant),
            Waiting::Again(command) => self.tables.of_at_least(&command.envelope.tenant, command.tables),
        };
        !matches!(known, Known::NotYet)
    }

    /// The next revision, where it differs from what went out. Legs that came too late, and cannot become part of it now, are
    /// dead letters again.
    pub(super) fn anew(
        &mut self,
        owned: &mut Owned,
        command: Command,
        now: Timestamp,
        dead_letters: &mut Vec<DeadLetter>,
    ) -> Option<Envelope> {
        let late: Vec<LegRecord> = command.late.iter().flat_map(leg_records).collect();
        let Command { command: wanted, fire, envelope: before, .. } = command;
        let fresh = match wanted {
            Wanted::Enrich => {
                let mut stripped = before.clone();
                Tables::strip(&mut stripped);
                stripped.tables.clear();
                Ok(stripped)
            }
            Wanted::Reopen => rework(self.settings, &before, &late),
        };
        let fresh = match fresh {
            Ok(fresh) => fresh,
            Err(why) => {
                refuse_again(&before, &late, &why.to_string(), now, dead_letters);
                return None;
            }
        };
        let mut envelope = self.all(&mut owned.places, fresh);
        if envelope.cdr == before.cdr {
            return None;
        }
        let Some(rev) = owned.machine.amend(now, &before.tenant, before.session, before.rev) else {
            // Another revision went out meanwhile; asked for again, they are joined with that one.
            refuse_again(&before, &late, Refusal::TooLate.name(), now, dead_letters);
            return None;
        };
        owned.machine.learn(&before, &late);
        (envelope.rev, envelope.cdr.rev) = (rev, rev);
        (envelope.emitted, envelope.quiet) = (now, !fire);
        Some(envelope)
    }

    /// Says of a record all that is known: where the other party is, and what the tenant's tables have.
    pub(super) fn all(&mut self, places: &mut Places, mut envelope: Envelope) -> Envelope {
        places.enrich(&mut envelope.cdr);
        if let Known::All(tables) = self.tables.of(&envelope.tenant) {
            let region = self.settings.region(&envelope.tenant, &envelope.pbx);
            let Counts { matches, more_matches, is_rated } = tables.enrich(&mut envelope, region);
            self.counts.matches += matches;
            self.counts.more_matches += more_matches;
            self.counts.rated += u64::from(is_rated);
        }
        envelope
    }
}

/// From the end of a call's last leg to its first record, in microseconds; none for a correction, whose legs ended long
/// before. A switch whose clock is ahead gives 0.
fn settle_delay(envelope: &Envelope) -> Option<i64> {
    let last = envelope.legs.iter().filter_map(|leg| leg.ended).max().filter(|_| envelope.rev == 1)?;
    Some((envelope.emitted.micros() - last.micros()).max(0))
}

pub(super) fn written(envelope: Envelope) -> anyhow::Result<Record> {
    Ok(Record {
        key: Bytes::copy_from_slice(envelope.tenant.as_str().as_bytes()),
        value: envelope.to_bytes().context("write a record")?.into(),
        timestamp: envelope.emitted.micros(),
    })
}

/// Of a command; it was checked before it was asked for.
fn leg_records(late: &serde_json::Value) -> Vec<LegRecord> {
    let bytes = late.to_string();
    decode(Dialect::Native, &Source::default(), bytes.as_bytes()).records
}

/// At a place of their own each time: a letter that was replayed already is not the same one.
fn refuse_again(
    before: &Envelope,
    late: &[LegRecord],
    reason: &str,
    now: Timestamp,
    dead_letters: &mut Vec<DeadLetter>,
) {
    for (at, record) in late.iter().enumerate() {
        let place = format!("reopen {} rev {} at {} leg {at}", before.session, before.rev, now.micros());
        dead_letters.push(refused(&place, record, reason, now));
    }
}
