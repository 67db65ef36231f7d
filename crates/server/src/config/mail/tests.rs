//! What an operator is told who sets mail up.

use super::*;
use crate::config::{LoadError, Loaded, Source, parse};

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Loaded, LoadError> {
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    parse(Source { file: Some(("ringpost.toml", text)), variables: &environment, ..Source::default() })
}

fn mistakes(text: &str, environment: &[(&str, &str)]) -> String {
    load(text, environment).expect_err("it has mistakes").to_string()
}

fn mail(text: &str, environment: &[(&str, &str)]) -> Mail {
    load(text, environment).unwrap_or_else(|error| panic!("{error}")).config.mail
}

const MINIMUM: &str = "[mail]\nsmtp = \"smtp://mail.example.com\"\nfrom = \"ringpost@example.com\"\nto = [\"ops@example.com\"]\n";

#[test]
fn server_sender_and_reader_are_enough() {
    let mail = mail(MINIMUM, &[]);
    assert_eq!(mail.smtp.unwrap().to_string(), "smtp://mail.example.com:587");
    assert_eq!((mail.starttls, mail.events.len()), (Starttls::Required, 4));
}

#[test]
fn the_port_follows_the_scheme_unless_it_is_written() {
    for (written, expected) in [
        ("smtps://mail.example.com", "smtps://mail.example.com:465"),
        ("smtp://Mail.Example.com:25/", "smtp://mail.example.com:25"),
        ("smtp://[::1]:2525", "smtp://[::1]:2525"),
        ("smtp://10.0.0.1", "smtp://10.0.0.1:587"),
    ] {
        let read = SmtpServer::read(&Given::Text(written.to_owned())).unwrap();
        assert_eq!(read.to_string(), expected);
        assert_eq!(SmtpServer::read(&Given::Text(read.to_string())).unwrap(), read);
    }
}

#[test]
fn what_is_missing_is_told_at_once_with_the_other_mistakes() {
    let text = "[mail]\nsmtp = \"smtp://mail.example.com\"\nuser = \"ringpost\"\n[http]\nlisten = \"x\"\n";
    insta::assert_snapshot!(mistakes(text, &[]), @r#"
    ringpost.toml:2:8: mail.smtp: mail.from is missing; write who the mails are from: mail.from = "ringpost@example.com"
    ringpost.toml:2:8: mail.smtp: mail.to is missing; write who is told: mail.to = ["ops@example.com"]
    ringpost.toml:3:8: mail.user: the user has no password; name a file by mail.password_file, or set RINGPOST_MAIL__PASSWORD
    ringpost.toml:5:10: http.listen: "x" is no address; write IP:port, such as "0.0.0.0:8080" or "[::]:8080"
    "#);
    insta::assert_snapshot!(mistakes("[mail]\nto = [\"ops@example.com\"]\n", &[]), @r#"
    ringpost.toml:2:6: mail.to: mail.smtp is missing, so no mail is sent; write mail.smtp, such as "smtp://mail.example.com"
    "#);
}

#[test]
fn each_bad_value_is_told_once() {
    let text = "[mail]
smtp = \"mail.example.com:587\"
starttls = \"maybe\"
from = \"ringpost\"
to = [\"ops@example.com\", \"a@b@c\"]
events = [\"trigger.failing\", \"call.completed\"]
at_most_every = \"30days\"
";
    insta::assert_snapshot!(mistakes(text, &[]), @r#"
    ringpost.toml:2:8: mail.smtp: "mail.example.com" is not smtp; write "smtp://mail.example.com" (port 587) or "smtps://mail.example.com" (port 465)
    ringpost.toml:3:12: mail.starttls: "maybe" is neither; write "required", or "off" for a server on this machine
    ringpost.toml:4:8: mail.from: "ringpost" is no mail address; write "ops@example.com", or "Ringpost <ringpost@example.com>"
    ringpost.toml:5:26: mail.to[1]: "a@b@c" is no mail address; write "ops@example.com", or "Ringpost <ringpost@example.com>"
    ringpost.toml:6:30: mail.events[1]: "call.completed" is nothing that mail tells; write delivery.exhausted, trigger.failing, trigger.recovered, trigger.disabled
    ringpost.toml:7:17: mail.at_most_every: "30days" is out of range; write something from "0s" to "7days"
    "#);
}

#[test]
fn a_password_is_in_no_file_and_on_no_page() {
    let text = format!("{MINIMUM}user = \"ringpost\"\npassword = \"s3cret\"\n");
    let told = mistakes(&text, &[]);
    insta::assert_snapshot!(told, @r"
    ringpost.toml:6:12: mail.password: a secret does not belong in this file; put it into a file named by mail.password_file, or into RINGPOST_MAIL__PASSWORD
    ");
    let in_url = MINIMUM.replace("//mail", "//ringpost:s3cret@mail");
    insta::assert_snapshot!(mistakes(&in_url, &[]), @r"
    ringpost.toml:2:8: mail.smtp: a user or password does not belong here; write the user as mail.user; see mail.password_file for the password
    ");
    let user = format!("{MINIMUM}user = \"ringpost\"\n");
    let loaded = load(&user, &[("RINGPOST_MAIL__PASSWORD", "s3cret")]).unwrap();
    assert_eq!(loaded.config.mail.password.as_ref().unwrap().0.0, "s3cret");
    assert!(!format!("{loaded:?}").contains("s3cret"));
    assert!(loaded.settled.iter().any(|it| it.key == "mail.password" && it.value == "\"…\""));
}

#[test]
fn a_password_does_not_travel_readable_but_on_this_machine() {
    let text = format!("{MINIMUM}user = \"ringpost\"\nstarttls = \"off\"\n");
    let password = [("RINGPOST_MAIL__PASSWORD", "s3cret")];
    insta::assert_snapshot!(mistakes(&text, &password), @r"
    ringpost.toml:6:12: mail.starttls: the password would be readable on the way; leave mail.starttls out, or write smtps:// where the server wants TLS at once
    ");
    for host in ["localhost", "127.0.0.1:2525", "[::1]"] {
        let local = text.replace("mail.example.com", host);
        assert_eq!(mail(&local, &password).starttls, Starttls::Off);
    }
    let in_tls = text.replace("smtp://", "smtps://");
    assert!(mail(&in_tls, &password).smtp.unwrap().in_tls);
}

#[test]
fn the_environment_sets_lists_too() {
    let environment = [
        ("RINGPOST_MAIL__SMTP", "smtps://mail.example.com"),
        ("RINGPOST_MAIL__FROM", "Ringpost <ringpost@example.com>"),
        ("RINGPOST_MAIL__TO", "a@example.com, b@example.com"),
        ("RINGPOST_MAIL__EVENTS", "trigger.failing, trigger.recovered"),
        ("RINGPOST_MAIL__AT_MOST_EVERY", "10m"),
    ];
    let mail = mail("", &environment);
    assert_eq!((mail.to.len(), mail.events.len(), mail.at_most_every.as_secs()), (2, 2, 600));
}
