//! What is shown, and that no secret is.

use serde_json::json;

use super::*;
use crate::samples;

#[test]
fn a_shown_url_keeps_origin_and_first_path_segment() {
    let table = [
        ("https://hooks.zapier.com/hooks/catch/123/s3cret/", "https://hooks.zapier.com/hooks/…"),
        ("https://user:s3cret@crm.example/in", "https://crm.example/in"),
        ("https://crm.example/in?token=s3cret", "https://crm.example/in?…"),
        ("https://crm.example/in/s3cret?token=s3cret", "https://crm.example/in/…"),
        ("https://crm.example/in/", "https://crm.example/in/…"),
        ("https://crm.example", "https://crm.example/"),
        ("https://crm.example/?s3cret", "https://crm.example/?…"),
        ("http://[2001:db8::1]:8080/a/s3cret#s3cret", "http://[2001:db8::1]:8080/a/…"),
        ("https://crm.example//s3cret", "https://crm.example//…"),
        ("no url s3cret", "(not a URL)"),
    ];
    for (url, expected) in table {
        assert_eq!(shown_text(url), expected);
    }
}

const URL: &str = "https://us%40er:pa%23ssword@crm.example/in/path-secret/next?sig=que%2Bry-secret&x=1";

#[test]
fn an_echo_of_the_request_shows_no_secret() {
    let signing = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let keys = json!({
        "headers": { "X-Key": "header-secret", "X-Flag": "1" },
        "auth": { "kind": "bearer", "token": "bearer-secret" },
        "secrets": [signing],
    });
    let secrets = Secrets::of(&samples::trigger(URL, keys));
    let echo = format!(
        "POST /in/path-secret/next?sig=que%2Bry-secret que+ry-secret X-Key: header-secret X-Flag: 1 \
         Authorization: Bearer bearer-secret {signing} path-secret pa%23ssword Basic dXNAZXI6cGEjc3N3b3Jk"
    );
    let hidden = secrets.hide(&echo);
    assert_eq!(hidden, "POST /in/…?sig=… … X-Key: … X-Flag: 1 Authorization: Bearer … … … … Basic …");
    assert_eq!(format!("{secrets:?}"), "Secrets(10)");
}

#[test]
fn basic_credentials_are_hidden_plain_and_encoded() {
    let keys = json!({ "auth": { "kind": "basic", "user": "aladdin", "password": "open sesame" } });
    let secrets = Secrets::of(&samples::trigger("https://crm.example/in", keys));
    assert_eq!(secrets.hide("YWxhZGRpbjpvcGVuIHNlc2FtZQ== open sesame"), "… …");
}

#[test]
fn a_token_that_is_the_whole_query_or_the_user_of_a_url_is_hidden_too() {
    let hide = |url: &str, text: &str| Secrets::of(&samples::trigger(url, json!({}))).hide(text).into_owned();
    let query = "https://crm.example/in?s3cret-t0ken%2Bof-16&debug";
    assert_eq!(hide(query, "GET /in?s3cret-t0ken%2Bof-16&debug s3cret-t0ken+of-16"), "GET /in?…&debug …");
    for url in ["https://sk_live_s3cret@crm.example/in", "https://sk_live_s3cret:@crm.example/in"] {
        assert_eq!(hide(url, "sk_live_s3cret Basic c2tfbGl2ZV9zM2NyZXQ6"), "… Basic …", "{url}");
    }
    assert_eq!(hide("https://aladdin:open%20sesame@crm.example/in", "aladdin: open sesame"), "aladdin: …");
}

#[test]
fn a_text_without_secrets_is_left_as_it_is() {
    let secrets = Secrets::of(&samples::trigger(URL, json!({})));
    assert!(matches!(secrets.hide("accepted"), Cow::Borrowed("accepted")));
}
