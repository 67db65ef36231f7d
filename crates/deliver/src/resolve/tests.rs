//! Names whose answers are bad, change, or never come.

use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use tokio::time::timeout;

use super::*;

/// Answers by name: the next of its answers, the last one for ever. A name without any never answers.
#[derive(Default)]
struct Names {
    answers: Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    fn answering(name: &str, answers: &[&[&str]]) -> Arc<Self> {
        let parsed = answers.iter().map(|answer| answer.iter().map(|text| text.parse().unwrap()).collect());
        let names = Self::default();
        names.answers.lock().unwrap().insert(name.to_owned(), parsed.collect());
        Arc::new(names)
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Lookup for Names {
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let Some(queue) = answers.get_mut(name) else { return Box::pin(pending()) };
        let answer = if queue.len() > 1 { queue.pop_front() } else { queue.front().cloned() };
        Box::pin(std::future::ready(answer.ok_or_else(|| io::Error::other("no such name"))))
    }
}

fn resolver(names: &Arc<Names>, lookups: usize) -> Resolver {
    Resolver::new(names.clone(), AddressRules::default(), lookups)
}

async fn text(resolver: &Resolver, name: &str) -> String {
    match resolver.addresses(name).await {
        Ok(addresses) => addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" "),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_name_with_one_bad_address_among_good_ones_gives_none() {
    let names = Names::answering("crm.example", &[&["1.1.1.1", "::ffff:10.0.0.1", "9.9.9.9"]]);
    let text = text(&resolver(&names, 1), "crm.example").await;
    assert_eq!(text, "resolve crm.example: address ::ffff:10.0.0.1 is refused: IPv4-mapped");
}

#[tokio::test]
async fn a_name_whose_answer_changes_is_checked_on_every_attempt() {
    let names =
        Names::answering("crm.example", &[&["1.1.1.1"], &["127.0.0.1"], &["1.1.1.1", "2606:4700::1"]]);
    let resolver = resolver(&names, 1);
    assert_eq!(text(&resolver, "crm.example").await, "1.1.1.1");
    let refused = "resolve crm.example: address 127.0.0.1 is refused: loopback";
    assert_eq!(text(&resolver, "crm.example").await, refused);
    assert_eq!(text(&resolver, "crm.example").await, "1.1.1.1 2606:4700::1");
    assert_eq!(names.asked(), 3);
}

#[tokio::test]
async fn a_name_without_an_address_and_one_that_does_not_exist_are_failures_of_dns() {
    let names = Names::answering("empty.example", &[&[]]);
    names.answers.lock().unwrap().insert("none.example".to_owned(), VecDeque::new());
    let resolver = resolver(&names, 1);
    assert_eq!(text(&resolver, "empty.example").await, "resolve empty.example: it has no address");
    assert_eq!(text(&resolver, "none.example").await, "resolve none.example: no such name");
}

#[tokio::test]
async fn a_literal_is_checked_and_not_looked_up() {
    let names = Arc::new(Names::default());
    let resolver = resolver(&names, 1);
    assert_eq!(text(&resolver, "1.1.1.1").await, "1.1.1.1");
    assert_eq!(text(&resolver, "[::1]").await, "resolve [::1]: address ::1 is refused: loopback");
    assert_eq!(names.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_silent_name_holds_one_place_however_many_wait_for_it() {
    let names = Names::answering("crm.example", &[&["1.1.1.1"]]);
    let resolver = resolver(&names, 2);
    let waiting: Vec<_> = (0..50).map(|_| tokio::spawn(resolver.addresses("silent.example"))).collect();
    tokio::task::yield_now().await;
    assert_eq!(text(&resolver, "crm.example").await, "1.1.1.1");
    assert_eq!(names.asked(), 2);
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn a_silent_name_gives_its_place_back_when_nobody_waits_any_more() {
    let names = Names::answering("crm.example", &[&["1.1.1.1"]]);
    let resolver = resolver(&names, 1);
    let short = Duration::from_secs(10);
    assert!(timeout(short, resolver.addresses("silent.example")).await.is_err());
    assert_eq!(timeout(short, text(&resolver, "crm.example")).await.unwrap(), "1.1.1.1");
    assert!(timeout(short, resolver.addresses("silent.example")).await.is_err());
    assert_eq!(names.asked(), 3, "a name is asked for again after an attempt that gave up");
}

#[tokio::test(start_paused = true)]
async fn lookups_are_bounded() {
    let names = Arc::new(Names::default());
    let resolver = resolver(&names, 3);
    let waiting: Vec<_> =
        (0..20).map(|at| tokio::spawn(resolver.addresses(&format!("silent{at}.example")))).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(names.asked(), 3);
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn the_hosts_file_of_the_system_is_read() {
    let lookup = SystemLookup::new().unwrap();
    let addresses = lookup.lookup("localhost").await.unwrap();
    assert!(!addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
}
