//! How a platform writes its tables: columns and their order, times, CSV or JSON.

use ringpost_model::Timestamp;
use serde_json::{Map, Value};

use crate::company::Pbx;
use crate::script::Micros;

/// How the rows of a platform look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// CSV, with a line that names the columns.
    Named,
    /// CSV in the order of the configuration as it is shipped.
    Default,
    /// A JSON object a line.
    Json,
}

impl Shape {
    pub(super) fn of(pbx: &Pbx) -> Self {
        match pbx.key {
            "us-east" | "k2" => Self::Default,
            "main" => Self::Json,
            _ => Self::Named,
        }
    }
}

/// Local with an offset, UTC without one, or seconds since 1970.
pub(super) fn time(pbx: &Pbx, at: Micros) -> String {
    let time = Timestamp::from_micros(at);
    match pbx.zone {
        Some(zone) if pbx.writes_text_times => {
            time.in_zone(zone).format("%Y-%m-%d %H:%M:%S%.6f%:z").to_string()
        }
        _ if pbx.key == "us-east" => format!("{}.{:06}", at.div_euclid(1_000_000), at.rem_euclid(1_000_000)),
        _ => time.in_zone(chrono_tz::Tz::UTC).format("%Y-%m-%d %H:%M:%S%.6f").to_string(),
    }
}

/// Rows of texts by column.
pub(super) fn write(shape: Shape, columns: &[&str], rows: &[Vec<String>]) -> Vec<u8> {
    let mut lines = Vec::new();
    match shape {
        Shape::Json => lines.extend(rows.iter().map(|row| object(columns, row))),
        Shape::Named => {
            lines.push(columns.join(","));
            lines.extend(rows.iter().map(|row| line(row)));
        }
        Shape::Default => lines.extend(rows.iter().map(|row| line(row))),
    }
    lines.join("\n").into_bytes()
}

fn line(row: &[String]) -> String {
    let quoted = row.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\"")));
    quoted.collect::<Vec<_>>().join(",")
}

fn object(columns: &[&str], row: &[String]) -> String {
    let entries = columns.iter().zip(row).filter(|(_, value)| !value.is_empty());
    let entries: Map<String, Value> =
        entries.map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str()))).collect();
    Value::Object(entries).to_string()
}
