//! The intake as a switch meets it: requests in, status and body out; what was stored.

use std::collections::HashMap;
use std::sync::Mutex;

use axum::http::StatusCode;
use ringpost_model::{Dialect, PbxKey, TenantKey, Timestamp};
use tower::ServiceExt;

use super::*;
use crate::access::{PbxAccess, TokenHash};
use crate::intake::{Delivered, NotStored};

const LEG: &str = r#"{"v":1,"kind":"leg","tenant":"acme","pbx":"k1","leg":"x","created":1773133200000000}"#;

/// Keeps what it is given, or refuses everything as a full disk does.
#[derive(Clone, Default)]
struct Kept {
    delivered: Arc<Mutex<Vec<Delivered>>>,
    is_full: bool,
}

impl Intake for Kept {
    async fn store(&self, delivered: Delivered) -> Result<(), NotStored> {
        if self.is_full {
            return Err(NotStored {
                reason: "the disk is full".to_owned(),
                retry_after: Duration::from_secs(5),
            });
        }
        self.delivered.lock().unwrap().push(delivered);
        Ok(())
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_773_133_200_000_000)
    }
}

impl Kept {
    fn counts(&self) -> (usize, usize) {
        let delivered = self.delivered.lock().unwrap();
        let records = delivered.iter().map(|delivered| delivered.records.len()).sum();
        (records, delivered.iter().map(|delivered| delivered.dead_letters.len()).sum())
    }
}

fn access() -> SharedAccess {
    let tenant = |key: &str| TenantKey::new(key).unwrap();
    let k1 = PbxAccess {
        dialect: Dialect::Native,
        tenant: Some(tenant("acme")),
        zone: None,
        sides: Default::default(),
        tokens: vec![(TokenHash::of("secret"), None)],
    };
    let a1 =
        PbxAccess { dialect: Dialect::AsteriskCel, zone: Some(chrono_tz::Tz::Europe__Berlin), ..k1.clone() };
    let z1 = PbxAccess { dialect: Dialect::Kazoo, tenant: None, ..k1.clone() };
    let access = SharedAccess::default();
    access.set(Access {
        pbxs: [("k1", k1), ("a1", a1), ("z1", z1)].map(|(key, pbx)| (PbxKey::new(key).unwrap(), pbx)).into(),
        tenants: HashMap::from([(tenant("acme"), None), (tenant("rival"), None)]),
    });
    access
}

