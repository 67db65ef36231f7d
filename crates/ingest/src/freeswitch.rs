//! Dialect `freeswitch-cdr`: documents of FreeSWITCH's `mod_json_cdr`, one a leg (enrichment-and-dialects.md 2).
//!
//! A stock switch writes documents of A legs only, so the legs that a document's leg placed are read out of it too.
//! They carry `rev` 0 and a leg's own document `rev` 1: where both come, only the own one counts.

mod apps;
mod body;
mod dial;
mod document;
pub(crate) mod event;
mod far;
mod meetings;
mod own;
mod side;
mod variables;

use ringpost_model::{PbxKey, TenantKey};

use crate::decoded::{Decoded, Notes, Source};
use crate::node;
use crate::reason::Reason;
use document::Document;
use own::Own;

/// A body that is one document although it may have line ends in it: a form or base64 that a request says it is.
pub(crate) fn is_one_wrapped_body(source: &Source<'_>, bytes: &[u8]) -> bool {
    let begins_with_json = matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'[') | None);
    !begins_with_json && (body::is_base64_body(source.content_type, bytes) || body::is_bare_form(bytes))
}

/// Decodes one document, plain or wrapped, and adds its legs.
pub(crate) fn decode(source: &Source<'_>, bytes: &[u8], decoded: &mut Decoded) -> Result<(), Reason> {
    if bytes.first() == Some(&b'{') {
        return decode_json(source, bytes, decoded);
    }
    let inner = body::unwrap(bytes)?;
    let error = match decode_json(source, inner.trim_ascii(), decoded) {
        Err(reason @ Reason::NotJson(_)) => reason,
        done => return done,
    };
    let mended = body::mend(&inner).ok_or_else(|| error.clone())?;
    decode_json(source, mended.as_bytes(), decoded).map_err(|_| error)
}

fn decode_json(source: &Source<'_>, bytes: &[u8], decoded: &mut Decoded) -> Result<(), Reason> {
    let (records, notes) = node::read(bytes, |node, invalid_utf8| {
        let mut notes = Notes { invalid_utf8, ..Notes::default() };
        Ok((legs(source, node, &mut notes)?, notes))
    })?;
    decoded.records.extend(records);
    decoded.notes.add(notes);
    Ok(())
}

fn legs(
    source: &Source<'_>,
    node: &node::Node<'_>,
    notes: &mut Notes,
) -> Result<Vec<ringpost_model::LegRecord>, Reason> {
    let document = Document::read(node, notes)?;
    let tenant = tenant(source, &document)?;
    let pbx = pbx(source, &document)?;
    let own = Own::read(&document, source.sides, notes)?;
    let mut records = vec![own.record(&tenant, &pbx)];
    records.extend(own.far_legs().map(|far| far.record(&own, &tenant, &pbx)));
    notes.far_legs += records.len() as u64 - 1;
    Ok(records)
}

/// The source's tenant; on a switch of several, the channel variable set for us, or the domain of the call.
fn tenant(source: &Source<'_>, document: &Document<'_>) -> Result<TenantKey, Reason> {
    if let Some(tenant) = &source.tenant {
        return Ok(tenant.clone());
    }
    for name in ["ringpost_tenant", "domain_name"] {
        if let Some(value) = document.variables.get(name) {
            return TenantKey::new(value).map_err(|_| Reason::no_tenant(&format!("variables.{name}"), value));
        }
    }
    let remedy = "; this switch serves several tenants: set the channel variable ringpost_tenant, or domain_name, \
        on every call, or give the pbx one tenant";
    Err(Reason::Missing { path: "variables.ringpost_tenant".to_owned(), remedy })
}

fn pbx(source: &Source<'_>, document: &Document<'_>) -> Result<PbxKey, Reason> {
    if let Some(pbx) = &source.pbx {
        return Ok(pbx.clone());
    }
    let remedy =
        "; name the pbx that wrote this: the document has no switchname of 1 to 64 of A-Z a-z 0-9 . _ -";
    let missing = || Reason::Missing { path: "switchname".to_owned(), remedy };
    document.switch.and_then(|name| PbxKey::new(name).ok()).ok_or_else(missing)
}

#[cfg(test)]
mod tests;
