//! Rows of JSON: a list of objects, or an object on each line. What is in an object in it is joined to one name:
//! `{"user": {"number": "11"}}` is `usernumber`; a list of texts is one text with semicolons.

use serde_json::{Map, Value};

use super::{RawRow, mistake, simple};
use crate::Mistake;

/// All rows at once: a list is read whole.
pub(super) fn json_rows(text: &str) -> Vec<Result<RawRow, Mistake>> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('[') {
        let rows: Vec<Value> = match serde_json::from_str(text) {
            Ok(rows) => rows,
            Err(error) => return vec![Err(mistake(error.line() as u64, "", error.to_string()))],
        };
        return (1..).zip(rows).map(|(line, row)| read(line, row)).collect();
    }
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let rows = lines.map(|(line, text)| match serde_json::from_str(text) {
        Ok(row) => read(line, row),
        Err(error) => Err(mistake(line, "", error.to_string())),
    });
    rows.collect()
}

fn read(line: u64, row: Value) -> Result<RawRow, Mistake> {
    let Value::Object(row) = row else {
        return Err(mistake(line, "", "not an object: write {\"phone1\": …}"));
    };
    let mut cells = Vec::new();
    flatten("", row, &mut cells)
        .map_err(|column| mistake(line, &column, "neither a text nor a number: write the value in quotes"))?;
    Ok(RawRow { line, cells })
}

fn flatten(above: &str, row: Map<String, Value>, cells: &mut Vec<(String, String)>) -> Result<(), String> {
    for (name, value) in row {
        let here = format!("{above}{}", simple(&name));
        match value {
            Value::Null => {}
            Value::String(text) => cells.push((here, text)),
            Value::Number(number) => cells.push((here, number.to_string())),
            Value::Bool(_) => return Err(name),
            Value::Array(values) => {
                let texts: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
                cells.push((here, texts.ok_or(name)?.join(";")));
            }
            // A record's own form has the fields one level down.
            Value::Object(fields) if here == "fields" => flatten("", fields, cells)?,
            Value::Object(fields) if above.is_empty() => flatten(&here, fields, cells)?,
            Value::Object(_) => return Err(name),
        }
    }
    Ok(())
}
