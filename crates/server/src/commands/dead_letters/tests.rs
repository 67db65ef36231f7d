//! Dead letters through the command: listed, shown, and sent in again to a server that is a stand-in.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use ringpost_model::{Pbx, PbxKey, Timestamp};
use ringpost_store::{DeadLetter, DeadLetterFilter};

use crate::cli::testing::ringpost;
use crate::config::{Config, Data};
use crate::open_store::open_store;

struct Folder(tempfile::TempDir);

impl Folder {
    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    fn config(&self) -> Config {
        Config { data: Data { dir: self.0.path().into(), ..Data::default() }, ..Config::default() }
    }

    fn run(&self, arguments: &[&str]) -> (u8, String, String) {
        ringpost(&[&["dead-letters", "--data", self.path()], arguments].concat(), "")
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// A store with a pbx and three letters: one of it, one of nobody, one that was too long to be kept.
fn folder() -> Folder {
    let folder = Folder(tempfile::tempdir().unwrap());
    block_on(async {
        let store = open_store(&folder.config()).await.unwrap();
        let pbx: Pbx = serde_json::from_str(r#"{"key":"fs1"}"#).unwrap();
        let at = Timestamp::from_micros(1_773_133_200_000_000);
        store.put_pbx(&pbx, at).await.unwrap();
        let mut of_pbx =
            DeadLetter::new("http fs1 1", at, "leg: missing", "native", b"{\"v\":1,\n\"x\":\"\x1b\"}");
        of_pbx.pbx = Some(PbxKey::new("fs1").unwrap());
        let of_nobody = DeadLetter::new("legs/0/7", at, "not JSON", "native", b"nonsense");
        let mut long = DeadLetter::new("legs/0/8", at, "too large", "native", &vec![b'x'; 300_000]);
        long.pbx = of_pbx.pbx.clone();
        store.add_dead_letters(&[of_pbx, of_nobody, long]).await.unwrap();
        store.close().await;
    });
    folder
}

#[test]
fn letters_are_listed_newest_first_one_line_each_whatever_is_in_them() {
    let (code, out, err) = folder().run(&["list"]);
    assert_eq!(code, 0, "{err}");
    insta::assert_snapshot!(out, @r#"
    3	2026-03-10T09:00:00.000000Z	fs1	too large	legs/0/8	xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    2	2026-03-10T09:00:00.000000Z	-	not JSON	legs/0/7	nonsense
    1	2026-03-10T09:00:00.000000Z	fs1	leg: missing	http fs1 1	{"v":1, "x":"�"}
    "#);
}

#[test]
fn a_letter_is_shown_whole_and_raw() {
    let folder = folder();
    let (_, page, _) = folder.run(&["show", "1"]);
    insta::assert_snapshot!(page, @r#"
    id        1
    received  2026-03-10T09:00:00.000000Z
    position  http fs1 1
    reason    leg: missing
    dialect   native
    tenant    unknown
    pbx       fs1
    length    16 bytes
    sha256    a125081675703d41f8bfdcfe355039a5967ed3169da4bb42a2d4abbc214f733e
    replayed  never

    {"v":1,
    "x":"�"}
    "#);
    let (_, raw, _) = folder.run(&["show", "1", "--raw"]);
    assert_eq!(raw, "{\"v\":1,\n\"x\":\"\u{1b}\"}");
    assert_eq!(folder.run(&["show", "99"]).0, 1);
}

#[test]
fn a_folder_without_a_store_is_told_and_none_is_made() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let (code, _, err) = folder.run(&["list"]);
    assert_eq!(code, 1);
    assert!(err.contains("holds no store"), "{err}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// The stand-in knows a new token from the third request on, as a server does that looks for changes now and then.
#[derive(Clone)]
struct StandIn {
    seen: Arc<Mutex<Vec<String>>>,
    answer: StatusCode,
}

async fn receive(State(stand_in): State<StandIn>, request: Request) -> (StatusCode, &'static str) {
    let authorization = request.headers().get("authorization").unwrap().to_str().unwrap().to_owned();
    let path = request.uri().path().to_owned();
    let mut seen = stand_in.seen.lock().unwrap();
    seen.push(format!("{path} {}", &authorization[..11]));
    if seen.len() < 3 {
        return (StatusCode::UNAUTHORIZED, "");
    }
    (stand_in.answer, r#"{"legs":1,"rejected":0}"#)
}

fn replay(folder: &Folder, answer: StatusCode, arguments: &[&str]) -> (u8, String, Vec<String>) {
    let stand_in = StandIn { seen: Arc::default(), answer };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let router = Router::new().fallback(receive).with_state(stand_in.clone());
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        axum::serve(listener, router).await
    });
    let (code, out, _) = folder.run(&[&["replay", "--to", &address], arguments].concat());
    runtime.shutdown_background();
    let seen = stand_in.seen.lock().unwrap().clone();
    (code, out, seen)
}

#[test]
fn a_letter_is_sent_in_again_and_then_listed_no_more() {
    let folder = folder();
    let (code, out, seen) = replay(&folder, StatusCode::ACCEPTED, &["1"]);
    assert_eq!((code, out.as_str()), (0, "1\ttaken in\n"));
    assert_eq!(seen, vec!["/ingest/fs1 Bearer rpi_"; 3]);
    assert!(!folder.run(&["list"]).1.contains("leg: missing"));
    assert!(folder.run(&["list", "--replayed"]).1.contains("leg: missing"));
    let (tokens, letters) = block_on(async {
        let store = open_store(&folder.config()).await.unwrap();
        let found = (
            store.ingest_tokens().await.unwrap(),
            store.dead_letters(&DeadLetterFilter::default(), 9).await.unwrap(),
        );
        store.close().await;
        found
    });
    assert!(tokens.iter().all(|token| token.revoked.is_some()), "the token made for it is revoked");
    assert_eq!(letters.len(), 2);
}

#[test]
fn what_is_refused_again_or_cannot_be_sent_stays() {
    let folder = folder();
    let (code, out, _) = replay(&folder, StatusCode::BAD_REQUEST, &["--all"]);
    assert_eq!(code, 1);
    insta::assert_snapshot!(out, @r#"
    3	cannot be sent: only its beginning was kept
    2	cannot be sent: its pbx is not known
    1	refused again: 400: {"legs":1,"rejected":0}
    "#);
    assert_eq!(folder.run(&["list"]).1.lines().count(), 3);
}
