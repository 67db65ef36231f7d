//! What a person is told whose files are wrong, and that what is right is read whole.

use super::*;

fn files(texts: &[(&str, &str)]) -> Files {
    texts.iter().map(|(name, text)| (PathBuf::from(name), (*text).to_owned())).collect()
}

fn told(texts: &[(&str, &str)], variables: &[(&str, &str)]) -> String {
    let files = files(texts);
    let variables: Vec<_> =
        variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let mut all = read(&files, &variables);
    check(&files, &mut all, &Known::default(), &|_, _| Vec::new());
    all.mistakes.iter().map(|mistake| format!("{mistake}\n")).collect()
}

#[test]
fn mistakes_of_all_files_are_told_at_once_each_with_its_place_and_remedy() {
    let toml = r#"
[[tenant]]
key = "acme"
zone = "Europe/Lundon"
region = "UK"
parent = "reseler"

[[tenant]]
key = "reseller"

[[pbx]]
key = "k 1"

[[pbx]]
key = "k2"
tenant = "acme"
dialect = "asterisk"
tokens = ["short"]
zon = "UTC"
sides = { external = { gateway = ["x"], numbers = [""] }, internal = 5 }

[[trigger]]
tenant = "acme"
name = "CRM"
method = "POTS"
retries = 11
filters = [{ field = "dir", op = "eq", valeu = "incoming" }, { op = "eq" }]
headers = { X-Key = { env = "CRM_KEY" } }

[[user]]
name = "x"
"#;
    let json = r#"{
  "trigger": [
    {"tenant": "acme", "name": "CRM", "url": "https://crm.example/x"},
    {"tenant": "nobody", "name": "Other", "url": 7}
  ]
}"#;
    insta::assert_snapshot!(told(&[("a.toml", toml), ("b.json", json)], &[]), @r#"
    a.toml:4:8: tenant "acme": /zone: unknown zone "Europe/Lundon"
    a.toml:5:10: tenant "acme": /region: unknown region "UK": two letters of ISO 3166 are wanted, e.g. GB
    a.toml:6:10: tenant "acme": /parent: no tenant "reseler"; did you mean "reseller"? Otherwise add it as [[tenant]]
    a.toml:12:7: pbx "k 1": /key: pbx must be 1 to 64 of A-Z a-z 0-9 . _ -, got "k 1"
    a.toml:17:11: pbx "k2": /dialect: "asterisk" is not known; write "native", "freeswitch-cdr", "freeswitch-event", "kazoo", "asterisk-cel", "asterisk-cdr"
    a.toml:18:11: pbx "k2": /tokens/0: no token: it stands in headers and paths; write 16 or more of A-Z a-z 0-9 . _ - ~, such as `openssl rand -hex 16` gives
    a.toml:19:1: pbx "k2": /zon: no such key; did you mean zone?
    a.toml:20:24: pbx "k2": /sides/external/gateway: no such key; did you mean gateways?
    a.toml:20:51: pbx "k2": /sides/external/numbers: an empty name; take it out; * stands for anything
    a.toml:20:70: pbx "k2": /sides/internal: 5 is no object; write its keys and values
    a.toml:22:1: trigger "CRM": /url: missing; write url = "https://…"
    a.toml:25:10: trigger "CRM": /method: "POTS" is not known; write "POST", "PUT", "GET"
    a.toml:26:11: trigger "CRM": /retries: 11 does not fit; write a whole number from 0 to 10
    a.toml:27:40: trigger "CRM": /filters/0/valeu: no such key; did you mean value?
    a.toml:27:62: trigger "CRM": /filters/1/field: missing; write field = "…"
    a.toml:28:21: trigger "CRM": /headers/X-Key: the environment has no CRM_KEY; set CRM_KEY
    a.toml:30:3: user: no such kind; the kinds are tenant, pbx, trigger
    b.json:4:50: trigger "Other": /url: not a text; write it in quotes, or { env = "NAME" }, or { file = "PATH" }
    "#);
}

