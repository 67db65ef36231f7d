//! What no resource can say of itself: names given twice, parents and owners that are not there, filters that
//! mean nothing.

use std::collections::{BTreeMap, BTreeSet};

use ringpost_model::{Tenant, TenantKey, Text, Trigger};

use super::folder::{Files, place};
use super::{Declared, Read};
use crate::config::{Mistake, nearest};

/// What is there beside the files: in the store, unless it is to be pruned.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) tenants: BTreeMap<TenantKey, Tenant>,
}

/// Judges one trigger in its region: pointers and messages.
pub(crate) type TriggerCheck<'a> = &'a dyn Fn(&Trigger, &str) -> Vec<(String, String)>;

/// Adds the mistakes that show only when all files are seen together.
pub(crate) fn check(files: &Files, read: &mut Read, known: &Known, judge: TriggerCheck<'_>) {
    let mut found = Found { files, mistakes: Vec::new() };
    twice(&mut found, read);
    references(&mut found, read, known);
    circles(&mut found, read, known);
    let regions: BTreeMap<&TenantKey, &Text> = known
        .tenants
        .values()
        .chain(read.resources.tenants.iter().map(|tenant| &tenant.what))
        .map(|tenant| (&tenant.key, &tenant.region))
        .collect();
    for trigger in &read.resources.triggers {
        let region = regions.get(&trigger.what.owner).map_or("", |region| region);
        for (pointer, message) in judge(&trigger.what.trigger, region) {
            let subject = format!("trigger {:?}: {pointer}", &*trigger.what.trigger.name);
            found.wrong(trigger, &pointer, subject, message, "");
        }
    }
    read.mistakes.append(&mut found.mistakes);
    read.mistakes.sort_by_key(|mistake| match &mistake.place {
        crate::config::Place::File { file, line, column } => (file.clone(), *line, *column),
        _ => (String::new(), 0, 0),
    });
}

struct Found<'a> {
    files: &'a Files,
    mistakes: Vec<Mistake>,
}

impl Found<'_> {
    fn wrong<T>(
        &mut self,
        declared: &Declared<T>,
        pointer: &str,
        key: String,
        wrong: impl Into<String>,
        instead: impl Into<String>,
    ) {
        let place = place(self.files, declared, pointer);
        self.mistakes.push(Mistake { place, key, wrong: wrong.into(), instead: instead.into() });
    }

    /// One name, one resource.
    fn unique<T>(
        &mut self,
        declared: &[Declared<T>],
        pointer: &str,
        subject: &str,
        name: impl Fn(&T) -> String,
    ) {
        let mut first: BTreeMap<String, &Declared<T>> = BTreeMap::new();
        for one in declared {
            let name = name(&one.what);
            if let Some(earlier) = first.get(&name) {
                let at = place(self.files, earlier, pointer);
                self.wrong(
                    one,
                    pointer,
                    format!("{subject} {name}"),
                    format!("is at {at} too"),
                    "keep one of them",
                );
            } else {
                first.insert(name, one);
            }
        }
    }
}

fn twice(found: &mut Found<'_>, read: &Read) {
    let resources = &read.resources;
    found.unique(&resources.tenants, "/key", "tenant", |tenant| format!("{:?}", tenant.key.as_str()));
    found.unique(&resources.pbxs, "/key", "pbx", |pbx| format!("{:?}", pbx.pbx.key.as_str()));
    found.unique(&resources.triggers, "/name", "trigger", |owned| {
        format!("{:?} of tenant {:?}", &*owned.trigger.name, owned.owner.as_str())
    });
    // Two of one name have one id; that is told above.
    let tenants = once(&resources.tenants, |tenant| tenant.key.clone());
    found.unique(&tenants, "/id", "tenant id", |tenant| tenant.id.to_string());
    let triggers = once(&resources.triggers, |owned| (owned.owner.clone(), owned.trigger.name.clone()));
    found.unique(&triggers, "/id", "trigger id", |owned| owned.trigger.id.to_string());
    tokens(found, read);
}

