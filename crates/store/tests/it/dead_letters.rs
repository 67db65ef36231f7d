//! Rejected input: kept, cut, listed, sent in again.

use ringpost_store::{DeadLetter, DeadLetterFilter, Keep, StoredDeadLetter};

use crate::bench::{Bench, at, pbx_key, suite, tenant_key};

suite! {
    a_dead_letter_is_kept_once_whatever_is_read_again
    a_large_input_keeps_its_beginning_its_length_and_its_hash
    dead_letters_are_listed_by_what_an_operator_asks_for
    what_was_sent_in_again_leaves_the_list
    old_dead_letters_go
}

fn letter(position: &str, received: i64, reason: &str) -> DeadLetter {
    let letter = DeadLetter::new(position, at(received), reason, "native", b"{\"v\":2}");
    DeadLetter { tenant: Some(tenant_key("acme")), pbx: Some(pbx_key("k1")), ..letter }
}

fn reasons(letters: &[StoredDeadLetter]) -> Vec<&str> {
    letters.iter().map(|stored| &*stored.letter.reason).collect()
}

async fn a_dead_letter_is_kept_once_whatever_is_read_again(bench: Bench) {
    let store = bench.open().await;
    let one = letter("legs/0/17", 1, "no JSON");
    assert_eq!(store.add_dead_letters(&[one.clone(), letter("legs/0/18", 2, "too late")]).await.unwrap(), 2);
    assert_eq!(store.add_dead_letters(std::slice::from_ref(&one)).await.unwrap(), 0);
    let store = bench.reopen(store).await;
    let listed = store.dead_letters(&DeadLetterFilter::default(), 10).await.unwrap();
    assert_eq!(reasons(&listed), ["too late", "no JSON"]);
    assert!(listed[1].letter.body.is_empty(), "a list reads no bodies");
    let shown = store.dead_letter(listed[1].id).await.unwrap().unwrap();
    assert_eq!(shown.letter, one);
    assert!(shown.letter.is_whole());
}

async fn a_large_input_keeps_its_beginning_its_length_and_its_hash(bench: Bench) {
    let store = bench.open().await;
    let whole = vec![b'x'; 256 << 10];
    let over = vec![b'y'; (256 << 10) + 1];
    let letters = [
        DeadLetter::new("a", at(0), "r", "native", &whole),
        DeadLetter::new("b", at(0), "r", "native", &over),
    ];
    store.add_dead_letters(&letters).await.unwrap();
    let listed = store.dead_letters(&DeadLetterFilter::default(), 10).await.unwrap();
    let cut = store.dead_letter(listed[0].id).await.unwrap().unwrap().letter;
    assert_eq!((cut.body.len(), cut.length, cut.is_whole()), (64 << 10, (256 << 10) + 1, false));
    // sha256sum of 262145 times "y".
    let hash: String = cut.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, HASH_OF_OVER);
    let kept = store.dead_letter(listed[1].id).await.unwrap().unwrap().letter;
    assert_eq!((kept.body.len(), kept.is_whole()), (256 << 10, true));
}

async fn dead_letters_are_listed_by_what_an_operator_asks_for(bench: Bench) {
    let store = bench.open().await;
    let unknown = DeadLetter { tenant: None, pbx: None, ..letter("c", 30, "no JSON") };
    let letters = [letter("a", 10, "no JSON"), letter("b", 20, "forbidden"), unknown];
    store.add_dead_letters(&letters).await.unwrap();
    let check = async |filter: DeadLetterFilter, expected: &[i64]| {
        let found = store.dead_letters(&filter, 10).await.unwrap();
        let times: Vec<_> = found.iter().map(|stored| stored.letter.received).collect();
        assert_eq!(times, expected.iter().map(|time| at(*time)).collect::<Vec<_>>(), "{filter:?}");
    };
    let all = DeadLetterFilter::default;
    check(all(), &[30, 20, 10]).await;
    check(DeadLetterFilter { tenant: Some(tenant_key("acme")), ..all() }, &[20, 10]).await;
    check(DeadLetterFilter { pbx: Some(pbx_key("k2")), ..all() }, &[]).await;
    check(DeadLetterFilter { reason: Some("no JSON".into()), ..all() }, &[30, 10]).await;
    check(DeadLetterFilter { from: Some(at(20)), to: Some(at(30)), ..all() }, &[20]).await;
    let last = store.dead_letters(&all(), 1).await.unwrap()[0].id;
    check(DeadLetterFilter { before: Some(last), ..all() }, &[20, 10]).await;
}

async fn what_was_sent_in_again_leaves_the_list(bench: Bench) {
    let store = bench.open().await;
    store.add_dead_letters(&[letter("a", 1, "x"), letter("b", 2, "y")]).await.unwrap();
    assert_eq!(store.stats().await.unwrap().dead_letters, 2);
    let first = store.dead_letters(&DeadLetterFilter::default(), 10).await.unwrap()[0].id;
    assert_eq!(store.mark_replayed(&[first], at(9)).await.unwrap(), 1);
    assert_eq!(reasons(&store.dead_letters(&DeadLetterFilter::default(), 10).await.unwrap()), ["x"]);
    let with_replayed = DeadLetterFilter { replayed: true, ..DeadLetterFilter::default() };
    let all = store.dead_letters(&with_replayed, 10).await.unwrap();
    assert_eq!((all.len(), all[0].replayed), (2, Some(at(9))));
    assert_eq!(store.stats().await.unwrap().dead_letters, 1);
}

async fn old_dead_letters_go(bench: Bench) {
    let store = bench.open().await;
    let letters: Vec<_> = (0..2_500).map(|n| letter(&n.to_string(), n, "x")).collect();
    store.add_dead_letters(&letters).await.unwrap();
    let dropped = store.retain(Keep::default(), at(30 * 86_400 + 2_400)).await.unwrap();
    assert_eq!(dropped.dead_letters, 2_400);
    assert_eq!(store.dead_letters(&DeadLetterFilter::default(), 1_000).await.unwrap().len(), 100);
}

const HASH_OF_OVER: &str = "64eb240190d8d3562e1b30f5b44f116372c3d023c9a659a75cacf8c795165b2d";
