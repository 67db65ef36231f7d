//! A record worked out anew from the legs that it carries, with what came too late for it: its session is forgotten, so the
//! record is all that there is (architecture.md, Late repeats).

use std::sync::Arc;

use ringpost_model::{Cdr, Envelope, Faces, Leg, LegId, LegRecord, LegReport, Report, Text};

use super::Machine;
use super::stubs::{StubLeg, fnv, leg_hash};
use crate::config::Config;
use crate::pack::{pack, records};
use crate::parties::kind;
use crate::settings::Settings;
use crate::space::Phase;

/// Why a record cannot be worked out anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unworkable {
    /// It was too large to carry them.
    #[error("the record carries no legs any more")]
    NoLegs,
    /// As where a leg of another call, which it does not carry, decided something.
    #[error("the record does not come out of the legs that it carries")]
    NotOfItsLegs,
    /// None of the late records is of its tenant and pbx, or no person is left.
    #[error("no record comes of it")]
    Nothing,
}

/// The record of revision `before` with further records of its call: the same id, not enriched, its revision the caller's
/// to give ([`Machine::amend`]). Nothing that it says is taken away.
///
/// # Errors
/// The record cannot be worked out from what it carries, so nothing is guessed.
pub fn rework(
    settings: &Arc<Settings>,
    before: &Envelope,
    late: &[LegRecord],
) -> Result<Envelope, Unworkable> {
    let own: Vec<&LegRecord> =
        late.iter().filter(|record| record.tenant_pbx() == (&before.tenant, &before.pbx)).collect();
    if before.legs.is_empty() {
        return Err(Unworkable::NoLegs);
    }
    let as_before = worked_out(settings, before, &[]).ok_or(Unworkable::NotOfItsLegs)?;
    if !is_same_course(&as_before.cdr, &before.cdr) {
        return Err(Unworkable::NotOfItsLegs);
    }
    let mut envelope =
        worked_out(settings, before, &own).filter(|_| !own.is_empty()).ok_or(Unworkable::Nothing)?;
    envelope.session = before.session;
    envelope.cdr.id = before.session;
    envelope.cdr.replaces.clone_from(&before.cdr.replaces);
    (envelope.rev, envelope.cdr.rev) = (before.rev, before.cdr.rev);
    Ok(envelope)
}

fn worked_out(settings: &Arc<Settings>, of: &Envelope, late: &[&LegRecord]) -> Option<Envelope> {
    let mut machine = Machine::new(Config::offline(), Arc::clone(settings));
    for leg in &of.legs {
        machine.apply(told(of, leg, edition(late, &leg.leg)));
    }
    late.iter().for_each(|record| machine.apply((*record).clone()));
    machine.one_record(!of.cdr.partial)
}

/// Whether a record says what its legs say. Where they say nothing, tables may have filled a name, a user, a group or a
/// price in.
fn is_same_course(own: &Cdr, told: &Cdr) -> bool {
    let course = |cdr: &Cdr| {
        let seconds = (cdr.dur, cdr.ring, cdr.talk, cdr.hold, cdr.park);
        let outcome = (cdr.direction, cdr.call_type, cdr.t2t, cdr.ans, cdr.lost, cdr.lost_in_park);
        (cdr.start, cdr.end, cdr.answer, seconds, outcome)
    };
    course(own) == course(told)
        && fixed(own) == fixed(told)
        && filled(own).into_iter().zip(filled(told)).all(|(own, told)| own.is_empty() || own == told)
        && (own.rate.is_none() || own.rate == told.rate)
}

/// What no table fills in.
fn fixed(cdr: &Cdr) -> ([&Text; 10], &[Text]) {
    let Faces { first_rang, last_rang, answered, last_answered } = &cdr.devices;
    let [first_rang, last_rang, answered, last_answered] =
        [first_rang, last_rang, answered, last_answered].map(|device| &device.number);
    let (cli, ddi) = (&cdr.cli, &cdr.ddi.number);
    let (route_id, route_name, cause) = (&cdr.route_id, &cdr.route_name, &cdr.cause);
    let texts = [
        &cli.number,
        &cli.name,
        ddi,
        first_rang,
        last_rang,
        answered,
        last_answered,
        route_id,
        route_name,
        cause,
    ];
    (texts, &cdr.recording_ids)
}

