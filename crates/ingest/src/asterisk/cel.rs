//! Dialect `asterisk-cel`: channel event logging, one row an event (enrichment-and-dialects.md 2, Asterisk CEL).
//!
//! A channel becomes a leg. Rows do not name who else is in a bridge, so a bridge becomes a loopback leg of its own,
//! with which each of its members is connected: `session` passes bridges on through loopbacks.

mod bridges;
mod call;
mod cause;
mod channel;
mod extra;
mod group;
mod legs;
mod row;

use ringpost_model::{LegRecord, SideRules};

use super::table::{ACCOUNT, Columns, LINKEDID, OWN, SKIP, TENANT, Table, UNIQUEID};
use super::{GATHERED, GATHERED_BYTES, Owner, Source, Untold};
use crate::decoded::Notes;
use crate::reason::Reason;
use row::Row;

const EVENT: usize = OWN;
const USER_EVENT: usize = OWN + 1;
const TIME: usize = OWN + 2;
const NUMBER: usize = OWN + 3;
const NAME: usize = OWN + 4;
const EXTEN: usize = OWN + 5;
const CONTEXT: usize = OWN + 6;
const CHANNEL: usize = OWN + 7;
const APP: usize = OWN + 8;
const DATA: usize = OWN + 9;
const PEER: usize = OWN + 10;
const EXTRA: usize = OWN + 11;

/// Names as cel_custom, cel_pgsql, cel_odbc, AMI and ARI spell them.
pub(super) const COLUMNS: Columns = Columns {
    switch: "Asterisk's CEL",
    names: &[
        ("eventtype", EVENT),
        ("eventname", EVENT),
        ("eventtime", TIME),
        ("uniqueid", UNIQUEID),
        ("linkedid", LINKEDID),
        ("channame", CHANNEL),
        ("channel", CHANNEL),
        ("channelname", CHANNEL),
        ("cidnum", NUMBER),
        ("num", NUMBER),
        ("calleridnum", NUMBER),
        ("calleridnumber", NUMBER),
        ("cidname", NAME),
        ("name", NAME),
        ("calleridname", NAME),
        ("exten", EXTEN),
        ("extension", EXTEN),
        ("context", CONTEXT),
        ("appname", APP),
        ("application", APP),
        ("applicationname", APP),
        ("appdata", DATA),
        ("applicationdata", DATA),
        ("peer", PEER),
        ("bridgepeer", PEER),
        ("extra", EXTRA),
        ("eventextra", EXTRA),
        ("userdeftype", USER_EVENT),
        ("usereventname", USER_EVENT),
        ("userdefname", USER_EVENT),
        ("tenantid", TENANT),
        ("accountcode", ACCOUNT),
        ("acctcode", ACCOUNT),
        ("accountid", ACCOUNT),
    ],
    header: &[EVENT, TIME, UNIQUEID],
    order,
};

/// The order of `cel_custom.conf` as it is shipped.
const CUSTOM: [usize; 20] = [
    EVENT, TIME, NAME, NUMBER, SKIP, SKIP, SKIP, EXTEN, CONTEXT, CHANNEL, APP, DATA, SKIP, ACCOUNT, UNIQUEID,
    LINKEDID, PEER, SKIP, USER_EVENT, EXTRA,
];

fn order(fields: &[&str]) -> Option<&'static [usize]> {
    let is_event = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'0'..=b'9'))
    };
    let fits = fields.len() == CUSTOM.len() && is_event(fields[0]);
    fits.then_some(&CUSTOM)
}

/// Rows that are not yet told.
#[derive(Debug, Default)]
pub(super) struct Rows(Untold<Row>);

impl Rows {
    /// Keeps a row, if it says anything.
    pub(super) fn take(
        &mut self,
        source: &Source<'_>,
        table: &Table,
        owner: Owner,
        notes: &mut Notes,
    ) -> Result<(), Reason> {
        if let Some(row) = Row::read(source, table, self.0.shared(owner), notes)? {
            let bytes = row.bytes();
            self.0.keep(row, bytes);
        }
        Ok(())
    }

    /// Tells the calls that are over once there are many rows. One at whose begin or end rows are missing waits for
    /// them, but not for ever.
    pub(super) fn settle(&mut self, sides: &SideRules, records: &mut Vec<LegRecord>) {
        if !self.0.is_full() {
            return;
        }
        let (done, rest) = call::split(self.0.take(), call::is_whole);
        self.0.bytes = rest.iter().map(Row::bytes).sum();
        self.0.rows = rest;
        call::tell(done, sides, records);
        if self.0.rows.len() > GATHERED / 2 || self.0.bytes > GATHERED_BYTES / 2 {
            self.finish(sides, records);
        }
    }

    /// Tells all.
    pub(super) fn finish(&mut self, sides: &SideRules, records: &mut Vec<LegRecord>) {
        let (all, _) = call::split(self.0.take(), |_| true);
        call::tell(all, sides, records);
    }
}