async fn send(
    kept: &Kept,
    request: axum::http::request::Builder,
    body: impl Into<Body>,
) -> (StatusCode, String) {
    let limits = Limits { body: 4096, time: Duration::from_secs(30) };
    let app = router(access(), kept.clone(), limits);
    let response = app.oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn post_to(path: &str) -> axum::http::request::Builder {
    Request::builder().method("POST").uri(path)
}

fn with_token() -> axum::http::request::Builder {
    post_to("/ingest/k1").header("authorization", "Bearer secret")
}

#[tokio::test]
async fn a_leg_is_accepted_with_the_token_wherever_a_switch_can_put_it() {
    let kept = Kept::default();
    let basic = format!("Basic {}", STANDARD.encode("k1:secret"));
    let requests =
        [with_token(), post_to("/ingest/k1").header("authorization", basic), post_to("/ingest/k1/secret")];
    for request in requests {
        let (status, body) = send(&kept, request, LEG).await;
        assert_eq!((status, body.as_str()), (StatusCode::ACCEPTED, r#"{"legs":1,"rejected":0}"#));
    }
    assert_eq!(kept.counts(), (3, 0));
}

/// A switch that posts each row must not take it for a mistake that some say nothing.
#[tokio::test]
async fn a_row_that_says_nothing_is_accepted_and_local_times_are_in_the_zone_of_the_platform() {
    let kept = Kept::default();
    let row = |event: &str| {
        format!(
            r#"{{"eventtype":"{event}","eventtime":"2026-07-01 09:00:00","uniqueid":"1.1","channame":"PJSIP/1-1"}}"#
        )
    };
    let (status, body) = send(&kept, post_to("/ingest/a1/secret"), row("LINKEDID_END")).await;
    assert_eq!((status, body.as_str()), (StatusCode::ACCEPTED, r#"{"legs":0,"rejected":0}"#));
    let (status, body) = send(&kept, post_to("/ingest/a1/secret"), row("CHAN_START")).await;
    assert_eq!((status, body.as_str()), (StatusCode::ACCEPTED, r#"{"legs":1,"rejected":0}"#));
    let delivered = kept.delivered.lock().unwrap();
    assert_eq!(delivered[0].records[0].stream_time().to_string(), "2026-07-01T07:00:00.000000Z");
}

/// A fax is no call: a switch that posts it must not try for ever, and it is no other tenant's.
#[tokio::test]
async fn a_notice_is_taken_and_judged_like_a_leg() {
    let kept = Kept::default();
    let notice = |account: &str| {
        format!(r#"{{"event_category":"notification","event_name":"inbound_fax","account_id":"{account}"}}"#)
    };
    let (status, body) = send(&kept, post_to("/ingest/z1/secret"), notice("acme")).await;
    assert_eq!((status, body.as_str()), (StatusCode::ACCEPTED, r#"{"legs":0,"rejected":0}"#));
    let (status, body) = send(&kept, post_to("/ingest/z1/secret"), notice("nobody")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    assert!(body.contains("no tenant has the key nobody"), "{body}");
    let delivered = kept.delivered.lock().unwrap();
    assert_eq!((delivered[0].notices.len(), delivered[1].dead_letters.len()), (1, 1));
}

#[tokio::test]
async fn nothing_is_taken_without_the_token() {
    let kept = Kept::default();
    let requests = [
        post_to("/ingest/k1"),
        post_to("/ingest/k1").header("authorization", "Bearer guess"),
        post_to("/ingest/k1").header("authorization", "Basic c2VjcmV0"),
        post_to("/ingest/k2/secret"),
        post_to("/ingest/k1/guess"),
    ];
    for request in requests {
        let (status, body) = send(&kept, request, LEG).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    }
    assert_eq!(kept.counts(), (0, 0));
}

#[tokio::test]
async fn another_tenants_leg_is_refused_and_kept_for_a_person_to_look_at() {
    let kept = Kept::default();
    let (status, body) = send(&kept, with_token(), LEG.replace("acme", "rival")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(body.contains("the leg is of tenant rival, pbx k1 may not speak for it"), "{body}");
    assert_eq!(kept.counts(), (0, 1));
}

#[tokio::test]
async fn one_bad_record_does_not_lose_its_neighbours() {
    let kept = Kept::default();
    let (status, body) = send(&kept, with_token(), format!("{LEG}\nnonsense\n{LEG}\n")).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert!(body.starts_with(r#"{"legs":2,"rejected":1,"#), "{body}");
    assert_eq!(kept.counts(), (2, 1));
}

#[tokio::test]
async fn a_bad_document_is_answered_with_its_reason() {
    let kept = Kept::default();
    let (status, body) = send(&kept, with_token(), LEG.replace("\"leg\":\"x\",", "")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("leg"), "{body}");
    let (status, _) = send(&kept, with_token(), "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(kept.counts(), (0, 1));
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read() {
    let kept = Kept::default();
    let (status, body) = send(&kept, with_token(), format!("{LEG}\n").repeat(100)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{body}");
    assert_eq!(kept.counts(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_holds_no_connection_for_ever() {
    let kept = Kept::default();
    let (_sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    let (status, _) = send(&kept, with_token(), Body::from_stream(stream)).await;
    assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn legs_that_cannot_be_made_durable_are_not_accepted() {
    let kept = Kept { is_full: true, ..Kept::default() };
    let limits = Limits { body: 4096, time: Duration::from_secs(30) };
    let request = with_token().body(Body::from(LEG)).unwrap();
    let answer = router(access(), kept.clone(), limits).oneshot(request).await.unwrap();
    assert_eq!(answer.headers()["retry-after"], "5", "the sender is told when to try again");
    let (status, body) = send(&kept, with_token(), LEG).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("the disk is full"), "{body}");
}

/// A token in a path is a secret like any other: no answer repeats it, whatever is wrong.
#[tokio::test]
async fn no_answer_repeats_a_token_of_the_path() {
    let kept = Kept { is_full: true, ..Kept::default() };
    let asks = [("/ingest/k1/secret", LEG), ("/ingest/k1/secret", ""), ("/ingest/k1/secret", "nonsense")];
    for (path, body) in asks {
        let (_, answer) = send(&kept, post_to(path), body).await;
        assert!(!answer.contains("secret"), "{answer}");
    }
    let (status, answer) = send(&kept, post_to("/ingest/k1/secreter"), LEG).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(!answer.contains("secreter"), "{answer}");
}

#[tokio::test]
async fn how_many_were_refused_is_told_where_all_were() {
    let kept = Kept::default();
    let (status, body) = send(&kept, with_token(), "nonsense\nrubbish\n").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&answer["refused"], answer["rejected"].as_array().unwrap().len()), (&2.into(), 2));
}
