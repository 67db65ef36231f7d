//! Reads on in a file: whole elements, at their borders, bounded in size.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use ringpost_ingest::{Frame, Position, Resume, Splitter};
use ringpost_model::Dialect;

/// Bytes read at a time. More than any element that is held whole.
pub(super) const PIECE_BYTES: usize = 1 << 20;

/// Elements that follow each other in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// The bytes of the file that they stand in.
    pub(super) body: Vec<u8>,
    elements: Vec<Element>,
    /// Where to go on.
    pub(super) next: Resume,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Element {
    position: Position,
    /// Where in the body.
    range: Range<usize>,
    /// Greater than the range where it is too long to be held.
    length: u64,
}

impl Piece {
    /// Each by itself.
    pub(super) fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        self.elements.iter().map(|element| Frame {
            position: element.position,
            bytes: &self.body[element.range.clone()],
            length: element.length,
        })
    }

    /// All in one, and where it begins; none where there is no element, or one that is not held whole.
    pub(super) fn whole(&self) -> Option<(Position, &[u8])> {
        let (first, last) = (self.elements.first()?, self.elements.last()?);
        let is_whole = last.length == last.range.len() as u64;
        is_whole.then(|| (first.position, &self.body[first.range.start..last.range.end]))
    }
}

/// Reads from a place on. `size`: as far as the file is known to go. `to_end`: what stands there last is an element
/// also without a line end, for nothing will follow.
///
/// # Errors
/// The file cannot be read.
pub(super) fn cut(file: &File, from: Resume, size: u64, dialect: Dialect, to_end: bool) -> io::Result<Piece> {
    let from = behind_hole(file, from, size)?;
    let mut splitter = Splitter::resume(dialect, from);
    let mut piece = Piece { body: Vec::new(), elements: Vec::new(), next: from };
    let mut begin = from.position.offset;
    let (mut at, mut window) = (begin, vec![0; PIECE_BYTES]);
    let mut is_over = false;
    while piece.elements.is_empty() && !is_over {
        let most = usize::try_from(size.saturating_sub(at)).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let read = read(file, &mut window[..most], at)?;
        at += read as u64;
        splitter.feed(&window[..read]);
        // What is too long to be held keeps only its begin, here and in the splitter.
        if piece.body.len() <= PIECE_BYTES {
            piece.body.extend_from_slice(&window[..read]);
        }
        is_over = at >= size || read == 0;
        if is_over && to_end {
            splitter.finish();
        }
        take(&mut splitter, &mut piece, begin);
        if piece.elements.is_empty() {
            // Nothing but what stands between elements, however much.
            piece.body.drain(..(piece.next.position.offset - begin) as usize);
            begin = piece.next.position.offset;
        }
    }
    piece.body.truncate(piece.elements.last().map_or(0, |last| last.range.end));
    Ok(piece)
}

fn take(splitter: &mut Splitter, piece: &mut Piece, begin: u64) {
    while let Some(Frame { position, bytes, length }) = splitter.next() {
        let is_cut = length > bytes.len() as u64;
        if is_cut && !piece.elements.is_empty() {
            // It goes alone, next time.
            return;
        }
        let start = (position.offset - begin) as usize;
        let mut range = start..start + bytes.len();
        if is_cut {
            piece.body = bytes.to_vec();
            range = 0..bytes.len();
        }
        piece.elements.push(Element { position, range, length });
        piece.next = splitter.resume_at().unwrap_or(piece.next);
        if is_cut {
            return;
        }
    }
    piece.next = splitter.resume_at().unwrap_or(piece.next);
}

