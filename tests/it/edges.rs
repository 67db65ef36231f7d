//! Dependencies between our crates point one way (docs/architecture.md); what is not listed is forbidden.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// What each crate may depend on, outside its tests. Adding a word here is a design change.
const ALLOWED: [(&str, &str); 15] = [
    ("ringpost-model", ""),
    ("ringpost-numbers", "model"),
    ("ringpost-ingest", "model"),
    ("ringpost-session", "model numbers"),
    ("ringpost-enrich", "model numbers"),
    ("ringpost-trigger", "model numbers"),
    ("ringpost-deliver", "model numbers"),
    ("ringpost-store", "model numbers"),
    ("ringpost-bus", ""),
    ("ringpost-simulate", "model"),
    ("ringpost-api", "model numbers ingest enrich trigger deliver store bus"),
    ("ringpost", "model numbers ingest session enrich trigger deliver store bus simulate api"),
    ("ringpost-tests", ""),
    ("ringpost-faults", "bus simulate tests"),
    ("ringpost-sim", "api bus deliver model server session simulate store"),
];

fn normal_edges() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata runs");
    let mut edges = BTreeMap::new();
    for package in metadata.packages {
        let to = package.dependencies.iter();
        let ours = to.filter(|to| to.kind == DependencyKind::Normal && to.name.starts_with("ringpost"));
        edges.insert(package.name.to_string(), ours.map(|to| to.name.clone()).collect());
    }
    edges
}

#[test]
fn no_crate_knows_one_that_it_must_not() {
    let allowed: BTreeMap<&str, &str> = ALLOWED.into_iter().collect();
    for (from, edges) in normal_edges() {
        let allowed =
            allowed.get(from.as_str()).unwrap_or_else(|| panic!("{from} is not on the map of crates"));
        let name = |to| if to == "server" { "ringpost".to_owned() } else { format!("ringpost-{to}") };
        let allowed: BTreeSet<String> = allowed.split_whitespace().map(name).collect();
        let forbidden: Vec<_> = edges.difference(&allowed).collect();
        assert!(forbidden.is_empty(), "{from} must not depend on {forbidden:?}");
    }
}

/// The simulated truth is worth nothing if it asks the machine that it judges.
#[test]
fn the_truth_of_the_simulation_shares_no_code_with_session() {
    let mut reached = BTreeSet::from(["ringpost-simulate".to_owned()]);
    let edges = normal_edges();
    let mut open = vec!["ringpost-simulate".to_owned()];
    while let Some(from) = open.pop() {
        open.extend(edges[&from].iter().filter(|to| reached.insert((*to).clone())).cloned());
    }
    assert_eq!(reached, BTreeSet::from(["ringpost-model".to_owned(), "ringpost-simulate".to_owned()]));
}

/// A pure crate has no async runtime, no socket, no database and no log of its own.
#[test]
fn pure_crates_stay_pure() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata runs");
    for name in ["model", "numbers", "ingest", "session", "enrich", "trigger", "simulate"] {
        let package =
            metadata.packages.iter().find(|package| package.name.as_str() == format!("ringpost-{name}"));
        let dependencies = &package.expect("on the map").dependencies;
        for impure in ["tokio", "reqwest", "axum", "sqlx", "rdkafka", "tracing", "getrandom"] {
            let found = dependencies.iter().find(|to| to.kind == DependencyKind::Normal && to.name == impure);
            assert!(found.is_none(), "ringpost-{name} must stay pure, but depends on {impure}");
        }
    }
}