/// The first of each name.
fn once<T: Clone, K: Ord>(declared: &[Declared<T>], name: impl Fn(&T) -> K) -> Vec<Declared<T>> {
    let mut names = BTreeSet::new();
    declared.iter().filter(|one| names.insert(name(&one.what))).cloned().collect()
}

/// A token names one platform. It is not repeated: it is a secret.
fn tokens(found: &mut Found<'_>, read: &Read) {
    let mut seen = BTreeSet::new();
    for pbx in &read.resources.pbxs {
        for (index, token) in pbx.what.tokens.iter().enumerate() {
            if !seen.insert(&token.token) {
                let pointer = format!("/tokens/{index}");
                let subject = format!("pbx {:?}: {pointer}", pbx.what.pbx.key.as_str());
                found.wrong(pbx, &pointer, subject, "this token is used twice", "give each platform its own");
            }
        }
    }
}

fn references(found: &mut Found<'_>, read: &Read, known: &Known) {
    let resources = &read.resources;
    let declared = resources.tenants.iter().map(|tenant| &tenant.what.key);
    let there: BTreeSet<&TenantKey> = known.tenants.keys().chain(declared).collect();
    let missing = |key: &TenantKey| {
        let wrong = format!("no tenant {:?}", key.as_str());
        let near = nearest(key.as_str(), there.iter().map(|key| key.as_str()));
        let instead = near.map_or_else(
            || "add it as [[tenant]]".to_owned(),
            |near| format!("did you mean {near:?}? Otherwise add it as [[tenant]]"),
        );
        (wrong, instead)
    };
    for tenant in &resources.tenants {
        if let Some(parent) = tenant.what.parent.as_ref().filter(|key| !there.contains(key)) {
            let (wrong, instead) = missing(parent);
            let subject = format!("tenant {:?}: /parent", tenant.what.key.as_str());
            found.wrong(tenant, "/parent", subject, wrong, instead);
        }
    }
    for pbx in &resources.pbxs {
        if let Some(tenant) = pbx.what.pbx.tenant.as_ref().filter(|key| !there.contains(key)) {
            let (wrong, instead) = missing(tenant);
            let subject = format!("pbx {:?}: /tenant", pbx.what.pbx.key.as_str());
            found.wrong(pbx, "/tenant", subject, wrong, instead);
        }
    }
    for pbx in &resources.pbxs {
        for (index, token) in pbx.what.tokens.iter().enumerate() {
            if let Some(tenant) = token.tenant.as_ref().filter(|key| !there.contains(key)) {
                let (wrong, instead) = missing(tenant);
                let pointer = format!("/tokens/{index}/tenant");
                let subject = format!("pbx {:?}: {pointer}", pbx.what.pbx.key.as_str());
                found.wrong(pbx, &pointer, subject, wrong, instead);
            }
        }
    }
    for trigger in &resources.triggers {
        if !there.contains(&trigger.what.owner) {
            let (wrong, instead) = missing(&trigger.what.owner);
            let subject = format!("trigger {:?}: /tenant", &*trigger.what.trigger.name);
            found.wrong(trigger, "/tenant", subject, wrong, instead);
        }
    }
}

/// A tenant above itself would be told of calls without end.
fn circles(found: &mut Found<'_>, read: &Read, known: &Known) {
    let declared = read.resources.tenants.iter().map(|tenant| &tenant.what);
    let parents: BTreeMap<&TenantKey, Option<&TenantKey>> =
        known.tenants.values().chain(declared).map(|tenant| (&tenant.key, tenant.parent.as_ref())).collect();
    for tenant in &read.resources.tenants {
        let mut above = tenant.what.parent.as_ref();
        let mut steps = 0;
        while let Some(key) = above {
            // Another circle further up is told where it is.
            let meets_itself = *key == tenant.what.key;
            if meets_itself {
                let subject = format!("tenant {:?}: /parent", tenant.what.key.as_str());
                found.wrong(
                    tenant,
                    "/parent",
                    subject,
                    "it would be above itself",
                    "break the circle of parents",
                );
            }
            steps += 1;
            if meets_itself || steps > parents.len() {
                break;
            }
            above = parents.get(key).copied().flatten();
        }
    }
}