/// Who writes on at its old place into a file that was cut to nothing leaves a hole before it, read as zeros.
fn behind_hole(file: &File, from: Resume, size: u64) -> io::Result<Resume> {
    if from.position.offset > 0 {
        return Ok(from);
    }
    let (mut at, mut window) = (0, [0; 64 << 10]);
    loop {
        let most = usize::try_from(size - at).unwrap_or(usize::MAX).min(window.len());
        let read = read(file, &mut window[..most], at)?;
        let text = window[..read].iter().position(|byte| *byte != 0);
        at += text.unwrap_or(read) as u64;
        if text.is_some() || read == 0 || at >= size {
            let position = Position { offset: at, ..from.position };
            // All zeros: what follows may yet be written there.
            return Ok(if text.is_some() { Resume { position, ..from } } else { from });
        }
    }
}

fn read(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match file.read_at(&mut into[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> (File, u64) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        (file, bytes.len() as u64)
    }

    fn elements(piece: &Piece) -> Vec<(u64, usize)> {
        piece.frames().map(|frame| (frame.position.line, frame.bytes.len())).collect()
    }

    #[test]
    fn a_line_without_its_end_is_left_for_later() {
        let (file, size) = file(b"{\"a\":1}\n{\"b\":2}\n{\"c\"");
        let piece = cut(&file, Resume::BEGIN, size, Dialect::Native, false).unwrap();
        assert_eq!((elements(&piece), piece.next.position.offset), (vec![(1, 7), (2, 7)], 16));
        assert_eq!(piece.whole(), Some((Position::FIRST, &b"{\"a\":1}\n{\"b\":2}"[..])));
        let rest = cut(&file, piece.next, size, Dialect::Native, true).unwrap();
        assert_eq!((elements(&rest), rest.next.position.offset), (vec![(3, 4)], size));
    }

    #[test]
    fn a_large_file_comes_in_pieces_that_end_with_an_element() {
        let line = format!("{{\"a\":\"{}\"}}\n", "x".repeat(99_990));
        let (file, size) = file(line.repeat(30).as_bytes());
        let (mut at, mut lines) = (Resume::BEGIN, Vec::new());
        while at.position.offset < size {
            let piece = cut(&file, at, size, Dialect::Native, false).unwrap();
            assert!(piece.body.len() <= PIECE_BYTES);
            lines.extend(elements(&piece).into_iter().map(|(line, _)| line));
            at = piece.next;
        }
        assert_eq!(lines, (1..=30).collect::<Vec<_>>());
    }

    #[test]
    fn a_line_that_never_ends_takes_no_memory_and_its_neighbours_are_read() {
        let (file, size) = file(format!("{{\"a\":1}}\n{{{}\n{{\"b\":2}}\n", "x".repeat(5 << 20)).as_bytes());
        let (mut at, mut read) = (Resume::BEGIN, Vec::new());
        while at.position.offset < size {
            let piece = cut(&file, at, size, Dialect::Native, false).unwrap();
            assert!(piece.body.len() <= PIECE_BYTES);
            read.extend(piece.frames().map(|frame| (frame.position.line, frame.bytes.len(), frame.length)));
            at = piece.next;
        }
        assert_eq!(read, [(1, 7, 7), (2, 65_536, (5 << 20) + 1), (3, 7, 7)]);
    }

    #[test]
    fn megabytes_of_nothing_between_two_records_are_passed_over() {
        let (file, size) = file(format!("{{\"a\":1}}\n{}{{\"b\":2}}\n", "\n".repeat(5 << 20)).as_bytes());
        let first = cut(&file, Resume::BEGIN, size, Dialect::Native, false).unwrap();
        let second = cut(&file, first.next, size, Dialect::Native, false).unwrap();
        assert_eq!(second.whole().map(|(_, bytes)| bytes), Some(&b"{\"b\":2}"[..]));
        assert_eq!(second.next.position.offset, size);
    }

    #[test]
    fn the_hole_that_a_writer_leaves_in_a_truncated_file_is_no_record() {
        let (file, size) = file(&[&[0; 300_000][..], b"{\"a\":1}\n"].concat());
        let piece = cut(&file, Resume::BEGIN, size, Dialect::Native, false).unwrap();
        assert_eq!((elements(&piece), piece.next.position.offset), (vec![(1, 7)], size));
    }
}
