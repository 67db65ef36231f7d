//! What could not be read, as lines of JSON: to look at, mend and read again.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ringpost_ingest::Reject;
use ringpost_model::LegRecord;
use serde::Serialize;

use crate::cli::Failure;

/// The file, or nothing.
pub(super) struct Rejects(Option<BufWriter<File>>);

#[derive(Serialize)]
struct Line<'a> {
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position<'a>>,
    /// The element as it came; what is no UTF-8 stands in `base64` instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

#[derive(Serialize)]
struct Position<'a> {
    file: &'a str,
    element: u64,
    line: u64,
    offset: u64,
}

impl Rejects {
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self(None)) };
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        Ok(Self(Some(BufWriter::new(file))))
    }

    /// An element of the input that is no record.
    pub(super) fn input(&mut self, file: &str, reject: &Reject) -> Result<(), Failure> {
        let position = reject.position;
        let (element, line, offset) = (position.element, position.line, position.offset);
        let bytes = std::str::from_utf8(&reject.bytes);
        let line = Line {
            reason: reject.reason.to_string(),
            code: Some(reject.reason.code()),
            position: Some(Position { file, element, line, offset }),
            bytes: bytes.ok(),
            base64: bytes.is_err().then(|| STANDARD.encode(&reject.bytes)),
        };
        self.write(&line)
    }

    /// A record whose session takes no more.
    pub(super) fn record(&mut self, record: &LegRecord, reason: &str) -> Result<(), Failure> {
        let text = serde_json::to_string(record).context("write a record as JSON")?;
        let line =
            Line { reason: reason.to_owned(), code: None, position: None, bytes: Some(&text), base64: None };
        self.write(&line)
    }

    fn write(&mut self, line: &Line<'_>) -> Result<(), Failure> {
        let Some(file) = &mut self.0 else { return Ok(()) };
        let mut text = serde_json::to_vec(line).context("write a reject as JSON")?;
        text.push(b'\n');
        // Not `?` alone: a full disk here is no reader that left.
        file.write_all(&text).context("write the rejects")?;
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(), Failure> {
        if let Some(mut file) = self.0 {
            file.flush().context("write the rejects")?;
        }
        Ok(())
    }
}
