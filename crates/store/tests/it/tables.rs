//! Contacts, numbers, devices, tariffs: imported whole, edited one by one, read as of one moment.

use std::time::Duration;

use ringpost_model::{
    Contact, ContactField, Device, NumberName, PriceList, PublicNumber, RoundingMode, TariffDirection,
    TenantKey,
};
use ringpost_store::{Error, Keep, MOST_ROWS, Store, StoredTables, TableVersions, Written};

use crate::bench::{Bench, at, suite, tenant, tenant_key};

suite! {
    an_import_counts_whole_or_not_at_all
    contacts_come_by_directory_and_id
    a_single_contact_is_told_to_who_has_the_rest
    an_import_takes_the_place_of_edits_before_it
    what_is_read_is_of_one_moment
    numbers_devices_and_tariffs_are_replaced_whole
    tables_of_a_stranger_are_refused
    a_tenant_with_tables_stays
    former_contacts_go_and_the_others_stay
}

fn contact(id: &str, name: &str) -> Contact {
    let fields = [(ContactField::FullName, name.into()), (ContactField::Phone1, "+441632960001".into())];
    Contact { id: id.into(), fields: fields.into() }
}

async fn acme(bench: &Bench) -> (Store, TenantKey) {
    let store = bench.open().await;
    store.put_tenant(&tenant("acme"), at(0)).await.unwrap();
    (store, tenant_key("acme"))
}

async fn import(store: &Store, tenant: &TenantKey, directory: &str, contacts: &[Contact]) {
    let mut import = store.begin_contacts(tenant, directory, at(1)).await.unwrap();
    for chunk in contacts.chunks(2) {
        store.stage_contacts(&mut import, chunk).await.unwrap();
    }
    assert_eq!(store.finish_contacts(import, at(2)).await.unwrap(), contacts.len() as u64);
}

/// `directory/contact name`, in the order in which they are given out; and the rest.
async fn read(store: &Store, tenant: &TenantKey) -> (Vec<String>, StoredTables) {
    let mut seen = Vec::new();
    let tables = store.read_tables::<Error>(tenant, |directories, at, contact| {
        let name = contact.fields.get(&ContactField::FullName).map_or("", |name| name);
        seen.push(format!("{}/{} {name}", directories[at].name, contact.id));
        Ok(())
    });
    let tables = tables.await.unwrap();
    (seen, tables)
}

async fn an_import_counts_whole_or_not_at_all(bench: Bench) {
    let (store, acme) = acme(&bench).await;
    import(&store, &acme, "CRM", &[contact("a", "Ann"), contact("b", "Bob")]).await;
    let mut half = store.begin_contacts(&acme, "CRM", at(3)).await.unwrap();
    store.stage_contacts(&mut half, &[contact("c", "Cyd")]).await.unwrap();
    assert_eq!(read(&store, &acme).await.0, ["CRM/a Ann", "CRM/b Bob"]);
    let store = bench.reopen(store).await;
    assert_eq!(
        read(&store, &acme).await.0,
        ["CRM/a Ann", "CRM/b Bob"],
        "a process that died imports nothing"
    );
    store.finish_contacts(half, at(4)).await.unwrap();
    assert_eq!(read(&store, &acme).await.0, ["CRM/c Cyd"]);
    let mut given_up = store.begin_contacts(&acme, "CRM", at(5)).await.unwrap();
    store.stage_contacts(&mut given_up, &[contact("d", "Dan")]).await.unwrap();
    store.abandon_contacts(given_up).await.unwrap();
    assert_eq!(read(&store, &acme).await.0, ["CRM/c Cyd"]);
}

async fn contacts_come_by_directory_and_id(bench: Bench) {
    let (store, acme) = acme(&bench).await;
    store.put_tenant(&tenant("other"), at(0)).await.unwrap();
    let many: Vec<_> = (0..4_321).rev().map(|n| contact(&format!("{n:05}"), "")).collect();
    import(&store, &acme, "Suppliers", &many).await;
    import(&store, &acme, "Customers", &[contact("z", ""), contact("B", ""), contact("é", "")]).await;
    import(&store, &tenant_key("other"), "Customers", &[contact("theirs", "")]).await;
    let (seen, tables) = read(&store, &acme).await;
    assert_eq!(seen[..4], ["Customers/B ", "Customers/z ", "Customers/é ", "Suppliers/00000 "]);
    assert_eq!((seen.len(), &*seen[4_323]), (4_324, "Suppliers/04320 "));
    assert_eq!(tables.directories.len(), 2);
    let listed = store.directories(Some(&acme)).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|one| (&*one.directory.name, one.contacts)).collect();
    assert_eq!(listed, [("Customers", 3), ("Suppliers", 4_321)]);
    assert_eq!(store.directories(None).await.unwrap().len(), 3);
    assert!(store.remove_directory(&acme, "Suppliers").await.unwrap());
    assert!(!store.remove_directory(&acme, "Suppliers").await.unwrap());
    assert_eq!(read(&store, &acme).await.0.len(), 3);
}

