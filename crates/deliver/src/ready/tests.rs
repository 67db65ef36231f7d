//! What is worked out once is the same as what each request would have worked out.

use ringpost_model::AttemptId;
use serde_json::json;
use uuid::Uuid;

use crate::request::request;
use crate::samples;

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

#[test]
fn no_request_of_a_trigger_differs_from_one_of_a_trigger_that_was_just_read() {
    for keys in [json!({ "secrets": [SECRET] }), json!({ "method": "GET" }), json!({ "format": "form" })] {
        let url = "https://us%40er:pass-s3cret@h.example/in/s3cret?sig=1#x";
        let mut job = samples::job(url, keys.clone());
        for session in 1..=3 {
            job.delivery = samples::delivery_of(session);
            let fresh = samples::job_of(samples::trigger(url, keys.clone()), job.delivery.clone());
            let [kept, fresh] =
                [&job, &fresh].map(|job| request(job, AttemptId(Uuid::nil()), samples::now()).unwrap());
            assert_eq!((kept.url.as_str(), &kept.payload), (fresh.url.as_str(), &fresh.payload));
            assert_eq!(kept.headers, fresh.headers);
            assert_eq!(kept.shown_url(), fresh.shown_url());
            assert_eq!(kept.shown_headers(), fresh.shown_headers());
            assert!(!format!("{kept:?} {:?} {job:?}", kept.shown_headers()).contains("s3cret"));
        }
    }
}

#[test]
fn a_mistake_in_a_trigger_is_told_of_every_request() {
    let job = samples::job("https://h.example/in", json!({ "secrets": ["whsec_***"] }));
    for _ in 0..2 {
        let error = request(&job, AttemptId(Uuid::nil()), samples::now()).unwrap_err();
        assert_eq!(error.to_string(), "sign the request");
    }
}
