//! Tables find what a list would find, before and after edits.

use std::collections::BTreeMap;

use proptest::prelude::*;
use ringpost_model::{Contact, ContactField, Directory};

use super::*;

fn directories(names: &[&str]) -> Vec<Directory> {
    names.iter().map(|name| Directory { id: format!("id-{name}").into(), name: (*name).into() }).collect()
}

fn contact(id: &str, fields: &[(ContactField, &str)]) -> Contact {
    let fields = fields.iter().map(|(field, text)| (*field, (*text).into())).collect();
    Contact { id: id.into(), fields }
}

/// In any order.
fn table(names: &[&str], contacts: &[(&str, Contact)]) -> Contacts {
    let mut builder = Builder::new(directories(names));
    let order: Vec<_> = builder.directories().iter().map(|directory| directory.name.clone()).collect();
    let place = |name: &str| order.iter().position(|known| **known == *name).unwrap();
    let mut contacts: Vec<_> = contacts.iter().map(|(name, contact)| (place(name), contact)).collect();
    contacts.sort_by(|a, b| (a.0, &a.1.id).cmp(&(b.0, &b.1.id)));
    for (directory, contact) in contacts {
        builder.push(directory, contact).unwrap();
    }
    builder.finish()
}

fn found(contacts: &Contacts, number: &str) -> String {
    let found = contacts.find(number);
    let lines = found.matches.iter().map(|one| {
        let fields: Vec<_> = one.fields.iter().map(|(key, text)| format!("{key}={text}")).collect();
        format!("{}/{} {}", one.dir_name, one.contact_id, fields.join(" "))
    });
    let mut lines: Vec<_> = lines.collect();
    if found.more > 0 {
        lines.push(format!("and {} more", found.more));
    }
    lines.join("\n")
}

use ContactField::{FullName, Phone1, Phone2};

#[test]
fn everybody_with_the_number_is_found_by_directory_and_id() {
    let contacts = table(
        &["Suppliers", "Customers"],
        &[
            ("Suppliers", contact("a", &[(FullName, "Ann"), (Phone1, "+441632960001")])),
            ("Customers", contact("z", &[(FullName, "Zoe"), (Phone2, "+441632960001")])),
            ("Customers", contact("b", &[(FullName, "Bob"), (Phone1, "+441632960001"), (Phone2, "201")])),
            ("Customers", contact("c", &[(FullName, "Cyd"), (Phone1, "+441632960002")])),
        ],
    );
    insta::assert_snapshot!(found(&contacts, "+441632960001"), @r"
    Customers/b fullName=Bob phone1=+441632960001 phone2=201
    Customers/z fullName=Zoe phone2=+441632960001
    Suppliers/a fullName=Ann phone1=+441632960001
    ");
    assert_eq!(found(&contacts, "201"), "Customers/b fullName=Bob phone1=+441632960001 phone2=201");
    assert_eq!(found(&contacts, "+441632960003"), "");
    assert_eq!(found(&contacts, ""), "", "a caller without a number is nobody");
}

#[test]
fn a_switchboards_number_names_ten_and_counts_the_rest() {
    let many: Vec<_> =
        (0..1_000).map(|n| ("Dir", contact(&format!("{n:04}"), &[(Phone1, "+441632960000")]))).collect();
    let contacts = table(&["Dir"], &many);
    let found = contacts.find("+441632960000");
    assert_eq!((found.matches.len(), found.more), (10, 990));
    assert_eq!(&*found.matches[9].contact_id, "0009");
}

#[test]
fn an_edit_is_seen_at_once_and_a_removed_contact_no_more() {
    let id = "018f2b6e-1111-7111-8111-000000000001";
    let contacts = table(
        &["Dir"],
        &[
            ("Dir", contact(id, &[(FullName, "Ann"), (Phone1, "+441632960001")])),
            ("Dir", contact("b", &[(FullName, "Bob"), (Phone1, "+441632960001")])),
        ],
    );
    let edit = |id: &str, now: Option<Contact>| Edit { directory: "id-Dir".into(), contact: id.into(), now };
    let moved = contacts.edited([
        edit(id, Some(contact(id, &[(FullName, "Ann"), (Phone1, "+441632960009")]))),
        edit("a", Some(contact("a", &[(FullName, "Abe"), (Phone1, "+441632960001")]))),
    ]);
    for (which, moved) in [("apart", moved.clone()), ("folded", moved.folded().unwrap())] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(found(&moved, "+441632960001"), @r"
            Dir/a fullName=Abe phone1=+441632960001
            Dir/b fullName=Bob phone1=+441632960001
            ");
        }
        assert_eq!(
            found(&moved, "+441632960009"),
            format!("Dir/{id} fullName=Ann phone1=+441632960009"),
            "{which}"
        );
    }
    assert!(found(&contacts, "+441632960009").is_empty(), "who holds the former table sees the former table");
    let gone = moved.edited([edit("b", None), edit("a", None), edit(id, None)]);
    assert_eq!(found(&gone, "+441632960001"), "");
    assert_eq!(gone.folded().unwrap().count(), 0);
}

