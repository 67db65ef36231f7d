//! Finds where the next frame ends. Knows the layouts, holds no bytes, remembers how far it has looked.

use ringpost_model::Dialect;

use super::Resume;
use crate::decoded::{LEVELS, Position};

/// What stands at the begin of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Not yet a whole frame; nothing at all when these were the last bytes.
    More,
    /// So many bytes between frames.
    Skip(usize),
    /// A frame of `length` bytes; the next one begins `next` bytes from here at the earliest.
    Frame { length: usize, next: usize },
}

/// Cuts one input.
#[derive(Debug)]
pub(crate) struct Cutter {
    position: Position,
    /// Objects outside an array end with their line (native and tables), not with their bracket.
    by_line: bool,
    /// What is no JSON ends with an empty line (freeswitch-event), not with its own.
    in_blocks: bool,
    in_array: bool,
    scan: Scan,
}

/// How far the frame at the begin has been looked at.
#[derive(Debug, Clone, Copy, Default)]
struct Scan {
    /// None = not begun.
    kind: Option<Kind>,
    seen: usize,
    depth: usize,
    /// Of each open level whether it is an object, the outermost in the lowest bit.
    objects: u128,
    in_string: bool,
    escaped: bool,
    /// Where a new object seems to begin although this one is still open: the first such place.
    restart: Option<usize>,
}

/// What begins where a frame begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An object that ends with its line; that may be the last of several.
    LineOfObject,
    /// An object or list that ends with its bracket.
    Bracketed,
    /// Something else in an array.
    Scalar,
    /// Something else: a form, or no JSON.
    Line,
    /// Lines up to an empty one, or to JSON.
    Block,
}

/// Why a look at an object ended.
enum Stop {
    /// After its last bracket.
    Closed,
    /// Where no JSON object goes on: a line end inside a string, or too deep with a place to start again.
    Broken,
    /// The bytes are used up.
    Empty,
}

impl Cutter {
    pub(crate) fn new(dialect: Dialect) -> Self {
        let by_line = !matches!(dialect, Dialect::FreeswitchCdr | Dialect::FreeswitchEvent | Dialect::Kazoo);
        let in_blocks = dialect == Dialect::FreeswitchEvent;
        Self { position: Position::FIRST, by_line, in_blocks, in_array: false, scan: Scan::default() }
    }

    /// For an input of which everything before a place has been taken.
    pub(crate) fn resume(dialect: Dialect, at: Resume) -> Self {
        Self { position: at.position, in_array: at.in_array, ..Self::new(dialect) }
    }

    /// Where one that knows nothing else can go on; to be asked between frames.
    pub(crate) const fn resume_at(&self) -> Resume {
        Resume { position: self.position, in_array: self.in_array }
    }

    pub(crate) const fn position(&self) -> Position {
        self.position
    }

    /// A frame has been taken: the next one has the next number.
    pub(crate) fn count_frame(&mut self) {
        self.position.element += 1;
    }

    /// These bytes are behind us.
    pub(crate) fn pass(&mut self, bytes: &[u8]) {
        self.position.offset += bytes.len() as u64;
        self.position.line += memchr::memchr_iter(b'\n', bytes).count() as u64;
    }

    /// So many bytes of the frame at the begin have been taken away; the look at it goes on with what follows.
    pub(crate) fn forget(&mut self, bytes: usize) {
        self.scan.seen = self.scan.seen.saturating_sub(bytes);
        self.scan.restart = None;
    }

    /// Looks at bytes that begin where the last frame ended. `last`: no more will come.
    pub(crate) fn cut(&mut self, bytes: &[u8], last: bool) -> Cut {
        let kind = match self.scan.kind {
            Some(kind) => kind,
            None => {
                let between = self.between(bytes);
                if between > 0 {
                    return Cut::Skip(between);
                }
                let Some(&first) = bytes.first() else { return Cut::More };
                if first == 0xef && bytes.len() < 3 && !last {
                    return Cut::More;
                }
                *self.scan.kind.insert(self.kind(first))
            }
        };
        let cut = match kind {
            Kind::LineOfObject => self.cut_line_of_object(bytes, last),
            Kind::Bracketed => self.cut_object(bytes, last),
            Kind::Scalar => self.cut_scalar(bytes, last),
            Kind::Line => self.cut_line(bytes, last),
            Kind::Block => self.cut_block(bytes, last),
        };
        if matches!(cut, Cut::Frame { .. }) {
            self.scan = Scan::default();
        }
        cut
    }

    const fn kind(&self, first: u8) -> Kind {
        match first {
            b'{' if self.by_line && !self.in_array => Kind::LineOfObject,
            b'{' | b'[' => Kind::Bracketed,
            _ if self.in_array => Kind::Scalar,
            _ if self.in_blocks => Kind::Block,
            _ => Kind::Line,
        }
    }

