//! Dead letters as text.

use std::fmt::Write;

use ringpost_store::{DeadLetterId, Store, StoredDeadLetter};

use crate::cli::{Failure, Io, Outcome, harmless};

/// Bytes of the input in a line of the list.
const FIRST_BYTES: usize = 60;

/// One line each; columns with a head on a terminal, parted by tabs elsewhere.
pub(super) fn table(letters: &[StoredDeadLetter], terminal: bool) -> String {
    let mut rows: Vec<[String; 6]> = letters.iter().map(row).collect();
    let mut out = String::new();
    if !terminal {
        for row in rows {
            let _ = writeln!(out, "{}", row.join("\t"));
        }
        return out;
    }
    rows.insert(0, ["ID", "RECEIVED", "PBX", "REASON", "POSITION", "BEGINS WITH"].map(str::to_owned));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..6).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let _ = writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    out
}

fn row(stored: &StoredDeadLetter) -> [String; 6] {
    let letter = &stored.letter;
    let pbx = letter.pbx.as_ref().map_or("-", |pbx| pbx.as_str());
    let first = &letter.body[..letter.body.len().min(FIRST_BYTES)];
    [
        stored.id.to_string(),
        letter.received.to_string(),
        pbx.to_owned(),
        harmless(&letter.reason),
        harmless(&letter.position),
        // A line break of the input is a space in its one line here.
        harmless(&String::from_utf8_lossy(first).replace(['\n', '\r', '\t'], " ")),
    ]
}

pub(super) async fn one(
    id: DeadLetterId,
    raw: bool,
    store: &Store,
    io: &mut Io<'_>,
) -> Result<Outcome, Failure> {
    let stored = store.dead_letter(id).await.map_err(anyhow::Error::from)?;
    let Some(stored) = stored else { return Err(anyhow::anyhow!("there is no dead letter {id}").into()) };
    if raw {
        io.stdout.write_all(&stored.letter.body)?;
    } else {
        io.stdout.write_all(page(&stored).as_bytes())?;
    }
    Ok(Outcome::Fine)
}

fn page(stored: &StoredDeadLetter) -> String {
    let letter = &stored.letter;
    let kept =
        if letter.is_whole() { String::new() } else { format!(", the first {} kept", letter.body.len()) };
    let rows = [
        ("id", stored.id.to_string()),
        ("received", letter.received.to_string()),
        ("position", harmless(&letter.position)),
        ("reason", harmless(&letter.reason)),
        ("dialect", letter.dialect.to_string()),
        ("tenant", letter.tenant.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string)),
        ("pbx", letter.pbx.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string)),
        ("length", format!("{} bytes{kept}", letter.length)),
        ("sha256", letter.sha256.iter().map(|byte| format!("{byte:02x}")).collect()),
        ("replayed", stored.replayed.map_or_else(|| "never".to_owned(), |at| at.to_string())),
    ];
    let mut out = String::new();
    for (name, value) in rows {
        let _ = writeln!(out, "{name:<9} {value}");
    }
    out.push('\n');
    for line in String::from_utf8_lossy(&letter.body).lines() {
        let _ = writeln!(out, "{}", harmless(line));
    }
    out
}
