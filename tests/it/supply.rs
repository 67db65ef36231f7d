//! What we link: licences that we may ship, no known vulnerability, no second TLS or SQLite. No network.

use std::process::Command;

use cargo_metadata::MetadataCommand;
use rustsec::database::{Database, Query};
use rustsec::{Lockfile, advisory::Informational};
use serde::Deserialize;

#[derive(Deserialize)]
struct Policy {
    licenses: Licenses,
    advisories: Advisories,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Advisories {
    ignore: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Deserialize)]
struct Banned {
    name: String,
    /// Packages that may use it nevertheless.
    #[serde(default)]
    wrappers: Vec<String>,
}

fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn policy() -> Policy {
    let text = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml is in the project");
    toml::from_str(&text).expect("deny.toml is TOML")
}

#[test]
fn every_licence_is_one_that_we_may_ship() {
    let allowed: Vec<spdx::Licensee> = policy()
        .licenses
        .allow
        .iter()
        .map(|text| spdx::Licensee::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")))
        .collect();
    let metadata = MetadataCommand::new().exec().expect("cargo metadata runs");
    let mut refused = Vec::new();
    for package in metadata.packages {
        let licence = package.license.as_deref().unwrap_or("none stated");
        let expression = spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX);
        let permitted = expression.is_ok_and(|expression| {
            expression.evaluate(|wanted| allowed.iter().any(|licensee| licensee.satisfies(wanted)))
        });
        if !permitted {
            refused.push(format!("{} {}: {licence}", package.name, package.version));
        }
    }
    assert!(refused.is_empty(), "not in deny.toml's list: {refused:#?}");
}

#[test]
fn nothing_banned_is_linked() {
    let lockfile = Lockfile::load(root().join("Cargo.lock")).expect("Cargo.lock reads");
    for banned in policy().bans.deny {
        let is_banned = |name: &str| name == banned.name;
        let users = lockfile.packages.iter().filter(|package| {
            let uses = package.dependencies.iter().any(|used| is_banned(used.name.as_str()));
            uses && !banned.wrappers.iter().any(|wrapper| wrapper == package.name.as_str())
        });
        let users: Vec<&str> = users.map(|package| package.name.as_str()).collect();
        let is_there = lockfile.packages.iter().any(|package| is_banned(package.name.as_str()));
        let is_allowed = users.is_empty() && !banned.wrappers.is_empty();
        assert!(!is_there || is_allowed, "{} is banned by deny.toml; it is used by {users:?}", banned.name);
    }
}

#[test]
fn no_known_vulnerability_is_linked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let archive = root().join("deploy/policy/advisory-db.tar.gz");
    let unpacked =
        Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder.path()).status().expect("tar runs");
    assert!(unpacked.success(), "the copy of the RustSec database unpacks");
    let database = Database::open(folder.path()).expect("the RustSec database reads");
    assert!(database.iter().count() > 800, "the copy is whole");

    let lockfile = Lockfile::load(root().join("Cargo.lock")).expect("Cargo.lock reads");
    let ignored = policy().advisories.ignore;
    let found = database.query_vulnerabilities(&lockfile, &Query::crate_scope());
    let vulnerabilities: Vec<String> = found
        .into_iter()
        .filter(|found| !ignored.contains(&found.advisory.id.to_string()))
        .filter(|found| !matches!(found.advisory.informational, Some(Informational::Unmaintained)))
        .map(|found| format!("{} {}: {}", found.package.name, found.package.version, found.advisory.title))
        .collect();
    assert!(vulnerabilities.is_empty(), "{vulnerabilities:#?}");
}
