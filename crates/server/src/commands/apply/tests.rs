//! Declared becomes stored, once; mistakes write nothing.

use std::path::Path;

use crate::cli::testing::{ringpost, ringpost_with};

const COMPANY: &str = r#"
[[tenant]]
key = "acme"
parent = "reseller"
zone = "Europe/London"
region = "GB"

[[tenant]]
key = "reseller"

[[pbx]]
key = "fs1"
tenant = "acme"
dialect = "freeswitch-cdr"
tokens = ["0123456789abcdef", { token = "fedcba9876543210", name = "spare" }]

[[trigger]]
tenant = "acme"
name = "CRM"
url = "https://crm.example/calls?key=hunter2"
filters = [{ field = "dir", op = "eq", value = "incoming" }]
"#;

struct Company(tempfile::TempDir);

impl Company {
    fn new() -> Self {
        let company = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(company.path("files")).unwrap();
        company.write(COMPANY);
        company
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, text: &str) {
        std::fs::write(self.0.path().join("files/company.toml"), text).unwrap();
    }

    /// Exit code, and standard output or, where it failed, standard error.
    fn apply(&self, flags: &[&str]) -> (u8, String) {
        let (files, data) = (self.path("files"), self.path("data"));
        let arguments = [&["apply", "-f", &files, "--data", &data], flags].concat();
        let (code, out, err) = ringpost(&arguments, "");
        (code, if code == 0 { out } else { err.replace(self.0.path().to_str().unwrap(), "DIR") })
    }
}