async fn a_single_contact_is_told_to_who_has_the_rest(bench: Bench) {
    let (store, acme) = acme(&bench).await;
    import(&store, &acme, "CRM", &[contact("a", "Ann"), contact("b", "Bob")]).await;
    let loaded = read(&store, &acme).await.1.versions;
    assert_eq!(store.table_update(&acme, loaded.edits).await.unwrap().1, []);
    let put = |contact: Contact| {
        let (store, acme) = (&store, &acme);
        async move { store.put_contact(acme, "CRM", &contact, at(5)).await.unwrap() }
    };
    assert_eq!(put(contact("b", "Bobby")).await, Written::Changed);
    assert_eq!(put(contact("b", "Bobby")).await, Written::Same);
    assert_eq!(put(contact("c", "Cyd")).await, Written::Made);
    assert!(store.remove_contact(&acme, "CRM", "a", at(6)).await.unwrap());
    assert!(!store.remove_contact(&acme, "CRM", "a", at(6)).await.unwrap());
    let (now, edits) = store.table_update(&acme, loaded.edits).await.unwrap();
    let (now, last) = (now.versions, now.versions.edits);
    let told: Vec<_> = edits.iter().map(|edit| (&*edit.contact, edit.now.clone())).collect();
    assert_eq!(told, [("b", Some(contact("b", "Bobby"))), ("c", Some(contact("c", "Cyd"))), ("a", None)]);
    assert_eq!(edits[0].directory, store.directories(None).await.unwrap()[0].directory.id);
    assert_eq!(store.table_update(&acme, last).await.unwrap().1, []);
    assert!(now.contacts > loaded.contacts && now.directories == loaded.directories && now.edits == last);
    assert_eq!(read(&store, &acme).await.0, ["CRM/b Bobby", "CRM/c Cyd"]);
    assert_eq!(store.directories(None).await.unwrap()[0].contacts, 2);
    let missing = store.put_contact(&acme, "Nowhere", &contact("a", ""), at(7)).await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no directory Nowhere");
}

async fn an_import_takes_the_place_of_edits_before_it(bench: Bench) {
    let (store, acme) = acme(&bench).await;
    import(&store, &acme, "CRM", &[contact("a", "Ann")]).await;
    store.put_contact(&acme, "CRM", &contact("a", "Annie"), at(3)).await.unwrap();
    let loaded = store.table_versions(&acme).await.unwrap();
    import(&store, &acme, "CRM", &[contact("a", "Ann"), contact("b", "Bob")]).await;
    let now = store.table_versions(&acme).await.unwrap();
    assert!(now.directories > loaded.directories, "who has it loaded loads it again");
    assert_eq!(read(&store, &acme).await.0, ["CRM/a Ann", "CRM/b Bob"]);
    assert_eq!(store.directories(None).await.unwrap()[0].contacts, 2);
}

async fn what_is_read_is_of_one_moment(bench: Bench) {
    let (store, acme) = acme(&bench).await;
    let many: Vec<_> = (0..5_000).map(|n| contact(&format!("{n:05}"), "before")).collect();
    import(&store, &acme, "CRM", &many).await;
    let versions = store.table_versions(&acme).await.unwrap();
    let mut count = 0;
    let tables = store.read_tables::<Error>(&acme, |_, _, contact| {
        count += 1;
        if count == 100 {
            // Meanwhile another process puts a whole table in the place of this one.
            let other = async { import(&bench.open().await, &acme, "CRM", &[contact_x()]).await };
            let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            std::thread::scope(|scope| scope.spawn(|| runtime().block_on(other)).join()).unwrap();
        }
        assert_eq!(contact.fields.get(&ContactField::FullName).map(|name| &**name), Some("before"));
        Ok(())
    });
    assert_eq!(tables.await.unwrap().versions, versions);
    assert_eq!(count, 5_000);
    assert_eq!(read(&store, &acme).await.0, ["CRM/x after"]);
}

fn contact_x() -> Contact {
    contact("x", "after")
}

fn tariff(name: &str, rows: &str) -> PriceList {
    PriceList {
        name: name.into(),
        currency: "GBP".into(),
        zone: "Europe/London".parse().unwrap(),
        direction: TariffDirection::Incoming,
        decimals: 2,
        rounding: RoundingMode::HalfEven,
        maximum: Some("1.50".parse().unwrap()),
        rows: rows.into(),
    }
}

