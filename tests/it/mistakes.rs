//! What is configured wrongly is told whole, before anything happens.

use crate::harness::{COMPANY, Home, QUICK, Receiver, Reply, lost_call, run};

#[tokio::test]
async fn a_configuration_with_five_mistakes_is_told_five_times_before_a_port_or_a_folder_is_touched() {
    let home = Home::new("");
    // A port that is taken: who tried to listen on it would say so.
    let taken = Receiver::down().url("");
    let port = taken.trim_start_matches("http://");
    let config = home.write(
        "wrong.toml",
        &format!(
            "[http]\nlisten = \"{port}\"\nmax_body = \"10 apples\"\n[sessions]\nsetle = \"3s\"\ngap = 900\n\
             [bus]\npartitions = 0\n[delivery]\nallow_networks = [\"10.0.0.0/99\"]\n"
        ),
    );
    let data = home.data();
    let arguments = ["serve", "--config", config.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let done = run(&arguments);
    assert_eq!(done.code, Some(64), "{}", done.stderr);
    let told: Vec<&str> = done.stderr.lines().collect();
    assert_eq!(told.len(), 5, "{}", done.stderr);
    let keys =
        ["http.max_body", "sessions.setle", "sessions.gap", "bus.partitions", "delivery.allow_networks"];
    for (line, key) in [3, 5, 6, 8, 10].into_iter().zip(keys) {
        let place = format!("wrong.toml:{line}:");
        assert!(
            told.iter().any(|told| told.contains(&place) && told.contains(key)),
            "{key}: {}",
            done.stderr
        );
    }
    assert!(done.stderr.contains("did you mean sessions.settle?"), "{}", done.stderr);
    assert!(!data.exists(), "a folder was made all the same");
}

#[test]
fn triggers_with_mistakes_are_told_with_their_places_and_nothing_is_written() {
    let home = Home::new("");
    let triggers = r#"
[[trigger]]
tenant = "acme"
name = "CRM"
url = "http://crm.example/calls"
filters = [
  { field = "tallk", op = "gt", value = 5 },
  { field = "talk", op = "startsWith", value = "5" },
  { field = "cliName", op = "matches", value = "(" },
]

[[trigger]]
tenant = "acmee"
name = "Nobody's"
url = "https://crm.example/calls"
"#;
    let file = home.write("resources.toml", &format!("{COMPANY}{triggers}"));
    let done = home.run(&["apply", "-f", file.to_str().unwrap()]);
    assert_eq!(done.code, Some(64), "{}", done.stderr);
    let told: Vec<&str> = done.stderr.lines().collect();
    assert_eq!(told.len(), 5, "{}", done.stderr);
    for part in ["/url", "/filters/0/field", "/filters/1/op", "/filters/2/value", "acmee"] {
        assert!(told.iter().any(|told| told.contains(part)), "{part}: {}", done.stderr);
    }
    assert!(done.stderr.contains("did you mean \"talk\"?"), "{}", done.stderr);
    assert!(!home.data().exists(), "a store was made all the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_the_same_folder_says_so_and_harms_not_the_first() {
    let home = Home::new(QUICK);
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let url = receiver.url("/crm");
    home.apply(&format!("{COMPANY}[[trigger]]\ntenant = \"acme\"\nname = \"CRM\"\nurl = \"{url}\"\n"));
    let serve = home.serve().await;
    let done = home.run(&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert!(done.stderr.contains("another process of ringpost uses it"), "{}", done.stderr);
    serve.accept("k1", lost_call("after").to_string()).await;
    receiver.count(1).await;
}
