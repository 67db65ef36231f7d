//! `RINGPOST_SECTION__KEY=value`: the environment as entries. Pure: the variables are handed in.

use std::collections::BTreeMap;

use super::document::{Entry, Given, Place};
use super::mistake::Mistake;

/// Before every variable of ours.
const PREFIX: &str = "RINGPOST_";

/// Entries of the variables with a section; others that begin alike are somebody else's (Kubernetes writes
/// `RINGPOST_SERVICE_HOST` beside a service of that name).
pub(crate) fn read(variables: &[(String, String)]) -> BTreeMap<String, Entry> {
    let ours = variables.iter().filter_map(|(name, value)| {
        let path = name.strip_prefix(PREFIX)?;
        path.contains("__").then(|| {
            let place = Place::Environment(name.clone());
            let path = path.to_ascii_lowercase().replace("__", ".");
            (path, Entry { value: Given::Bare(value.clone()), key_place: place.clone(), place })
        })
    });
    ours.collect()
}

/// Variables that name a known key but for one underscore: `RINGPOST_HTTP_LISTEN`.
pub(crate) fn slips(variables: &[(String, String)], known: &[String]) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (name, _) in variables {
        let Some(path) = name.strip_prefix(PREFIX).filter(|path| !path.contains("__")) else { continue };
        let meant = known.iter().find(|key| key.replace('.', "_").eq_ignore_ascii_case(path));
        if let Some(key) = meant {
            let wrong = "not a setting: section and key are parted by two underscores".to_owned();
            let instead = format!("write {}", variable(key));
            mistakes.push(Mistake {
                place: Place::Environment(name.clone()),
                key: key.clone(),
                wrong,
                instead,
            });
        }
    }
    mistakes
}

/// The variable that sets a key.
pub(crate) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}
