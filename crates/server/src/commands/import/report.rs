//! What is wrong with a file, row by row, as people and as programs read it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use ringpost_enrich::Mistake;
use serde_json::json;

use crate::cli::{Failure, Io, harmless};

/// Mistakes that are told one by one.
const TOLD: u64 = 20;

/// Counts mistakes, tells the first of them, and writes all into a file where one is wanted.
pub(super) struct Report {
    name: String,
    rejects: Option<BufWriter<File>>,
    pub(super) mistakes: u64,
}

impl Report {
    /// `name` is the file's; `rejects` where all of it is written as JSON lines.
    pub(super) fn new(name: &str, rejects: Option<&Path>) -> Result<Self, Failure> {
        let made = rejects.map(|path| {
            File::create(path).map(BufWriter::new).with_context(|| format!("write {}", path.display()))
        });
        Ok(Self { name: name.to_owned(), rejects: made.transpose()?, mistakes: 0 })
    }

    pub(super) fn tell(&mut self, mistake: &Mistake, io: &mut Io<'_>) -> Result<(), Failure> {
        self.mistakes += 1;
        let Mistake { line, column, wrong } = mistake;
        if self.mistakes <= TOLD {
            let at = if column.is_empty() { String::new() } else { format!("{}: ", harmless(column)) };
            writeln!(io.stderr, "{}:{line}: {at}{}", self.name, harmless(wrong))?;
        }
        if let Some(rejects) = &mut self.rejects {
            let row = json!({ "line": line, "column": column, "wrong": wrong });
            writeln!(rejects, "{row}")?;
        }
        Ok(())
    }

    /// Says how many there are besides those told.
    pub(super) fn finish(&mut self, io: &mut Io<'_>) -> Result<(), Failure> {
        if self.mistakes > TOLD {
            writeln!(io.stderr, "and {} more", self.mistakes - TOLD)?;
        }
        if let Some(rejects) = &mut self.rejects {
            rejects.flush()?;
        }
        Ok(())
    }
}
