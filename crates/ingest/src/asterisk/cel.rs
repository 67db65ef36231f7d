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

use std::sync::Arc;

use ringpost_model::{LegRecord, SideRules};

use super::table::{ACCOUNT, Columns, LINKEDID, OWN, SKIP, TENANT, Table, UNIQUEID};
use super::{Owner, Source};
use crate::decoded::Notes;
use crate::reason::Reason;
use row::Row;

/// So many rows, or bytes of text in them, are gathered before the calls that are over are told.
const GATHERED: usize = 20_000;
const GATHERED_BYTES: usize = 16 << 20;

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
pub(super) struct Rows {
    rows: Vec<Row>,
    bytes: usize,
    /// Of the row read last: nearly always that of the next.
    owner: Option<Arc<Owner>>,
}

impl Rows {
    /// Keeps a row, if it says anything.
    pub(super) fn take(
        &mut self,
        source: &Source<'_>,
        table: &Table,
        owner: Owner,
        notes: &mut Notes,
    ) -> Result<(), Reason> {
        let owner = match &self.owner {
            Some(known) if **known == owner => known.clone(),
            _ => self.owner.insert(Arc::new(owner)).clone(),
        };
        if let Some(row) = Row::read(source, table, owner, notes)? {
            self.bytes += row.bytes();
            self.rows.push(row);
        }
        Ok(())
    }

    /// Tells the calls that are over once there are many rows. One at whose begin or end rows are missing waits for
    /// them, but not for ever.
    pub(super) fn settle(&mut self, sides: &SideRules, records: &mut Vec<LegRecord>) {
        if self.rows.len() < GATHERED && self.bytes < GATHERED_BYTES {
            return;
        }
        let (done, rest) = call::split(std::mem::take(&mut self.rows), call::is_whole);
        self.rows = rest;
        self.bytes = self.rows.iter().map(Row::bytes).sum();
        call::tell(done, sides, records);
        if self.rows.len() > GATHERED / 2 || self.bytes > GATHERED_BYTES / 2 {
            self.finish(sides, records);
        }
    }

    /// Tells all.
    pub(super) fn finish(&mut self, sides: &SideRules, records: &mut Vec<LegRecord>) {
        let (all, _) = call::split(std::mem::take(&mut self.rows), |_| true);
        self.bytes = 0;
        call::tell(all, sides, records);
    }
}