#[test]
fn files_are_applied_once_and_then_nothing_changes() {
    let company = Company::new();
    let (code, out) = company.apply(&[]);
    assert_eq!(code, 0, "{out}");
    insta::assert_snapshot!(out, @r#"
    create     tenant   reseller
    create     tenant   acme
    create     pbx      fs1
    create     token    fs1 / 9f9f5111-f7b2-7a78-1f1f-1ddde5ebc2dd
    create     token    fs1 / spare
    create     trigger  acme / CRM
    6 to create; done
    "#);
    let (_, again) = company.apply(&[]);
    assert!(again.ends_with("6 unchanged; nothing to do\n"), "{again}");
}

#[test]
fn a_dry_run_writes_nothing() {
    let company = Company::new();
    let (code, out) = company.apply(&["--dry-run"]);
    assert_eq!(code, 0, "{out}");
    assert!(out.ends_with("6 to create; dry run, nothing written\n"), "{out}");
    assert!(!Path::new(&company.path("data")).exists());
}

/// The plan names the keys that differ, never their values: an URL holds a secret as often as not.
#[test]
fn a_change_names_its_keys_and_no_secret() {
    let company = Company::new();
    company.apply(&[]);
    company.write(
        &COMPANY
            .replace("hunter2", "hunter3")
            .replace("\"spare\"", "\"second\"")
            .replace("\"GB\"", "\"IE\"")
            .replace("dialect = ", "sides = { internal = { gateways = [\"branch-*\"] } }\ndialect = "),
    );
    let (_, out) = company.apply(&["--dry-run"]);
    insta::assert_snapshot!(out, @r#"
    unchanged  tenant   reseller
    change     tenant   acme                                        region
    change     pbx      fs1                                         sides
    unchanged  token    fs1 / 9f9f5111-f7b2-7a78-1f1f-1ddde5ebc2dd
    change     token    fs1 / second                                name
    change     trigger  acme / CRM                                  url
    4 to change, 2 unchanged; dry run, nothing written
    "#);
    assert!(!out.contains("hunter"));
}

#[test]
fn what_the_files_no_longer_have_stays_unless_it_is_to_be_pruned() {
    let company = Company::new();
    company.apply(&[]);
    company.write("[[tenant]]\nkey = \"reseller\"\n");
    let (_, kept) = company.apply(&[]);
    assert!(kept.ends_with("1 unchanged; nothing to do\n"), "{kept}");
    let (code, pruned) = company.apply(&["--prune"]);
    assert_eq!(code, 0, "{pruned}");
    insta::assert_snapshot!(pruned, @r#"
    unchanged  tenant   reseller
    prune      trigger  acme / CRM
    prune      token    fs1 / spare
    prune      token    fs1 / 9f9f5111-f7b2-7a78-1f1f-1ddde5ebc2dd
    prune      pbx      fs1
    prune      tenant   acme
    5 to prune, 1 unchanged; done
    "#);
    let (_, again) = company.apply(&["--prune"]);
    assert!(again.ends_with("1 unchanged; nothing to do\n"), "{again}");
}

#[test]
fn wrong_filters_and_addresses_are_told_with_their_place_and_nothing_is_written() {
    let company = Company::new();
    company.write(
        r#"
[[tenant]]
key = "acme"
[[trigger]]
tenant = "acme"
name = "CRM"
url = "http://crm.example/"
headers = { Host = "x" }
filters = [
  { field = "tallk", op = "gt", value = 3 },
  { field = "cliNum", op = "gt", value = "1" },
  { field = "cause", op = "matches", value = "(" },
]
"#,
    );
    let (code, err) = company.apply(&[]);
    assert_eq!(code, 64);
    insta::assert_snapshot!(err, @r#"
    DIR/files/company.toml:7:7: trigger "CRM": /url: http is not allowed here, everything on the way could read the calls: write https
    DIR/files/company.toml:8:20: trigger "CRM": /headers/Host: Host comes from the URL: leave it out
    DIR/files/company.toml:10:13: trigger "CRM": /filters/0/field: unknown field "tallk": did you mean "talk"?
    DIR/files/company.toml:11:28: trigger "CRM": /filters/1/op: cliNum is a phone number and has no operator gt: use eq, startsWith, endsWith, contains, in, exists
    DIR/files/company.toml:12:46: trigger "CRM": /filters/2/value: "(" is no usable expression: unclosed group (at byte 0)
    "#);
    assert!(!Path::new(&company.path("data")).exists());
}

#[test]
fn a_token_may_come_from_the_environment() {
    let company = Company::new();
    company.write("[[pbx]]\nkey = \"fs1\"\ntokens = [{ env = \"FS1_TOKEN\" }]\n");
    let (code, err) = company.apply(&[]);
    assert_eq!(code, 64, "{err}");
    let (files, data) = (company.path("files"), company.path("data"));
    let arguments = ["apply", "-f", &files, "--data", &data];
    let (code, out, _) = ringpost_with(&arguments, "", &[("FS1_TOKEN", "0123456789abcdef")]);
    assert_eq!(code, 0);
    assert!(out.contains("create     token") && !out.contains("0123456789abcdef"), "{out}");
}

/// Trigger CRM with this certificate and key, from files beside the resources.
fn with_certificate(chain: &str, key: &str) -> Company {
    let company = Company::new();
    for (name, text) in [("us.pem", chain), ("us.key", key)] {
        std::fs::write(company.path(&format!("files/{name}")), text).unwrap();
    }
    let auth = r#"auth = { kind = "certificate", chain = { file = "us.pem" }, key = { file = "us.key" } }"#;
    company.write(&format!("{COMPANY}{auth}\n"));
    company
}

#[test]
fn a_certificate_is_read_from_files_checked_and_kept() {
    let key = include_str!("../../../../deliver/src/client/tests/tls/client.key");
    let chain = include_str!("../../../../deliver/src/client/tests/tls/client.pem");
    let company = with_certificate(chain, key);
    let (code, out) = company.apply(&[]);
    assert_eq!(code, 0, "{out}");
    assert!(!out.contains("PRIVATE") && company.apply(&[]).1.ends_with("nothing to do\n"));

    let (code, err) = with_certificate(key, chain).apply(&[]);
    assert_eq!(code, 64);
    let expected = "trigger \"CRM\": /auth/chain: no certificate is in it: write the PEM text";
    assert!(err.contains(expected), "{err}");
    let root = include_str!("../../../../deliver/src/client/tests/tls/client-ca.pem");
    let (code, err) = with_certificate(root, key).apply(&[]);
    assert_eq!(code, 64);
    assert!(err.contains("/auth/key: the key is not of the first certificate of the chain"), "{err}");
}

#[test]
fn a_certificate_that_has_ended_is_applied_with_a_warning() {
    let key = include_str!("../../../../deliver/src/client/tests/tls/client.key");
    let company = with_certificate(include_str!("../../../../deliver/src/client/tests/tls/ended.pem"), key);
    let (files, data) = (company.path("files"), company.path("data"));
    let (code, _, err) = ringpost(&["apply", "-f", &files, "--data", &data], "");
    assert_eq!(code, 0);
    let expected =
        "warning: trigger \"CRM\": our certificate ended on 2025-01-01 00:00 UTC: most receivers refuse it\n";
    assert_eq!(err, expected);
}