#[test]
fn a_million_contacts_take_less_than_200_bytes_each() {
    let mut builder = Builder::new(directories(&["Dir"]));
    let count = 100_000_u32;
    for n in 0..count {
        builder.push(0, &usual(n)).unwrap();
    }
    let contacts = builder.finish();
    let each = contacts.bytes() / contacts.count();
    assert!(each < 200, "{each} bytes for a contact");
    assert_eq!(contacts.find("+447700000777").matches.len(), 1);
}

/// As a CRM exports them: name, company, job, two phones, mail, id.
fn usual(n: u32) -> Contact {
    let id = format!("018f2b6e-0000-7000-8000-{n:012x}");
    contact(
        &id,
        &[
            (FullName, &format!("Christopher Longworth {n}")),
            (ContactField::CompanyName, "Longworth & Daughters Ltd"),
            (ContactField::JobTitle, "Head of Purchasing"),
            (Phone1, &format!("+4477{n:08}")),
            (Phone2, &format!("+4416{n:08}")),
            (ContactField::Email, &format!("c.longworth{n}@example.com")),
            (ContactField::CrmId, &format!("C-{n:07}")),
        ],
    )
}

fn some_contact() -> impl Strategy<Value = (u8, Contact)> {
    let id = prop_oneof![
        "[a-c]",
        (0_u128..4).prop_map(|n| uuid::Uuid::from_u128(n).to_string()),
        (0_u128..4).prop_map(|n| uuid::Uuid::from_u128(n).to_string().to_uppercase()),
    ];
    let number = prop_oneof!["\\+441632[0-3]", "[0-3]", "\\+0[12]", "\\+1234567890123456", "[é💡]"];
    let fields = proptest::collection::btree_map(0_usize..20, number, 0..6);
    (0_u8..3, id, fields).prop_map(|(directory, id, fields)| {
        let fields = fields.into_iter().map(|(at, text)| (ContactField::ALL[at], text.into())).collect();
        (directory, Contact { id: id.into(), fields })
    })
}

proptest! {
    /// A list of everything, looked through from the beginning, finds the same.
    #[test]
    fn a_table_finds_what_a_list_finds(
        first in proptest::collection::vec(some_contact(), 0..20),
        edits in proptest::collection::vec((some_contact(), any::<bool>()), 0..20),
        folds in any::<bool>(),
    ) {
        let names = ["A", "B", "C"];
        let mut list: BTreeMap<(u8, Text), Contact> = BTreeMap::new();
        for (directory, contact) in first {
            list.insert((directory, contact.id.clone()), contact);
        }
        let all: Vec<_> = list.iter().map(|((at, _), contact)| (names[usize::from(*at)], contact.clone())).collect();
        let mut contacts = table(&names, &all);
        for ((directory, contact), is_there) in edits {
            let key = (directory, contact.id.clone());
            let now = is_there.then(|| contact.clone());
            let name = names[usize::from(directory)];
            contacts = contacts.edited([Edit { directory: format!("id-{name}").into(), contact: key.1.clone(), now }]);
            if is_there { list.insert(key, contact) } else { list.remove(&key) };
        }
        if folds {
            contacts = contacts.folded().unwrap();
            prop_assert_eq!(contacts.count(), list.len());
        }
        let numbers: std::collections::BTreeSet<_> =
            list.values().flat_map(|one| one.fields.values().cloned()).collect();
        for number in &numbers {
            let has = |one: &Contact| {
                one.fields.iter().any(|(field, text)| field.is_phone() && text == number)
            };
            let expected: Vec<_> =
                list.iter().filter(|(_, one)| has(one)).map(|((at, id), _)| (*at, id.clone())).collect();
            let found = contacts.find(number);
            prop_assert_eq!(found.matches.len() + found.more, expected.len());
            for (one, (at, id)) in found.matches.iter().zip(expected) {
                prop_assert_eq!((&*one.dir_name, &one.contact_id), (names[usize::from(at)], &id));
                prop_assert_eq!(&one.fields, &list[&(at, id)].fields);
            }
        }
    }
}
