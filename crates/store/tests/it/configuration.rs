//! Tenants, pbxs, tokens, triggers, and the changes that tell of them.

use ringpost_model::{Auth, Dialect, Pbx, Tenant};
use ringpost_store::{Batch, Change, Error, Expect, Keep, Kind, Store, Written, new_token};

use crate::bench::{
    Bench, at, debt, delivery, pbx_key, suite, tenant, tenant_key, trigger, trigger_id, with_triggers,
};

suite! {
    a_tenant_is_saved_once_and_found_after_a_restart
    the_tree_of_tenants_stays_a_tree
    a_tenant_with_something_below_it_stays
    a_pbx_goes_with_its_tokens
    a_token_opens_one_pbx_until_it_is_revoked
    a_token_that_could_be_guessed_is_refused
    every_change_of_a_trigger_is_a_version_and_old_ones_stay
    a_trigger_keeps_its_secrets
    two_editors_do_not_overwrite_each_other
    a_trigger_belongs_to_one_tenant
    a_removed_trigger_is_gone_but_its_versions_render_what_is_owed
    a_version_goes_when_nothing_can_need_it_any_more
    changes_are_told_once_for_each_kind_and_tenant
}

fn pbx(key: &str) -> Pbx {
    Pbx {
        key: pbx_key(key),
        guid: "".into(),
        name: "Main".into(),
        tenant: Some(tenant_key("acme")),
        zone: None,
        region: "".into(),
        dialect: Dialect::Native,
        environment: "".into(),
        sides: Default::default(),
    }
}

fn below(key: &str, parent: &str) -> Tenant {
    Tenant { parent: Some(tenant_key(parent)), ..tenant(key) }
}

async fn a_tenant_is_saved_once_and_found_after_a_restart(bench: Bench) {
    let store = bench.open().await;
    let acme = tenant("acme");
    assert_eq!(store.put_tenant(&acme, at(0)).await.unwrap(), Written::Made);
    assert_eq!(store.put_tenant(&acme, at(1)).await.unwrap(), Written::Same);
    let renamed = Tenant { name: "Acme Ltd".into(), ..acme };
    assert_eq!(store.put_tenant(&renamed, at(2)).await.unwrap(), Written::Changed);
    let store = bench.reopen(store).await;
    assert_eq!(store.tenant(&renamed.key).await.unwrap(), Some(renamed.clone()));
    assert_eq!(store.tenants().await.unwrap(), [renamed]);
    assert_eq!(store.tenant(&tenant_key("globex")).await.unwrap(), None);
}

async fn refusal(store: &Store, tenant: &Tenant) -> String {
    store.put_tenant(tenant, at(0)).await.unwrap_err().to_string()
}

async fn the_tree_of_tenants_stays_a_tree(bench: Bench) {
    let store = bench.open().await;
    assert_eq!(refusal(&store, &below("a", "nobody")).await, "there is no tenant nobody");
    store.put_tenant(&tenant("a"), at(0)).await.unwrap();
    store.put_tenant(&below("b", "a"), at(0)).await.unwrap();
    store.put_tenant(&below("c", "b"), at(0)).await.unwrap();
    assert_eq!(refusal(&store, &below("a", "c")).await, "tenant a: it cannot be below itself");
    let taken = Tenant { id: tenant("a").id, ..tenant("d") };
    assert_eq!(refusal(&store, &taken).await, "tenant d: another tenant has its id");
    let other_id = Tenant { id: tenant("x").id, ..tenant("a") };
    assert_eq!(refusal(&store, &other_id).await, "tenant a: its id cannot be changed");
    for depth in 0..20 {
        let parent = if depth == 0 { "c".to_owned() } else { format!("t{}", depth - 1) };
        if let Err(error) = store.put_tenant(&below(&format!("t{depth}"), &parent), at(0)).await {
            assert!(error.to_string().ends_with("the tree of tenants is too deep"), "{error}");
            return;
        }
    }
    panic!("a tree without an end");
}

