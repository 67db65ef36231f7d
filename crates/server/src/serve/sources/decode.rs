//! What a piece of a file says: legs and dead letters, each with its place in the file.

use ringpost_api::{Access, Delivered, Grant, Judge};
use ringpost_ingest::{Decoded, Position, Source, decode, decode_frame};
use ringpost_model::Dialect;

use super::watch::NewPiece;

/// Whether elements that follow each other are looked at together: rows of one call, of which no single one says what
/// a leg was.
fn reads_together(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::AsteriskCel | Dialect::AsteriskCdr)
}

/// Judges a piece.
pub(super) fn judge(access: &Access, grant: &Grant, new: &NewPiece) -> Delivered {
    let input = format!("file {}", new.path.display());
    let judge = Judge { access, grant, input: &input };
    let header = Some(new.first_line.as_slice()).filter(|line| !line.is_empty());
    let source = Source { header, ..grant.source() };
    if let Some((begin, body)) = new.piece.whole().filter(|_| reads_together(grant.dialect)) {
        return together(&judge, &source, begin, body);
    }
    let mut delivered = Delivered { dialect: grant.dialect, ..Delivered::default() };
    let mut decoded = Decoded::default();
    for frame in new.piece.frames() {
        decode_frame(grant.dialect, &source, &frame, &mut decoded);
        take(&judge, &mut decoded, frame.position, |at| at, &mut delivered);
    }
    delivered
}

/// A record that cannot be taken is told with where the whole began; what cannot be read with its own place.
fn together(judge: &Judge<'_>, source: &Source<'_>, begin: Position, body: &[u8]) -> Delivered {
    let mut delivered = Delivered { dialect: judge.grant.dialect, ..Delivered::default() };
    let mut decoded = decode(judge.grant.dialect, source, body);
    let in_file =
        |at: Position| Position { line: begin.line + at.line - 1, offset: begin.offset + at.offset, ..at };
    take(judge, &mut decoded, begin, in_file, &mut delivered);
    delivered
}

fn take(
    judge: &Judge<'_>,
    decoded: &mut Decoded,
    begin: Position,
    in_file: impl Fn(Position) -> Position,
    delivered: &mut Delivered,
) {
    for reject in decoded.rejects.drain(..) {
        let position = place(in_file(reject.position));
        delivered.dead_letters.push(judge.unreadable(reject, position));
    }
    for record in decoded.records.drain(..) {
        let leg = record.leg.clone();
        judge.record(record, || format!("{}, leg {leg}", place(begin)), delivered);
    }
    for notice in decoded.notices.drain(..) {
        let name = notice.name.clone();
        judge.notice(notice, || format!("{}, notice {name}", place(begin)), delivered);
    }
}

fn place(position: Position) -> String {
    format!("line {}, byte {}", position.line, position.offset)
}

#[cfg(test)]
mod tests;