/// What a table may have filled in.
fn filled(cdr: &Cdr) -> Vec<&Text> {
    let groups = [&cdr.first_group, &cdr.last_group, &cdr.answer_group, &cdr.ddi.name];
    let faces = [&cdr.devices, &cdr.users, &cdr.agents].into_iter().flat_map(
        |Faces { first_rang, last_rang, answered, last_answered }| {
            [first_rang, last_rang, answered, last_answered]
        },
    );
    groups.into_iter().chain(faces.flat_map(|one| [&one.number, &one.name])).collect()
}

/// As new as the newest of a leg's late records: what was known of it is joined with them, and not dropped.
fn edition(late: &[&LegRecord], leg: &LegId) -> u64 {
    let editions =
        late.iter().filter(|record| record.leg == *leg).filter_map(|record| match &record.report {
            Report::Leg(report) => Some(report.rev),
            Report::Event(_) => None,
        });
    editions.max().unwrap_or_default()
}

/// All that is known of a leg, as one record.
fn told(of: &Envelope, leg: &Leg, rev: u64) -> LegRecord {
    LegRecord {
        tenant: of.tenant.clone(),
        pbx: of.pbx.clone(),
        leg: leg.leg.clone(),
        links: leg.links.clone(),
        fields: leg.fields.clone(),
        recordings: leg.recordings.clone(),
        tags: leg.tags.clone(),
        report: Report::Leg(LegReport {
            rev,
            at: None,
            created: Some(leg.created),
            ringing: leg.ringing,
            answered: leg.answered,
            ended: leg.ended,
            bridges: leg.bridges.clone(),
            holds: leg.holds.clone(),
            parks: leg.parks.clone(),
            services: leg.services.clone(),
        }),
    }
}

impl Machine {
    /// The record of all legs at once: what closed as one stays one. `ending`: legs that are only named are not waited for.
    fn one_record(&mut self, ending: bool) -> Option<Envelope> {
        let here = self.spaces.first_mut()?;
        let mut legs: Vec<u32> = here.legs.iter().map(|(leg, _)| leg).collect();
        legs.sort_unstable_by(|a, b| {
            let age = |leg: u32| (here.legs[leg].created, &*here.legs[leg].id);
            age(*a).cmp(&age(*b))
        });
        let birth = *legs.first()?;
        let session = here.add_session(legs, birth, Phase::Open { due: i64::MAX, complete: false });
        let standing = here.standing(session);
        self.record((0, session), 0, standing, ending)
    }

    /// What came too late has become part of its session's record: should it come again, it is a repeat.
    pub fn learn(&mut self, before: &Envelope, late: &[LegRecord]) {
        let space = self.space(&before.tenant, &before.pbx);
        for record in late.iter().filter(|record| record.tenant_pbx() == (&before.tenant, &before.pbx)) {
            let packed = pack(record, &mut self.scratch);
            let here = &self.spaces[space as usize];
            let leg = StubLeg {
                hash: leg_hash(here, record.leg.as_str()),
                rev: records(&packed).find_map(|(record, _)| record.rev).unwrap_or_default(),
                ties: kind(record.fields.side, record.fields.service).ties(),
                records: vec![fnv(&packed)],
            };
            let known: Vec<u64> = before.legs.iter().map(|leg| leg_hash(here, leg.leg.as_str())).collect();
            let learnt = known.into_iter().find_map(|of| self.stubs.learn(of, &leg));
            let Some((key, value)) = learnt else { continue };
            if self.config.changes {
                self.other_changes.insert(key, Some(value));
            }
        }
    }
}