async fn a_tenant_with_something_below_it_stays(bench: Bench) {
    let store = with_triggers(&bench).await;
    store.put_tenant(&below("b", "acme"), at(0)).await.unwrap();
    let acme = tenant_key("acme");
    assert!(matches!(store.remove_tenant(&acme).await, Err(Error::Refused { .. })));
    assert!(store.remove_tenant(&tenant_key("b")).await.unwrap());
    assert!(store.remove_tenant(&acme).await.is_err(), "it has triggers");
    for n in 1..=3 {
        assert!(store.remove_trigger(trigger_id(n), Expect::Anything, at(1)).await.unwrap());
    }
    assert!(store.remove_tenant(&acme).await.unwrap());
    assert!(!store.remove_tenant(&acme).await.unwrap());
    assert!(store.tenants().await.unwrap().is_empty());
}

async fn a_pbx_goes_with_its_tokens(bench: Bench) {
    let store = bench.open().await;
    let error = store.put_pbx(&pbx("k1"), at(0)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no tenant acme");
    store.put_tenant(&tenant("acme"), at(0)).await.unwrap();
    assert_eq!(store.put_pbx(&pbx("k1"), at(0)).await.unwrap(), Written::Made);
    assert_eq!(store.put_pbx(&pbx("k1"), at(0)).await.unwrap(), Written::Same);
    let token = new_token().unwrap();
    store.put_ingest_token(&token, &pbx_key("k1"), None, "spool", at(0)).await.unwrap();
    let store = bench.reopen(store).await;
    assert_eq!(store.pbxs().await.unwrap(), [pbx("k1")]);
    assert_eq!(store.pbx(&pbx_key("k1")).await.unwrap(), Some(pbx("k1")));
    assert!(store.remove_pbx(&pbx_key("k1")).await.unwrap());
    assert!(!store.remove_pbx(&pbx_key("k1")).await.unwrap());
    assert_eq!(store.ingest_token(&token).await.unwrap(), None);
}

async fn a_token_opens_one_pbx_until_it_is_revoked(bench: Bench) {
    let store = bench.open().await;
    store.put_tenant(&tenant("acme"), at(0)).await.unwrap();
    store.put_pbx(&pbx("k1"), at(0)).await.unwrap();
    store.put_pbx(&pbx("k2"), at(0)).await.unwrap();
    let token = new_token().unwrap();
    assert_ne!(token, new_token().unwrap());
    let (k1, acme) = (pbx_key("k1"), tenant_key("acme"));
    let (id, written) = store.put_ingest_token(&token, &k1, Some(&acme), "spool", at(5)).await.unwrap();
    assert_eq!(written, Written::Made);
    let again = store.put_ingest_token(&token, &k1, Some(&acme), "spool", at(6)).await.unwrap();
    assert_eq!(again, (id, Written::Same));
    let store = bench.reopen(store).await;
    let found = store.ingest_token(&token).await.unwrap().unwrap();
    assert_eq!((found.id, &found.pbx, &found.tenant, found.created), (id, &k1, &Some(acme.clone()), at(5)));
    assert_eq!(store.ingest_token(&format!("{token}0")).await.unwrap(), None);
    let other = store.put_ingest_token(&token, &pbx_key("k2"), None, "", at(7)).await;
    assert!(other.unwrap_err().to_string().ends_with("it is there already, for another pbx or tenant"));
    assert!(store.revoke_ingest_token(id, at(8)).await.unwrap());
    assert!(!store.revoke_ingest_token(id, at(9)).await.unwrap());
    assert_eq!(store.ingest_token(&token).await.unwrap(), None);
    assert_eq!(store.ingest_tokens().await.unwrap()[0].revoked, Some(at(8)));
    // A declared token is valid for as long as it is declared.
    store.put_ingest_token(&token, &k1, Some(&acme), "spool", at(10)).await.unwrap();
    assert!(store.ingest_token(&token).await.unwrap().is_some());
}

async fn a_token_that_could_be_guessed_is_refused(bench: Bench) {
    let store = bench.open().await;
    store.put_tenant(&tenant("acme"), at(0)).await.unwrap();
    store.put_pbx(&pbx("k1"), at(0)).await.unwrap();
    let error = store.put_ingest_token("secret", &pbx_key("k1"), None, "", at(0)).await.unwrap_err();
    assert!(error.to_string().contains("could be guessed"), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    let nowhere = store.put_ingest_token(&new_token().unwrap(), &pbx_key("k9"), None, "", at(0)).await;
    assert!(matches!(nowhere, Err(Error::NotFound { .. })));
}

async fn every_change_of_a_trigger_is_a_version_and_old_ones_stay(bench: Bench) {
    let store = with_triggers(&bench).await;
    let acme = tenant_key("acme");
    let mut changed = trigger(1);
    assert_eq!(store.put_trigger(&acme, &changed, Expect::Anything, at(1)).await.unwrap(), 1, "no change");
    changed.format = ringpost_model::Format::Form;
    changed.url = "https://crm.example/new".into();
    assert_eq!(store.put_trigger(&acme, &changed, Expect::Anything, at(2)).await.unwrap(), 2);
    let store = bench.reopen(store).await;
    let current = store.trigger(trigger_id(1)).await.unwrap().unwrap();
    assert_eq!((current.version, &*current.trigger.url), (2, "https://crm.example/new"));
    assert_eq!((current.created, current.changed, current.tenant), (at(0), at(2), acme.clone()));
    let former = store.trigger_version(trigger_id(1), 1).await.unwrap().unwrap();
    assert_eq!(former.trigger.format, ringpost_model::Format::Json);
    assert_eq!(&*former.trigger.url, "https://crm.example/hooks/1");
    assert!(store.trigger_version(trigger_id(1), 3).await.unwrap().is_none());
    let names: Vec<_> = store.triggers(&acme).await.unwrap().into_iter().map(|t| t.trigger.name).collect();
    assert_eq!(names, ["CRM 1".into(), "CRM 2".into(), "CRM 3".into()]);
}

async fn a_trigger_keeps_its_secrets(bench: Bench) {
    let store = with_triggers(&bench).await;
    let mut secret = trigger(4);
    secret.headers.insert("X-Api-Key".into(), "k-123".into());
    secret.auth = Auth::Basic { user: "u".into(), password: "p".into() };
    secret.secrets = vec!["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()];
    secret.custom_data.insert("token".into(), "t".into());
    secret.filters = serde_json::from_str(r#"[{"field":"rateCost","op":"gt","value":0.10}]"#).unwrap();
    store.put_trigger(&tenant_key("acme"), &secret, Expect::Nothing, at(1)).await.unwrap();
    let store = bench.reopen(store).await;
    let found = store.trigger(trigger_id(4)).await.unwrap().unwrap().trigger;
    assert_eq!(serde_json::to_string(&found).unwrap(), serde_json::to_string(&secret).unwrap());
}

async fn two_editors_do_not_overwrite_each_other(bench: Bench) {
    let store = with_triggers(&bench).await;
    let acme = tenant_key("acme");
    let edit = |name: &str| {
        let mut edited = trigger(1);
        edited.name = name.into();
        edited
    };
    store.put_trigger(&acme, &edit("first"), Expect::Version(1), at(1)).await.unwrap();
    let second = store.put_trigger(&acme, &edit("second"), Expect::Version(1), at(2)).await;
    assert!(matches!(second, Err(Error::Conflict { found: 2, .. })));
    let made = store.put_trigger(&acme, &edit("third"), Expect::Nothing, at(3)).await;
    assert!(matches!(made, Err(Error::Conflict { found: 2, .. })));
    let removed = store.remove_trigger(trigger_id(1), Expect::Version(1), at(4)).await;
    assert!(matches!(removed, Err(Error::Conflict { found: 2, .. })));
    assert_eq!(&*store.trigger(trigger_id(1)).await.unwrap().unwrap().trigger.name, "first");
}

async fn a_trigger_belongs_to_one_tenant(bench: Bench) {
    let store = with_triggers(&bench).await;
    store.put_tenant(&tenant("globex"), at(0)).await.unwrap();
    let stolen = store.put_trigger(&tenant_key("globex"), &trigger(1), Expect::Anything, at(1)).await;
    assert!(matches!(stolen, Err(Error::Refused { .. })));
    let nobody = store.put_trigger(&tenant_key("nobody"), &trigger(9), Expect::Anything, at(1)).await;
    assert!(matches!(nobody, Err(Error::NotFound { .. })));
    assert!(store.triggers(&tenant_key("globex")).await.unwrap().is_empty());
}

async fn a_removed_trigger_is_gone_but_its_versions_render_what_is_owed(bench: Bench) {
    let store = with_triggers(&bench).await;
    assert!(store.remove_trigger(trigger_id(1), Expect::Version(1), at(1)).await.unwrap());
    assert!(!store.remove_trigger(trigger_id(1), Expect::Anything, at(2)).await.unwrap());
    assert!(store.trigger(trigger_id(1)).await.unwrap().is_none());
    assert_eq!(store.triggers(&tenant_key("acme")).await.unwrap().len(), 2);
    assert!(store.trigger_version(trigger_id(1), 1).await.unwrap().is_some());
    // Declared again, it is there again, and never confused with what it was.
    let version = store.put_trigger(&tenant_key("acme"), &trigger(1), Expect::Nothing, at(3)).await.unwrap();
    assert_eq!(version, 2);
}

async fn a_version_goes_when_nothing_can_need_it_any_more(bench: Bench) {
    let store = with_triggers(&bench).await;
    let acme = tenant_key("acme");
    for n in [1, 2] {
        let mut changed = trigger(n);
        changed.name = "changed".into();
        store.put_trigger(&acme, &changed, Expect::Anything, at(1)).await.unwrap();
    }
    store.remove_trigger(trigger_id(3), Expect::Anything, at(1)).await.unwrap();
    let debts = vec![debt(delivery(1, 1, 1), at(0))];
    store.settle(&Batch { debts, ..Batch::default() }, "me", at(0)).await.unwrap();
    let days = |days: i64| at(days * 86_400);
    let dropped = async |now| store.retain(Keep::default(), now).await.unwrap().trigger_versions;
    assert_eq!(dropped(days(14)).await, 0, "their deliveries can still be replayed");
    assert_eq!(dropped(days(15)).await, 2, "the replaced one of 2, and 3");
    let is_there = async |n, version| store.trigger_version(trigger_id(n), version).await.unwrap().is_some();
    assert!(is_there(1, 1).await, "it is owed");
    assert!(is_there(1, 2).await && is_there(2, 2).await, "they are current");
    assert!(!is_there(2, 1).await && !is_there(3, 1).await);
}

async fn changes_are_told_once_for_each_kind_and_tenant(bench: Bench) {
    let store = with_triggers(&bench).await;
    let acme = Some(tenant_key("acme"));
    let told = |changes: &[Change]| changes.iter().map(|c| (c.kind, c.tenant.clone())).collect::<Vec<_>>();
    let all = store.changes_since(0).await.unwrap();
    assert_eq!(told(&all), [(Kind::Tenant, acme.clone()), (Kind::Trigger, acme.clone())]);
    let last = all.last().unwrap().seq;
    assert!(store.changes_since(last).await.unwrap().is_empty());
    store.put_tenant(&tenant("acme"), at(1)).await.unwrap();
    assert!(store.changes_since(last).await.unwrap().is_empty(), "nothing was changed");
    store.put_pbx(&pbx("k1"), at(1)).await.unwrap();
    let multi = Pbx { tenant: None, ..pbx("k2") };
    store.put_pbx(&multi, at(1)).await.unwrap();
    store.remove_trigger(trigger_id(2), Expect::Anything, at(1)).await.unwrap();
    let store = bench.reopen(store).await;
    let since = store.changes_since(last).await.unwrap();
    assert_eq!(told(&since), [(Kind::Pbx, acme.clone()), (Kind::Pbx, None), (Kind::Trigger, acme)]);
    assert!(since.iter().all(|change| change.seq > last) && since.is_sorted_by_key(|change| change.seq));
}
