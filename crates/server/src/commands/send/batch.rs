//! Elements that go in one request, and where each of them stands in its file.

use ringpost_ingest::{Frame, Position, Source, decode};
use ringpost_model::Dialect;

/// A request goes out at this size: far below the intake's limit.
const BATCH_BYTES: usize = 1 << 20;

/// Of one file.
pub(super) struct Batch {
    dialect: Dialect,
    /// The line that names the columns of a table: every request begins with it.
    header: Option<Vec<u8>>,
    is_begun: bool,
    body: Vec<u8>,
    file: String,
    /// Of each element of the body. The header is one where a request has it and the file does not, there.
    positions: Vec<Option<Position>>,
}

impl Batch {
    pub(super) fn new(dialect: Dialect) -> Self {
        let (body, positions, file) = Default::default();
        Self { dialect, header: None, is_begun: false, body, file, positions }
    }

    /// The next element is of another file.
    pub(super) fn begin_input(&mut self) {
        (self.header, self.is_begun) = (None, false);
        self.clear();
    }

    pub(super) fn has_room_for(&self, frame: &Frame<'_>) -> bool {
        self.positions.is_empty() || self.body.len() + frame.bytes.len() < BATCH_BYTES
    }

    /// Adds an element. Why it cannot be sent, if it cannot.
    pub(super) fn add(&mut self, file: &str, frame: &Frame<'_>) -> Option<String> {
        file.clone_into(&mut self.file);
        if frame.length > frame.bytes.len() as u64 {
            return Some(format!("{}: {} bytes, too long to be sent", self.at(frame.position), frame.length));
        }
        let is_first = !std::mem::replace(&mut self.is_begun, true);
        if is_first && self.names_columns(frame.bytes) {
            self.header = Some(frame.bytes.to_vec());
        } else if let (Some(header), true) = (&self.header, self.positions.is_empty()) {
            self.body.extend_from_slice(header);
            self.body.push(b'\n');
            self.positions.push(None);
        }
        self.body.extend_from_slice(frame.bytes);
        self.body.push(b'\n');
        if self.dialect == Dialect::FreeswitchEvent {
            // An event as text ends with an empty line.
            self.body.push(b'\n');
        }
        self.positions.push(Some(frame.position));
        None
    }

    fn names_columns(&self, line: &[u8]) -> bool {
        let is_table = matches!(self.dialect, Dialect::AsteriskCel | Dialect::AsteriskCdr);
        is_table && decode(self.dialect, &Source::default(), line).notes.headers > 0
    }

    /// What is to be sent; none where there is nothing.
    pub(super) fn body(&self) -> Option<&[u8]> {
        (!self.positions.is_empty()).then_some(&*self.body)
    }

    pub(super) fn clear(&mut self) {
        self.body.clear();
        self.positions.clear();
    }

    /// Where it stands, for whoever has to send the rest.
    pub(super) fn place(&self) -> String {
        let first = self.positions.iter().flatten().next();
        first.map_or_else(
            || format!("send {}", self.file),
            |at| format!("send {} and what follows", self.at(*at)),
        )
    }

    /// The place in the file of what the server says to be at a place of the request: `element 3 (line 3, byte 120)`.
    pub(super) fn in_file(&self, position: &str) -> String {
        let number = position.strip_prefix("element ").and_then(|rest| rest.split(' ').next());
        let number: Option<usize> = number.and_then(|text| text.parse().ok());
        let found = number.and_then(|number| self.positions.get(number.checked_sub(1)?).copied().flatten());
        found.map_or_else(|| format!("{} {position}", self.file), |at| self.at(at))
    }

    fn at(&self, position: Position) -> String {
        format!("{} line {}, byte {}", self.file, position.line, position.offset)
    }
}