    /// How many bytes of white space, commas, brackets of the outer array and byte order marks come first.
    fn between(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b'\x0c' | 0x1e => {}
                b',' if self.in_array || !self.by_line => {}
                b'[' if !self.in_array => self.in_array = true,
                b']' if self.in_array => self.in_array = false,
                0xef if bytes[at..].starts_with(b"\xef\xbb\xbf") => at += 2,
                _ => break,
            }
            at += 1;
        }
        at
    }

    /// A line with another object below it needs no look inside: there it ends in any case.
    fn cut_line_of_object(&mut self, bytes: &[u8], last: bool) -> Cut {
        if self.scan.seen == 0
            && let Some(end) = memchr::memchr(b'\n', bytes)
            && bytes.get(end + 1) == Some(&b'{')
        {
            return Cut::Frame { length: bytes[..end].trim_ascii_end().len(), next: end };
        }
        self.cut_object(bytes, last)
    }

    fn cut_object(&mut self, bytes: &[u8], last: bool) -> Cut {
        match self.look(bytes) {
            Stop::Closed if self.ends_with_line() => self.cut_line(bytes, last),
            Stop::Closed => Cut::Frame { length: self.scan.seen, next: self.scan.seen },
            Stop::Empty if !last => Cut::More,
            Stop::Broken | Stop::Empty => self.cut_broken(bytes, last),
        }
    }

    fn ends_with_line(&self) -> bool {
        self.scan.kind == Some(Kind::LineOfObject)
    }

    /// An object that does not end ends where another one seems to begin, else with its line or the input.
    fn cut_broken(&mut self, bytes: &[u8], last: bool) -> Cut {
        if let Some(end) = self.scan.restart {
            return Cut::Frame { length: bytes[..end].trim_ascii_end().len(), next: end };
        }
        self.cut_line(bytes, last)
    }

    /// Up to the end of the line that the look has reached.
    fn cut_line(&mut self, bytes: &[u8], last: bool) -> Cut {
        let end = memchr::memchr(b'\n', &bytes[self.scan.seen..]).map(|end| self.scan.seen + end);
        match end {
            Some(end) => Cut::Frame { length: bytes[..end].trim_ascii_end().len(), next: end },
            None if last => Cut::Frame { length: bytes.trim_ascii_end().len(), next: bytes.len() },
            None => {
                self.scan.seen = bytes.len();
                Cut::More
            }
        }
    }

    /// Up to the line end before an empty line, or before one that begins with JSON.
    fn cut_block(&mut self, bytes: &[u8], last: bool) -> Cut {
        while let Some(end) = memchr::memchr(b'\n', &bytes[self.scan.seen..]) {
            let end = self.scan.seen + end;
            match &bytes[end + 1..] {
                [] | [b'\r'] if !last => {
                    self.scan.seen = end;
                    return Cut::More;
                }
                [] | [b'\n' | b'{' | b'[', ..] | [b'\r', b'\n', ..] => {
                    return Cut::Frame { length: bytes[..end].trim_ascii_end().len(), next: end };
                }
                _ => self.scan.seen = end + 1,
            }
        }
        self.cut_line(bytes, last)
    }

    /// What is no object in an array: up to the comma, the end of the array, or the end of the line.
    fn cut_scalar(&mut self, bytes: &[u8], last: bool) -> Cut {
        while let Some(&byte) = bytes.get(self.scan.seen) {
            let is_end = matches!(byte, b'\n') || (!self.scan.in_string && matches!(byte, b',' | b']'));
            if is_end && self.scan.seen > 0 {
                let length = bytes[..self.scan.seen].trim_ascii_end().len();
                return Cut::Frame { length, next: self.scan.seen };
            }
            self.scan.step(byte);
        }
        if last { Cut::Frame { length: bytes.trim_ascii_end().len(), next: bytes.len() } } else { Cut::More }
    }

    /// Looks on through an object until it closes, breaks, or the bytes are used up.
    fn look(&mut self, bytes: &[u8]) -> Stop {
        let by_line = self.ends_with_line();
        let scan = &mut self.scan;
        if scan.depth == 0 && scan.seen > 0 {
            return Stop::Closed;
        }
        while let Some(&byte) = bytes.get(scan.seen) {
            if scan.in_string && !scan.escaped && !matches!(byte, b'"' | b'\\' | b'\n') {
                let rest = &bytes[scan.seen..];
                scan.seen += memchr::memchr3(b'"', b'\\', b'\n', rest).unwrap_or(rest.len());
                continue;
            }
            if byte == b'\n' {
                let Some(&next) = bytes.get(scan.seen + 1) else { return Stop::Empty };
                let goes_on = matches!(next, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'}' | b']' | b',');
                let starts = if by_line { !goes_on } else { next == b'{' };
                if starts && !scan.in_string && scan.restart.is_none() {
                    scan.restart = Some(scan.seen + 1);
                }
                if scan.in_string || (starts && by_line) {
                    return Stop::Broken;
                }
            }
            scan.step(byte);
            if scan.depth == 0 {
                return Stop::Closed;
            }
            if scan.depth > LEVELS && scan.restart.is_some() {
                return Stop::Broken;
            }
        }
        Stop::Empty
    }
}

impl Scan {
    fn step(&mut self, byte: u8) {
        self.seen += 1;
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'{' | b'[' => {
                let level = 1_u128.checked_shl(self.depth as u32).unwrap_or(0);
                self.objects = if byte == b'{' { self.objects | level } else { self.objects & !level };
                self.depth += 1;
            }
            b'}' | b']' => self.close(byte == b'}'),
            _ => {}
        }
    }

    /// Closes the innermost level of this kind and what is open inside it: a forgotten bracket stays within its
    /// own element. A bracket that closes nothing is passed over.
    fn close(&mut self, object: bool) {
        let is_object = |level: usize| self.objects.checked_shr(level as u32).unwrap_or(0) & 1 == 1;
        if self.depth > u128::BITS as usize {
            self.depth -= 1;
        } else if let Some(level) = (0..self.depth).rev().find(|&level| is_object(level) == object) {
            self.depth = level;
        }
    }
}
