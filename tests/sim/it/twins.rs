//! The simulated store beside the real one: the same random questions and words, the same answers.

use ringpost::pipeline::tenant_id;
use ringpost_model::{
    AttemptId, Breaker, Delivery, DeliveryId, LaneId, Run, SessionId, Tenant, TenantKey, Timestamp, Trigger,
    TriggerId,
};
use ringpost_sim::{Dice, SimClock, SimStore, Trace, Weather};
use ringpost_store::{
    Attempt, Batch, Config, Debt, Ended, Ending, Exchange, Expect, Key, Keyring, LaneLedger, LaneWord,
    Ledger, Store,
};
use uuid::Uuid;

/// Histories, and steps of each.
const HISTORIES: u64 = 30;
const STEPS: usize = 80;
const START: i64 = 1_792_958_400_000_000;

#[tokio::test]
async fn the_simulated_store_answers_as_the_real_one() {
    for seed in 0..HISTORIES {
        let folder = tempfile::tempdir().expect("a folder");
        let keyring = Keyring::new(Key::read_or_make(&folder.path().join("key")).expect("a key"));
        let real =
            Store::open(Config { folder: folder.path().to_owned(), keyring }).await.expect("it answers");
        let clock = SimClock::new(at(0));
        let simulated = SimStore::new(Weather::calm(clock.clone()), Trace::new(clock, false));
        let [mut one, mut two] = [Dice::new(seed, "twins"), Dice::new(seed, "twins")];
        configure(&real).await;
        configure(&simulated).await;
        let (mut now, mut told) = (0, Vec::new());
        for step in 0..STEPS {
            let (said, expected) = ask(&real, &mut one, now, step).await;
            let (_, got) = ask(&simulated, &mut two, now, step).await;
            told.push(format!("{now:>3} {said}"));
            assert_eq!(got, expected, "seed {seed}, after:\n{}", told.join("\n"));
            let [known, looks_like] = [look(&real, now).await, look(&simulated, now).await];
            assert_eq!(looks_like, known, "seed {seed}, after:\n{}", told.join("\n"));
            now += one.below(4) as i64;
            two.below(4);
        }
        real.close().await;
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(START + seconds * 1_000_000)
}

fn acme() -> TenantKey {
    TenantKey::new("acme").expect("a key")
}

fn trigger(n: u64, keys: &str) -> Trigger {
    let id = Uuid::from_u128(n.into());
    serde_json::from_str(&format!(r#"{{"id":"{id}","name":"T{n}","url":"https://r.example/{n}"{keys}}}"#))
        .expect("a trigger")
}

/// The third does not wait for its receiver.
fn keys(n: u64) -> &'static str {
    if n == 3 { r#","whileDown":"fail""# } else { "" }
}

async fn configure(store: &impl Ledger) {
    let tenant = Tenant::new(tenant_id(&acme()), acme());
    store.put_tenant(&tenant, at(0)).await.expect("it answers");
    for n in 1..=3 {
        store.put_trigger(&acme(), &trigger(n, keys(n)), Expect::Anything, at(0)).await.expect("it answers");
    }
}

fn delivery(trigger: u64, session: u64, rev: u32) -> Delivery {
    let (trigger, session) =
        (TriggerId(Uuid::from_u128(trigger.into())), SessionId(Uuid::from_u128(1_000 + u128::from(session))));
    Delivery {
        id: DeliveryId::of_record(trigger, session, rev),
        owner: tenant_id(&acme()),
        tenant_id: tenant_id(&acme()),
        tenant: acme(),
        trigger,
        trigger_version: 1,
        session,
        rev,
        matches: true,
    }
}

fn any(dice: &mut Dice) -> Delivery {
    let (trigger, session) = (dice.between(1, 3), dice.between(1, 3));
    delivery(trigger, session, dice.between(1, 2) as u32)
}

fn lane(n: u64) -> LaneId {
    LaneId(Uuid::from_u128(7_000 + u128::from(n)))
}

fn debt(delivery: Delivery, lane: LaneId, now: i64) -> Debt {
    Debt {
        delivery,
        lane,
        due: at(now),
        attempts: 1,
        tries: 1,
        queued: at(0),
        first_try: Some(at(now)),
        reason: "503".into(),
        leased_until: None,
    }
}

fn attempt(delivery: &Delivery, now: i64, step: usize, ok: bool) -> (Attempt, Exchange) {
    let time = uuid::Timestamp::from_unix(uuid::NoContext, at(now).micros() as u64 / 1_000_000, 0);
    let mut bytes = *Uuid::new_v7(time).as_bytes();
    bytes[8..].copy_from_slice(&(0x8000_0000_0000_0000 | step as u64).to_be_bytes());
    let attempt = Attempt {
        id: AttemptId(Uuid::from_bytes(bytes)),
        delivery: delivery.id,
        owner: delivery.owner,
        trigger: delivery.trigger,
        session: delivery.session,
        rev: delivery.rev,
        number: 1,
        queued: at(now),
        started: at(now),
        ended: at(now),
        class: if ok { "success" } else { "http_error" }.into(),
        ok,
        last: ok,
        status: Some(if ok { 200 } else { 503 }),
        error: "".into(),
        address: "".into(),
    };
    (attempt, Exchange::default())
}

fn breaker(dice: &mut Dice, now: i64) -> Breaker {
    let (since, wait) = (at(now), 3_000_000);
    match dice.below(4) {
        0 => Breaker::Healthy,
        1 => {
            let run = Run { failures: 2, since, first: delivery(1, 1, 1).id, several: false };
            Breaker::Failing { run }
        }
        2 => Breaker::Open { since, probe_at: at(now + 2), wait, reason: "down".into() },
        _ => Breaker::Ramping { since, limit: 1, done: 0, wait },
    }
}

/// A step: what it is, and what was answered.
async fn ask(store: &impl LaneLedger, dice: &mut Dice, now: i64, step: usize) -> (String, String) {
    let (of, owner, until) = (lane(dice.between(1, 2)), *dice.pick(&["me", "you"]), at(now + 6));
    let mut batch = Batch::default();
    let word = |word| Batch { lanes: vec![word], ..Batch::default() };
    match dice.below(13) {
        0..=2 => batch.debts.push(debt(any(dice), of, now)),
        3 => {
            let ending = *dice.pick(&[Ending::Delivered, Ending::Failed, Ending::Superseded]);
            batch.ended.push(Ended { delivery: any(dice), ending, reason: "".into(), at: at(now) });
        }
        4 => {
            let (delivery, ok) = (any(dice), dice.percent(50));
            batch.attempts.push(attempt(&delivery, now, step, ok));
        }
        5 => {
            let (owner_id, shown, breaker) = (tenant_id(&acme()), "r".into(), breaker(dice, now));
            batch = word(LaneWord::Breaker { lane: of, owner: owner_id, shown, breaker });
        }
        6 => {
            let (owner_id, until) = (tenant_id(&acme()), at(now + dice.between(1, 5) as i64));
            let (shown, reason) = ("r".into(), "asked".into());
            batch = word(LaneWord::Pause { lane: of, owner: owner_id, shown, until, reason });
        }
        7 => batch = word(LaneWord::Spent { debt: Box::new(debt(any(dice), of, now)), at: at(now) }),
        8 => batch = word(LaneWord::Forget { lane: of }),
        9 => batch = word(LaneWord::Revive { lane: of, now: at(now), reason: "back".into() }),
        10 => {
            let limit = dice.between(1, 3) as usize;
            let claimed = store.claim(of, owner, at(now), limit, until).await.expect("it answers");
            return (format!("claim {limit} of {of} for {owner}"), shown(&claimed));
        }
        11 => {
            let claimed = store.claim_probe(of, owner, at(now), until).await.expect("it answers");
            return (format!("probe {of} for {owner}"), shown(&claimed.into_iter().collect::<Vec<_>>()));
        }
        _ => return change(store, dice, now).await,
    }
    let said = format!("settle for {owner}: {batch:?}");
    let settled = store.settle(&batch, owner, at(now)).await.expect("it answers");
    (said, format!("{settled:?}"))
}

async fn change(store: &impl LaneLedger, dice: &mut Dice, now: i64) -> (String, String) {
    match dice.below(4) {
        0 => {
            let n = dice.between(1, 3);
            let more = *dice.pick(&["", r#","paused":true"#, r#","enabled":false"#]);
            let changed = trigger(n, &format!("{}{more}", keys(n)));
            store.put_trigger(&acme(), &changed, Expect::Anything, at(now)).await.expect("it answers");
            (format!("trigger {n}{more}"), String::new())
        }
        1 => {
            let mut ended = store.cancel_debts(at(now), 100).await.expect("it answers");
            ended.sort_by_key(|one| one.delivery.id);
            ("cancel".to_owned(), format!("{ended:?}"))
        }
        2 => {
            let (n, to) = (dice.between(1, 3), lane(dice.between(1, 2)));
            let id = TriggerId(Uuid::from_u128(n.into()));
            let moved = store.move_debts(id, to, at(now)).await.expect("it answers");
            (format!("move {n} to {to}"), moved.to_string())
        }
        _ => {
            let claimed =
                store.claim_last(at(now - 20), "me", at(now), 2, at(now + 6)).await.expect("it answers");
            ("last".to_owned(), shown(&claimed))
        }
    }
}

fn shown(debts: &[Debt]) -> String {
    let line = |debt: &Debt| format!("{} {:?} {}", debt.delivery.id, debt.leased_until, debt.tries);
    debts.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What can be asked at any time.
async fn look(store: &impl LaneLedger, now: i64) -> String {
    let all: Vec<_> = (1..=3)
        .flat_map(|trigger| (1..=3).map(move |session| (trigger, session)))
        .flat_map(|(trigger, session)| [delivery(trigger, session, 1), delivery(trigger, session, 2)])
        .collect();
    let mut known: Vec<_> =
        store.settled_or_owed(&all, at(-60)).await.expect("it answers").into_iter().collect();
    known.sort();
    let mut counts = store.owed_counts().await.expect("it answers");
    counts.sort_by_key(|count| count.trigger);
    let mut lanes: Vec<_> = store.lanes().await.expect("it answers").found;
    lanes.sort_by_key(|row| row.lane);
    for row in &mut lanes {
        // One that is over says nothing.
        row.probe_until = row.probe_until.filter(|until| *until > at(now));
    }
    let owed = store.lanes_owed().await.expect("it answers");
    let triggers = [
        store.failing_triggers(lane(1)).await.expect("it answers"),
        store.failing_triggers(lane(2)).await.expect("it answers"),
    ];
    let waiting = store.waiting_triggers().await.expect("it answers");
    format!("{known:?}\n{counts:?}\n{lanes:?}\n{owed:?}\n{triggers:?}\n{waiting:?}")
}
