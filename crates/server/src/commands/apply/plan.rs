//! What differs between files and store, as steps in an order that can be carried out. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use ringpost_model::{Pbx, PbxKey, Tenant, TenantKey, TriggerId};
use ringpost_store::TokenId;
use serde::Serialize;

use super::state::State;
use crate::resources::{Declared, OwnedTrigger, PbxWithTokens, Resources, Token};

/// Everything to be done, in order.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
}

/// One resource.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) action: Action,
    /// `tenant`, `pbx`, `token`, `trigger`.
    kind: &'static str,
    name: String,
    /// Keys that differ; never values, which may be secrets.
    differs: Vec<String>,
    pub(crate) what: What,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    Create,
    Change,
    Prune,
    Unchanged,
}

/// With what it is done.
#[derive(Debug)]
pub(crate) enum What {
    Tenant(Tenant),
    Pbx(Box<Pbx>),
    Token(PbxKey, Token),
    Trigger(Box<OwnedTrigger>),
    NoTenant(TenantKey),
    NoPbx(PbxKey),
    NoToken(TokenId),
    NoTrigger(TriggerId),
}

/// Compares. Parents come before children, and are pruned after them.
pub(crate) fn plan(resources: Resources, state: State, prune: bool) -> Plan {
    let mut plan = Plan::default();
    let pruned = prune.then(|| pruned(&resources, &state));
    for tenant in parents_first(resources.tenants) {
        plan.tenant(tenant, &state);
    }
    let mut tokens = Vec::new();
    for pbx in resources.pbxs {
        tokens.extend(plan.pbx(pbx.what, &state));
    }
    for (pbx, token) in tokens {
        plan.token(pbx, token, &state);
    }
    for trigger in resources.triggers {
        plan.trigger(trigger.what, &state);
    }
    plan.steps.extend(pruned.unwrap_or_default());
    plan
}

impl Plan {
    fn tenant(&mut self, declared: Declared<Tenant>, state: &State) {
        let mut tenant = declared.what;
        let before = state.tenants.get(&tenant.key);
        // An id that nobody wrote is the one that the tenant has.
        if let Some(before) = before.filter(|_| declared.node.get("id").is_none()) {
            tenant.id = before.id;
        }
        let name = tenant.key.to_string();
        let (action, differs) = compare(before, &tenant);
        self.steps.push(Step { action, kind: "tenant", name, differs, what: What::Tenant(tenant) });
    }

    fn pbx(&mut self, declared: PbxWithTokens, state: &State) -> Vec<(PbxKey, Token)> {
        let (action, differs) = compare(state.pbxs.get(&declared.pbx.key), &declared.pbx);
        let key = declared.pbx.key.clone();
        self.steps.push(Step {
            action,
            kind: "pbx",
            name: key.to_string(),
            differs,
            what: What::Pbx(Box::new(declared.pbx)),
        });
        declared.tokens.into_iter().map(|token| (key.clone(), token)).collect()
    }

    fn token(&mut self, pbx: PbxKey, token: Token, state: &State) {
        let id = TokenId::of(&token.token);
        let before = state.tokens.iter().find(|known| known.id == id);
        let (action, differs) = match before {
            None => (Action::Create, Vec::new()),
            Some(before) if before.name != token.name => (Action::Change, vec!["name".to_owned()]),
            Some(_) => (Action::Unchanged, Vec::new()),
        };
        let name = format!("{pbx} / {}", token_name(&token.name, id));
        self.steps.push(Step { action, kind: "token", name, differs, what: What::Token(pbx, token) });
    }

    fn trigger(&mut self, declared: OwnedTrigger, state: &State) {
        let before = state.triggers.get(&declared.trigger.id).map(|stored| &stored.trigger);
        let (action, differs) = compare(before, &declared.trigger);
        let name = format!("{} / {}", declared.owner, declared.trigger.name);
        let what = What::Trigger(Box::new(declared));
        self.steps.push(Step { action, kind: "trigger", name, differs, what });
    }

    /// How many steps do something.
    pub(crate) fn changes(&self) -> usize {
        self.steps.iter().filter(|step| step.action != Action::Unchanged).count()
    }

    /// `2 to create, 1 unchanged`.
    pub(crate) fn counts(&self) -> String {
        let words = [
            (Action::Create, "to create"),
            (Action::Change, "to change"),
            (Action::Prune, "to prune"),
            (Action::Unchanged, "unchanged"),
        ];
        let counts = words.iter().filter_map(|(action, word)| {
            let count = self.steps.iter().filter(|step| step.action == *action).count();
            (count > 0).then(|| format!("{count} {word}"))
        });
        counts.collect::<Vec<_>>().join(", ")
    }