async fn numbers_devices_and_tariffs_are_replaced_whole(bench: Bench) {
    let (store, acme) = acme(&bench).await;
    assert_eq!(store.table_versions(&acme).await.unwrap(), TableVersions::default());
    let number = |number: &str| PublicNumber { number: number.into(), name: "Sales".into() };
    let user = NumberName { number: "11".into(), name: "Yan".into() };
    let device = Device { number: "201".into(), user, groups: vec!["Hall".into()], ..Device::default() };
    store.put_numbers(&acme, &[number("+441632960100"), number("+441632960101")]).await.unwrap();
    store.put_numbers(&acme, &[number("+441632960101")]).await.unwrap();
    store.put_devices(&acme, std::slice::from_ref(&device)).await.unwrap();
    let (retail, wholesale) = (tariff("retail", "prefix\n1\n"), tariff("wholesale", ""));
    assert_eq!(store.put_tariff(&acme, &wholesale, at(1)).await.unwrap(), Written::Made);
    assert_eq!(store.put_tariff(&acme, &retail, at(1)).await.unwrap(), Written::Made);
    assert_eq!(store.put_tariff(&acme, &retail, at(1)).await.unwrap(), Written::Same);
    let cheaper = tariff("retail", "prefix\n2\n");
    assert_eq!(store.put_tariff(&acme, &cheaper, at(1)).await.unwrap(), Written::Changed);
    let store = bench.reopen(store).await;
    let tables = read(&store, &acme).await.1;
    assert_eq!(tables.numbers, [number("+441632960101")]);
    assert_eq!(tables.devices, [device]);
    assert_eq!(tables.tariffs, [cheaper, wholesale]);
    assert!(tables.versions.numbers > 0 && tables.versions.devices > 0 && tables.versions.tariffs > 0);
    assert!(store.remove_tariff(&acme, "retail").await.unwrap());
    assert!(!store.remove_tariff(&acme, "retail").await.unwrap());
    let too_many: Vec<_> = (0..=MOST_ROWS).map(|n| number(&n.to_string())).collect();
    let error = store.put_numbers(&acme, &too_many).await.unwrap_err();
    assert!(error.to_string().contains("100,000 rows at most"), "{error}");
    assert_eq!(read(&store, &acme).await.1.numbers.len(), 1);
}

async fn tables_of_a_stranger_are_refused(bench: Bench) {
    let store = bench.open().await;
    let nobody = tenant_key("nobody");
    let errors = [
        store.begin_contacts(&nobody, "CRM", at(1)).await.unwrap_err(),
        store
            .put_numbers(&nobody, &[PublicNumber { number: "1".into(), name: "".into() }])
            .await
            .unwrap_err(),
        store.put_devices(&nobody, &[Device { number: "1".into(), ..Device::default() }]).await.unwrap_err(),
        store.put_tariff(&nobody, &tariff("t", ""), at(1)).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.to_string(), "there is no tenant nobody");
    }
}

async fn a_tenant_with_tables_stays(bench: Bench) {
    let (store, acme) = acme(&bench).await;
    import(&store, &acme, "CRM", &[contact("a", "Ann")]).await;
    let refused = store.remove_tenant(&acme).await.unwrap_err();
    assert!(refused.to_string().contains("or tables: remove them first"), "{refused}");
    store.remove_directory(&acme, "CRM").await.unwrap();
    assert!(store.remove_tenant(&acme).await.unwrap());
}

async fn former_contacts_go_and_the_others_stay(bench: Bench) {
    let (store, acme) = acme(&bench).await;
    let many: Vec<_> = (0..2_500).map(|n| contact(&format!("{n:05}"), "before")).collect();
    import(&store, &acme, "CRM", &many).await;
    import(&store, &acme, "CRM", &[contact("a", "Ann")]).await;
    store.put_contact(&acme, "CRM", &contact("b", "Bob"), at(3)).await.unwrap();
    let mut half = store.begin_contacts(&acme, "CRM", at(4)).await.unwrap();
    store.stage_contacts(&mut half, &many).await.unwrap();
    store.retain(Keep::default(), at(60)).await.unwrap();
    assert_eq!(bench.count("contacts").await, 2 + 2_500, "an import may be under way");
    assert_eq!(bench.count("contact_edits").await, 1);
    let in_two_days = at(60).plus_micros(Duration::from_secs(2 * 86_400).as_micros() as i64);
    store.retain(Keep::default(), in_two_days).await.unwrap();
    assert_eq!(bench.count("contacts").await, 2);
    assert_eq!((bench.count("editions").await, bench.count("contact_edits").await), (1, 0));
    assert_eq!(read(&store, &acme).await.0, ["CRM/a Ann", "CRM/b Bob"]);
}
