//! What is told of the system itself: to a receiver that listens, and to people by mail.

use serde_json::Value;

use crate::harness::{COMPANY, Home, Mailbox, QUICK, Receiver, Reply, Request, lost_call, session_of};

fn trigger(name: &str, url: &str, rest: &str) -> String {
    format!("[[trigger]]\ntenant = \"acme\"\nname = \"{name}\"\nurl = \"{url}\"\n{rest}\n")
}

fn notices(requests: &[Request]) -> Vec<Value> {
    requests.iter().filter(|request| request.path == "/desk").map(Request::json).collect()
}

/// `/no` says no to every call, `/gone` is gone, `/desk` hears of both.
async fn world(mailbox: &Mailbox) -> (Home, Receiver) {
    let home = Home::new(&format!("{QUICK}{}", mailbox.settings()));
    let receiver = Receiver::start(|request| {
        Reply::status(match request.path.as_str() {
            "/no" => 400,
            "/gone" => 410,
            _ => 200,
        })
    })
    .await;
    let triggers = [
        trigger("No", &receiver.url("/no"), "retries = 0"),
        trigger("Gone", &receiver.url("/gone"), ""),
        trigger("Desk, given up", &receiver.url("/desk"), "event = \"delivery.exhausted\""),
        trigger("Desk, switched off", &receiver.url("/desk"), "event = \"trigger.disabled\""),
    ];
    home.apply(&format!("{COMPANY}{}", triggers.concat()));
    (home, receiver)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_says_no_and_one_that_is_gone_are_told_to_the_desk_and_by_mail() {
    let mailbox = Mailbox::start().await;
    let (home, receiver) = world(&mailbox).await;
    let serve = home.serve().await;
    serve.accept("k1", lost_call("one").to_string()).await;

    // A delivery to a receiver that is gone is given up too.
    let mails = mailbox.count(3).await;
    let subjects: Vec<&str> = mails
        .iter()
        .flat_map(|mail| mail.lines())
        .filter_map(|line| line.strip_prefix("Subject: "))
        .collect();
    for expected in
        ["[ringpost] acme: a delivery of No was given up", "[ringpost] acme: Gone was switched off"]
    {
        assert!(subjects.contains(&expected), "{subjects:?}");
    }

    receiver.until("the desk to hear of all", |requests| notices(requests).len() >= 3).await;
    let told = notices(&receiver.requests());
    let of = |event: &str, trigger: &str| {
        told.iter().find(|it| it["event"] == event && it["notice"]["triggerName"] == trigger)
    };
    let given_up = of("delivery.exhausted", "No").expect("it was given up");
    assert_eq!(given_up["notice"]["session"], session_of("one"));
    assert_eq!(
        (&given_up["notice"]["attempts"], &given_up["notice"]["reason"]),
        (&1.into(), &"answered 400".into())
    );
    assert!(of("trigger.disabled", "Gone").is_some(), "{told:?}");
    serve.stop().await;
}