    /// A line for each step.
    pub(crate) fn text(&self, coloured: bool) -> String {
        let width = self.steps.iter().map(|step| step.name.chars().count()).max().unwrap_or_default();
        let mut out = String::new();
        for step in &self.steps {
            let (word, colour) = match step.action {
                Action::Create => ("create", "32"),
                Action::Change => ("change", "33"),
                Action::Prune => ("prune", "31"),
                Action::Unchanged => ("unchanged", "2"),
            };
            let word = format!("{word:<9}");
            let word = if coloured { format!("\u{1b}[{colour}m{word}\u{1b}[0m") } else { word };
            let line =
                format!("{word}  {:<7}  {:<width$}  {}", step.kind, step.name, step.differs.join(", "));
            let _ = writeln!(out, "{}", line.trim_end());
        }
        out
    }
}

/// What the store has and the files do not, children first.
fn pruned(resources: &Resources, state: &State) -> Vec<Step> {
    let gone = |kind, name, what| Step { action: Action::Prune, kind, name, differs: Vec::new(), what };
    let mut steps = Vec::new();
    let triggers: BTreeSet<TriggerId> =
        resources.triggers.iter().map(|trigger| trigger.what.trigger.id).collect();
    for (id, stored) in state.triggers.iter().filter(|(id, _)| !triggers.contains(id)) {
        let name = format!("{} / {}", stored.tenant, stored.trigger.name);
        steps.push(gone("trigger", name, What::NoTrigger(*id)));
    }
    let tokens = resources.pbxs.iter().flat_map(|pbx| &pbx.what.tokens);
    let tokens: BTreeSet<TokenId> = tokens.map(|token| TokenId::of(&token.token)).collect();
    for token in state.tokens.iter().filter(|token| !tokens.contains(&token.id)) {
        let name = format!("{} / {}", token.pbx, token_name(&token.name, token.id));
        steps.push(gone("token", name, What::NoToken(token.id)));
    }
    let pbxs: BTreeSet<&PbxKey> = resources.pbxs.iter().map(|pbx| &pbx.what.pbx.key).collect();
    for key in state.pbxs.keys().filter(|key| !pbxs.contains(key)) {
        steps.push(gone("pbx", key.to_string(), What::NoPbx(key.clone())));
    }
    let tenants: BTreeSet<&TenantKey> = resources.tenants.iter().map(|tenant| &tenant.what.key).collect();
    let mut gone_tenants: Vec<&Tenant> =
        state.tenants.values().filter(|tenant| !tenants.contains(&tenant.key)).collect();
    gone_tenants.sort_by_key(|tenant| (std::cmp::Reverse(depth(tenant, &state.tenants)), tenant.key.clone()));
    steps.extend(
        gone_tenants
            .into_iter()
            .map(|tenant| gone("tenant", tenant.key.to_string(), What::NoTenant(tenant.key.clone()))),
    );
    steps
}

/// Tenants above it. A circle, which neither files nor store allow, ends.
fn depth(tenant: &Tenant, tenants: &BTreeMap<TenantKey, Tenant>) -> usize {
    let above = std::iter::successors(tenant.parent.as_ref(), |key| {
        tenants.get(key).and_then(|above| above.parent.as_ref())
    });
    above.take(tenants.len() + 1).count()
}

fn parents_first(mut declared: Vec<Declared<Tenant>>) -> Vec<Declared<Tenant>> {
    let tenants: BTreeMap<TenantKey, Tenant> =
        declared.iter().map(|tenant| (tenant.what.key.clone(), tenant.what.clone())).collect();
    // The sort is stable: beside that, tenants keep the order of the files.
    declared.sort_by_key(|tenant| depth(&tenant.what, &tenants));
    declared
}

fn token_name(name: &str, id: TokenId) -> String {
    if name.is_empty() { id.to_string() } else { name.to_owned() }
}

fn compare<T: Serialize>(before: Option<&T>, after: &T) -> (Action, Vec<String>) {
    let Some(before) = before else { return (Action::Create, Vec::new()) };
    let (before, after) = (members(before), members(after));
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs: Vec<String> =
        keys.into_iter().filter(|key| before.get(*key) != after.get(*key)).cloned().collect();
    if differs.is_empty() { (Action::Unchanged, differs) } else { (Action::Change, differs) }
}

/// Members as they are written: numbers in filters keep their digits.
fn members<T: Serialize>(resource: &T) -> BTreeMap<String, String> {
    let text = serde_json::to_string(resource).expect("a resource prints as JSON");
    let members: BTreeMap<String, Box<serde_json::value::RawValue>> =
        serde_json::from_str(&text).expect("and is an object");
    members.into_iter().map(|(key, value)| (key, value.get().to_owned())).collect()
}
