//! The files of a folder: every `*.toml` and `*.json` below it, in order of their names.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::fields::Reading;
use super::node::{Node, Value};
use super::{Declared, Read, json_text, kinds, toml_text};
use crate::config::{Mistake, Place, Positions};

/// Names and texts of files.
pub(crate) type Files = BTreeMap<PathBuf, String>;

/// Reads the texts of a folder's files, or of one file.
///
/// # Errors
/// A folder or file that cannot be read.
pub(crate) fn read_folder(path: &Path) -> io::Result<Files> {
    let mut files = Files::new();
    if path.is_dir() {
        collect(path, &mut files)?;
    } else {
        files.insert(path.to_owned(), fs::read_to_string(path)?);
    }
    Ok(files)
}

fn collect(folder: &Path, files: &mut Files) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // A backup or a folder such as .git is not meant.
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let wanted = path.extension().is_some_and(|extension| extension == "toml" || extension == "json");
        if path.is_dir() && !hidden {
            collect(&path, files)?;
        } else if wanted && !hidden {
            let text = fs::read_to_string(&path);
            let text =
                text.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
            files.insert(path, text);
        }
    }
    Ok(())
}

/// What the files say.
pub(crate) fn read(files: &Files, variables: &[(String, String)]) -> Read {
    let mut all = Read::default();
    for (path, text) in files {
        let name = path.display().to_string();
        let positions = Positions::new(&name, text);
        match document(path, &name, text, &positions) {
            Ok(node) => {
                let folder = path.parent().unwrap_or(Path::new(""));
                let mut reading = Reading { positions, variables, folder, mistakes: Vec::new() };
                resources(&mut reading, path, &node, &mut all);
                all.mistakes.extend(reading.mistakes);
            }
            Err(mistakes) => all.mistakes.extend(mistakes),
        }
    }
    all
}

/// One file as nodes.
pub(crate) fn document(
    path: &Path,
    name: &str,
    text: &str,
    positions: &Positions<'_>,
) -> Result<Node, Vec<Mistake>> {
    let mistake = |place, wrong| Mistake { place, key: String::new(), wrong, instead: String::new() };
    if path.extension().is_some_and(|extension| extension == "json") {
        return json_text::parse(text).map_err(|(line, column, wrong)| {
            let place = Place::File { file: name.to_owned(), line, column };
            vec![mistake(place, format!("not JSON: {wrong}"))]
        });
    }
    let parsed = toml_text::parse(text);
    parsed.map_err(|errors| {
        let mistakes = errors.into_iter();
        mistakes.map(|(at, wrong)| mistake(positions.place(at), format!("not TOML: {wrong}"))).collect()
    })
}

/// A file holds lists of resources by kind: `tenant`, `pbx`, `trigger`.
fn resources(reading: &mut Reading<'_>, path: &Path, node: &Node, all: &mut Read) {
    let Value::Object(members) = &node.value else {
        return reading.wrong(
            node.at,
            "",
            "not an object",
            "write {\"tenant\": […], \"pbx\": […], \"trigger\": […]}",
        );
    };
    for member in members {
        let resources = match (&member.node.value, member.key.as_str()) {
            (Value::List(nodes), "tenant" | "pbx" | "trigger") => nodes,
            (_, "tenant" | "pbx" | "trigger") => {
                let instead = format!("write [[{}]] with two brackets", member.key);
                reading.wrong(member.at, &member.key, "not a list", instead);
                continue;
            }
            _ => {
                reading.wrong(member.at, &member.key, "no such kind", "the kinds are tenant, pbx, trigger");
                continue;
            }
        };
        for node in resources {
            one(reading, path, &member.key, node, all);
        }
    }
}

fn one(reading: &mut Reading<'_>, path: &Path, kind: &str, node: &Node, all: &mut Read) {
    let resources = &mut all.resources;
    match kind {
        "tenant" => {
            resources.tenants.extend(kinds::tenant(reading, node).map(|what| declared(path, node, what)))
        }
        "pbx" => resources.pbxs.extend(kinds::pbx(reading, node).map(|what| declared(path, node, what))),
        _ => resources.triggers.extend(kinds::trigger(reading, node).map(|what| declared(path, node, what))),
    }
}

fn declared<T>(path: &Path, node: &Node, what: T) -> Declared<T> {
    Declared { what, file: path.to_owned(), node: node.clone() }
}

/// Where a part of a resource stands.
pub(crate) fn place<T>(files: &Files, declared: &Declared<T>, pointer: &str) -> Place {
    let text = files.get(&declared.file).map_or("", String::as_str);
    let name = declared.file.display().to_string();
    Positions::new(&name, text).place(declared.node.position_of(pointer))
}
