//! Files and standard input, one after the other, in pieces: never more of them in memory than one piece and one
//! element.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ringpost_ingest::{Decoder, Splitter, recognise};
use ringpost_model::Dialect;

use crate::cli::Failure;

/// Size of a piece: large enough that reading costs no time beside decoding.
const PIECE_BYTES: usize = 256 * 1024;

/// All input of a run.
pub(super) struct Inputs {
    /// None = that of each input shows in its bytes.
    dialect: Option<Dialect>,
    /// The input that is being read has given nothing yet.
    at_begin: bool,
    /// What was found out of which input.
    pub(super) found: Vec<(String, Dialect)>,
    /// The last is being read.
    waiting: Vec<Input>,
    reader: Reader,
    /// Of the input that has just come to its end, with what is left of it.
    ended: (String, Reader),
    piece: Vec<u8>,
    /// Sum of the sizes of files; none with standard input among them.
    total: Option<u64>,
}

struct Input {
    name: String,
    /// None = standard input.
    file: Option<File>,
}

/// Cuts one input and decodes it.
pub(super) struct Reader {
    pub(super) splitter: Splitter,
    pub(super) decoder: Decoder,
}

/// What was read, cut into elements.
pub(super) struct Chunk<'a> {
    pub(super) name: &'a str,
    pub(super) reader: &'a mut Reader,
    /// It is the last of its input.
    pub(super) is_last: bool,
    pub(super) bytes: u64,
}

impl Inputs {
    /// Opens every file before the first is read: a mistyped name costs no hour.
    pub(super) fn open(paths: &[PathBuf], dialect: Option<Dialect>) -> Result<Self, Failure> {
        let mut waiting = Vec::new();
        let mut total = Some(0);
        let mut wrong = Vec::new();
        for path in paths.iter().rev() {
            match open(path) {
                Ok((input, size)) => {
                    total = total.zip(size).map(|(total, size)| total + size);
                    waiting.push(input);
                }
                Err(error) => wrong.push(format!("{}: {error}", path.display())),
            }
        }
        if !wrong.is_empty() {
            wrong.reverse();
            return Err(anyhow::anyhow!("open the input: {}", wrong.join("; ")).into());
        }
        if paths.is_empty() {
            waiting.push(Input { name: "-".to_owned(), file: None });
            total = None;
        }
        let first = dialect.unwrap_or_default();
        let (reader, ended) = (Reader::new(first), (String::new(), Reader::new(first)));
        let (piece, found) = (vec![0; PIECE_BYTES], Vec::new());
        Ok(Self { dialect, at_begin: true, found, waiting, reader, ended, piece, total })
    }

    /// The next piece; none at the end of all.
    pub(super) fn next(&mut self, stdin: &mut dyn Read) -> Result<Option<Chunk<'_>>, Failure> {
        let Some(mut input) = self.waiting.pop() else { return Ok(None) };
        let reader: &mut dyn Read = match &mut input.file {
            Some(file) => file,
            None => stdin,
        };
        let is_to_be_found = self.dialect.is_none() && std::mem::take(&mut self.at_begin);
        let read = if is_to_be_found { fill(reader, &mut self.piece) } else { read(reader, &mut self.piece) };
        let read = read.with_context(|| format!("read {}", input.name))?;
        if is_to_be_found && !self.piece[..read].trim_ascii().is_empty() {
            let dialect = recognise(&self.piece[..read]).ok_or_else(|| unknown(&input.name))?;
            self.found.push((input.name.clone(), dialect));
            self.reader = Reader::new(dialect);
        }
        if read > 0 {
            self.reader.splitter.feed(&self.piece[..read]);
            self.waiting.push(input);
            let name = self.waiting.last().map_or("", |input| &input.name);
            return Ok(Some(Chunk { name, reader: &mut self.reader, is_last: false, bytes: read as u64 }));
        }
        // The last element of a file need not end with a line, and never goes on in the next file.
        self.reader.splitter.finish();
        self.at_begin = true;
        let reader = std::mem::replace(&mut self.reader, Reader::new(self.dialect.unwrap_or_default()));
        let (name, reader) = {
            self.ended = (input.name, reader);
            (&self.ended.0, &mut self.ended.1)
        };
        Ok(Some(Chunk { name, reader, is_last: true, bytes: 0 }))
    }

    /// A bar where somebody sees it.
    pub(super) fn progress(&self, visible: bool) -> ProgressBar {
        if !visible {
            return ProgressBar::hidden();
        }
        let template = match self.total {
            Some(_) => "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            None => "{spinner} {bytes} {bytes_per_sec}",
        };
        let bar = self.total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let style = ProgressStyle::with_template(template).expect("the template is one of the two above");
        bar.set_draw_target(ProgressDrawTarget::stderr());
        bar.with_style(style)
    }
}

impl Reader {
    fn new(dialect: Dialect) -> Self {
        Self { splitter: Splitter::new(dialect), decoder: Decoder::new(dialect) }
    }
}

fn open(path: &Path) -> io::Result<(Input, Option<u64>)> {
    if path.as_os_str() == "-" {
        return Ok((Input { name: "-".to_owned(), file: None }, None));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::other("a folder; name its files, such as folder/*.json"));
    }
    // A pipe such as <(zcat x.gz) has no size.
    let size = metadata.is_file().then_some(metadata.len());
    Ok((Input { name: path.display().to_string(), file: Some(file) }, size))
}

/// Reads until the piece is full or the input at its end: a pipe gives little at a time.
fn fill(reader: &mut dyn Read, piece: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < piece.len() {
        match read(reader, &mut piece[filled..])? {
            0 => break,
            more => filled += more,
        }
    }
    Ok(filled)
}

fn unknown(name: &str) -> anyhow::Error {
    let known = Dialect::ALL.map(Dialect::name).join(", ");
    anyhow::anyhow!("{name}: no dialect shows in its first bytes; name it with --dialect, one of {known}")
}

fn read(reader: &mut dyn Read, piece: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
