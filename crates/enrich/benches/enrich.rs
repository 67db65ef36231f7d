//! Look-ups and prices: what enrichment costs each record. `cargo bench -p ringpost-enrich`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringpost_enrich::{Builder, Contacts, Edit, Places, Tariff, rows_from_csv};
use ringpost_model::{Contact, ContactField, Directory, Timestamp};

const CONTACTS: u32 = 1_000_000;

/// As a CRM exports them: name, company, job, two phones, mail, id.
fn contact(n: u32) -> Contact {
    let fields = [
        (ContactField::FullName, format!("Christopher Longworth {n}")),
        (ContactField::CompanyName, "Longworth & Daughters Ltd".to_owned()),
        (ContactField::JobTitle, "Head of Purchasing".to_owned()),
        (ContactField::Phone1, number(n)),
        (ContactField::Phone2, format!("+4416{:08}", n.wrapping_mul(7))),
        (ContactField::Email, format!("c.longworth{n}@example.com")),
        (ContactField::CrmId, format!("C-{n:07}")),
    ];
    let fields = fields.into_iter().map(|(field, text)| (field, text.into())).collect();
    Contact { id: format!("018f2b6e-0000-7000-8000-{n:012x}").into(), fields }
}

fn number(n: u32) -> String {
    format!("+4477{:08}", n.wrapping_mul(2_654_435_761) % 100_000_000)
}

fn contacts() -> Contacts {
    let mut builder = Builder::new(vec![Directory { id: "d".into(), name: "Customers".into() }]);
    for n in 0..CONTACTS {
        builder.push(0, &contact(n)).expect("a million contacts fit");
    }
    builder.finish()
}

fn directory(criterion: &mut Criterion) {
    let contacts = contacts();
    println!("{} contacts, {} bytes each", contacts.count(), contacts.bytes() / contacts.count());
    // In an order that no cache of the processor guesses.
    let numbers: Vec<String> = (0..200_000).map(|n| number(n * 4_999 % CONTACTS)).collect();
    let strangers: Vec<String> = (0..200_000_u32).map(|n| format!("+4420{:08}", n * 499)).collect();
    let mut group = criterion.benchmark_group("directory of 1,000,000");
    group.throughput(Throughput::Elements(1));
    for (name, numbers) in [("a contact, with its fields", numbers), ("a stranger", strangers)] {
        let mut next = numbers.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(contacts.find(next.next().map_or("", |number| number))));
        });
    }
    // One by one, as somebody changes them on a page; the table that is in use stays as it is.
    for before in [0, 10_000] {
        let edited = contacts.edited((0..before).map(edit));
        group.bench_function(format!("a single edit, after {before}"), |bencher| {
            bencher.iter(|| black_box(edited.edited([edit(CONTACTS / 2)])));
        });
    }
    group.finish();
}

/// The same once more: what it costs does not hang on what is different.
fn edit(n: u32) -> Edit {
    let contact = contact(n);
    Edit { directory: "d".into(), contact: contact.id.clone(), now: Some(contact) }
}

/// Rows as a carrier has them: a price for each of 5,000 prefixes, by day and by night.
fn tariff() -> Tariff {
    let mut text =
        "prefix,name,band,connect_fee,rate_per_minute,first_increment,next_increment,days,from,to\n"
            .to_owned();
    for prefix in 440_000..442_500 {
        text += &format!(
            "{prefix},UK,peak,0.01,0.6,30,6,Mon-Fri,08:00,18:00\n{prefix},UK,off,0.01,0.3,30,6,,,\n"
        );
    }
    let rows = rows_from_csv(text.as_bytes()).expect("rows without a mistake");
    Tariff::new("retail", "GBP", chrono_tz::Europe::London, rows)
}

fn rating(criterion: &mut Criterion) {
    let tariff = tariff();
    let mut group = criterion.benchmark_group("rating by 5,000 rows");
    group.throughput(Throughput::Elements(1));
    let noon = Timestamp::parse("2026-03-10T12:00:00Z").expect("a time");
    let evening = Timestamp::parse("2026-03-10T17:59:30Z").expect("a time");
    for (name, answered, seconds) in
        [("3 minutes", noon, 180), ("3 minutes over a border", evening, 180), ("an hour", noon, 3_600)]
    {
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(tariff.rate(black_box("+441234567890"), answered, seconds)));
        });
    }
    group.finish();
}

fn places(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("place");
    group.throughput(Throughput::Elements(1));
    let numbers: Vec<String> = (0..200_000).map(|n| format!("+4416149{:05}", n % 100_000)).collect();
    let (mut places, mut next) = (Places::default(), numbers.iter().cycle());
    group.bench_function("a number not seen lately", |bencher| {
        bencher.iter(|| black_box(places.of(next.next().map_or("", |number| number))));
    });
    group.bench_function("a number seen lately", |bencher| {
        bencher.iter(|| black_box(places.of(black_box("+441614960000"))));
    });
    group.finish();
}

criterion_group!(benches, directory, rating, places);
criterion_main!(benches);
