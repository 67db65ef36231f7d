//! Fields of one line of CSV.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use crate::reason::{Reason, clip};

/// A line of more fields is none of Asterisk's.
const MOST_FIELDS: usize = 256;

/// Splits lines into fields; keeps its memory.
#[derive(Default)]
pub(super) struct Splitter {
    text: Vec<u8>,
    ends: Vec<usize>,
    /// Making one costs more than a row does.
    readers: Vec<(Quoting, Reader)>,
}

/// The delimiter, and whether a backslash escapes.
type Quoting = (u8, bool);

impl Splitter {
    /// Quotes inside quotes are doubled, or have a backslash where that gives the right number of fields.
    pub(super) fn split(
        &mut self,
        line: &str,
        delimiter: u8,
        width: Option<usize>,
    ) -> Result<Vec<&str>, Reason> {
        let quotes = memchr::memchr_iter(b'"', line.as_bytes()).count();
        let mut count = 0;
        let closed = quotes.is_multiple_of(2);
        if closed {
            count = self.fill(line, (delimiter, false))?;
        }
        let is_odd = !closed || width.is_some_and(|width| count != width);
        if is_odd && line.contains("\\\"") {
            count = self.fill(line, (delimiter, true))?;
        } else if !closed {
            return Err(Reason::Invalid {
                path: "row".to_owned(),
                rule: "every quote is closed on its line",
                got: format!("{:?}", clip(line)),
            });
        }
        Ok(self.fields(count))
    }

    fn fill(&mut self, line: &str, quoting: Quoting) -> Result<usize, Reason> {
        let Self { text, ends, readers } = self;
        text.resize(line.len() + 1, 0);
        ends.resize(MOST_FIELDS, 0);
        let known = readers.iter().position(|(of, _)| *of == quoting).unwrap_or_else(|| {
            let escape = quoting.1.then_some(b'\\');
            let reader = ReaderBuilder::new().delimiter(quoting.0).escape(escape).build();
            readers.push((quoting, reader));
            readers.len() - 1
        });
        let reader = &mut readers[known].1;
        reader.reset();
        let (mut read, mut written, mut ended) = (0, 0, 0);
        loop {
            let (text, ends) = (&mut text[written..], &mut ends[ended..]);
            let (result, taken, put, fields) = reader.read_record(&line.as_bytes()[read..], text, ends);
            read += taken;
            written += put;
            ended += fields;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record | ReadRecordResult::End => return Ok(ended),
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    return Err(Reason::Invalid {
                        path: "row".to_owned(),
                        rule: "at most 256 fields are read",
                        got: format!("{} bytes", line.len()),
                    });
                }
            }
        }
    }

    fn fields(&self, count: usize) -> Vec<&str> {
        let mut from = 0;
        let ends = self.ends.iter().take(count);
        ends.map(|&end| {
            let field = self.text.get(from..end).unwrap_or_default();
            from = end;
            std::str::from_utf8(field).unwrap_or_default()
        })
        .collect()
    }
}