#[test]
fn what_is_no_toml_or_json_is_told_with_its_place() {
    insta::assert_snapshot!(told(&[("a.toml", "[[tenant]\n"), ("b.json", "{\n \"pbx\": [}\n")], &[]), @r#"
    a.toml:1:10: not TOML: unclosed array table, expected `]`
    b.json:2:10: not JSON: expected value
    "#);
}

#[test]
fn a_circle_of_parents_is_told() {
    let text = "[[tenant]]\nkey = \"a\"\nparent = \"b\"\n[[tenant]]\nkey = \"b\"\nparent = \"a\"\n";
    insta::assert_snapshot!(told(&[("a.toml", text)], &[]), @r#"
    a.toml:3:10: tenant "a": /parent: it would be above itself; break the circle of parents
    a.toml:6:10: tenant "b": /parent: it would be above itself; break the circle of parents
    "#);
}

#[test]
fn names_and_tokens_given_twice_are_told() {
    let text = r#"
[[tenant]]
key = "a"
[[tenant]]
key = "a"
[[pbx]]
key = "p"
tokens = ["0123456789abcdef"]
[[pbx]]
key = "q"
tokens = ["0123456789abcdef"]
"#;
    insta::assert_snapshot!(told(&[("a.toml", text)], &[]), @r#"
    a.toml:5:7: tenant "a": is at a.toml:3:7 too; keep one of them
    a.toml:11:11: pbx "q": /tokens/0: this token is used twice; give each platform its own
    "#);
}

#[test]
fn a_trigger_is_read_whole_from_toml_and_json_alike() {
    let toml = r#"
[[trigger]]
tenant = "acme"
name = "CRM"
url = { env = "CRM_URL" }
method = "PUT"
format = "form"
retries = 3
retryOn = "transient"
whileDown = "fail"
rateLimit = 5
includeSubaccounts = true
customData = { site = "north" }
auth = { kind = "basic", user = "u", password = { env = "CRM_PASSWORD" } }
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

[[trigger.filters]]
field = "rateCost"
op = "gt"
value = 0.10000000000000000001
not = true
"#;
    let json = r#"{"trigger": [{"tenant": "acme", "name": "CRM", "url": {"env": "CRM_URL"}, "method": "PUT",
        "format": "form", "retries": 3, "retryOn": "transient", "whileDown": "fail", "rateLimit": 5,
        "includeSubaccounts": true, "customData": {"site": "north"},
        "auth": {"kind": "basic", "user": "u", "password": {"env": "CRM_PASSWORD"}},
        "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "filters": [{"field": "rateCost", "op": "gt", "value": 0.10000000000000000001, "not": true}]}]}"#;
    let variables = [("CRM_URL", "https://crm.example/calls"), ("CRM_PASSWORD", "p")];
    let variables = variables.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let of = |name: &str, text: &str| {
        let read = read(&files(&[(name, text)]), &variables);
        assert_eq!(read.mistakes, []);
        serde_json::to_string(&read.resources.triggers[0].what.trigger).unwrap()
    };
    let from_toml = of("a.toml", toml);
    assert_eq!(from_toml, of("a.json", json));
    insta::assert_snapshot!(from_toml, @r#"{"id":"29aaa89a-7393-56cd-b107-c4909c5707b4","name":"CRM","enabled":true,"event":"call.completed","filters":[{"field":"rateCost","op":"gt","value":0.10000000000000000001,"not":true}],"revisions":"first","url":"https://crm.example/calls","method":"PUT","format":"form","payload":"session","customData":{"site":"north"},"auth":{"kind":"basic","user":"u","password":"p"},"secrets":["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],"retries":3,"retryOn":"transient","success":"2xx","whileDown":"fail","includeSubaccounts":true,"rateLimit":5}"#);
}

/// The same files on another machine, or applied again, are the same resources.
#[test]
fn ids_are_made_of_names() {
    let acme = TenantKey::new("acme").unwrap();
    assert_eq!(tenant_id(&acme).to_string(), "6f1f17fe-ad31-568d-93f3-ba09759b14aa");
    assert_eq!(trigger_id(&acme, "CRM").to_string(), "29aaa89a-7393-56cd-b107-c4909c5707b4");
    assert_ne!(trigger_id(&acme, "CRM"), trigger_id(&TenantKey::new("acme2").unwrap(), "CRM"));
}

#[test]
fn who_we_are_can_stand_in_files_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key.pem"), "KEY\n").unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    let toml = r#"
[[trigger]]
tenant = "acme"
name = "CRM"
url = "https://crm.example/"
auth = { kind = "certificate", chain = "CHAIN", key = { file = "key.pem" } }

[[trigger]]
tenant = "acme"
name = "ERP"
url = "https://erp.example/"

[trigger.auth]
kind = "oauth2"
tokenUrl = "https://login.example/token"
clientId = "ringpost"
clientSecret = { file = "empty" }
scope = "calls.write"
parameters = { audience = "https://erp.example/", more = 1 }
secret = "x"
"#;
    let path = folder.path().join("acme.toml");
    let read = read(&Files::from([(path, toml.to_owned())]), &[]);
    let auth = |at: usize| serde_json::to_string(&read.resources.triggers[at].what.trigger.auth).unwrap();
    assert_eq!(auth(0), r#"{"kind":"certificate","chain":"CHAIN","key":"KEY"}"#);
    assert_eq!(
        auth(1),
        r#"{"kind":"oauth2","tokenUrl":"https://login.example/token","clientId":"ringpost","clientSecret":"","scope":"calls.write","parameters":{"audience":"https://erp.example/"}}"#
    );
    let told: String = read.mistakes.iter().map(|mistake| format!("{mistake}\n")).collect();
    insta::assert_snapshot!(told.replace(folder.path().to_str().unwrap(), "DIR"), @r#"
    DIR/acme.toml:17:16: trigger "ERP": /auth/clientSecret: DIR/empty is empty
    DIR/acme.toml:19:58: trigger "ERP": /auth/parameters/more: not a text; write it in quotes, or { env = "NAME" }, or { file = "PATH" }
    DIR/acme.toml:20:1: trigger "ERP": /auth/secret: no such key; there are kind, tokenUrl, clientId, clientSecret, scope, parameters
    "#);
}
