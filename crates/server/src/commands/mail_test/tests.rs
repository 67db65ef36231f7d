//! What a person sees who tries mail out.

use std::collections::HashMap;
use std::fs;

use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::cli::testing::{ringpost, ringpost_with};
use crate::serve::mail::smtp_server::{Behaviour, Server};

/// A mail server on threads of its own, and a configuration that names it.
struct World {
    server: Server,
    config: String,
    _folder: TempDir,
    _runtime: Runtime,
}

impl World {
    fn new(behaviour: Behaviour) -> Self {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(Server::start(behaviour));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ringpost.toml");
        let port = server.address.port();
        let text = format!(
            "[mail]\nsmtp = \"smtp://localhost:{port}\"\nstarttls = \"off\"\nfrom = \"ringpost@example.com\"\n\
             to = [\"ops@example.com\", \"gone@example.com\", \"night@example.com\"]\n"
        );
        fs::write(&file, text).unwrap();
        Self { server, config: file.display().to_string(), _folder: folder, _runtime: runtime }
    }

    fn run(&self, more: &[&str], variables: &[(&str, &str)]) -> (u8, String, String) {
        let arguments = [&["mail-test", "--config", &self.config], more].concat();
        let (code, out, err) = ringpost_with(&arguments, "", variables);
        (code, out.replace(&self.server.address.port().to_string(), "PORT"), err)
    }
}

#[test]
fn everybody_gets_a_mail_and_one_that_is_refused_is_named() {
    let refusals = HashMap::from([("gone@example.com", "550 5.1.1 no such user")]);
    let world = World::new(Behaviour { refusals, ..Behaviour::default() });
    let (code, out, err) = world.run(&[], &[]);
    assert_eq!((code, err.as_str()), (1, ""));
    insta::assert_snapshot!(out, @r"
    ops@example.com: taken by smtp://localhost:PORT; look whether it arrives, in the folder for junk too
    gone@example.com: failed to hand a mail to smtp://localhost:PORT: permanent error (550): 5.1.1 no such user
    night@example.com: taken by smtp://localhost:PORT; look whether it arrives, in the folder for junk too
    ");
    let received = world.server.received();
    assert_eq!(received.len(), 2);
    assert!(received[1].text.contains("Subject: [ringpost] Test of mail"));
    assert!(received[1].text.contains("so mails about triggers will arrive too."));
}

#[test]
fn one_address_can_be_tried_alone() {
    let world = World::new(Behaviour::default());
    let (code, out, _) = world.run(&["--to", "Me <me@example.com>"], &[]);
    assert_eq!((code, out.lines().count()), (0, 1), "{out}");
    assert_eq!(world.server.received()[0].to, ["me@example.com"]);
}

#[test]
fn a_wrong_password_is_told_and_not_shown() {
    let world = World::new(Behaviour { login: Some(("ringpost", "right")), ..Behaviour::default() });
    let login = [("RINGPOST_MAIL__USER", "ringpost"), ("RINGPOST_MAIL__PASSWORD", "wr0ng-one")];
    let (code, out, err) = world.run(&["--to", "me@example.com"], &login);
    assert!(!out.contains("wr0ng") && !err.contains("wr0ng"));
    assert_eq!((code, err.as_str()), (1, ""));
    insta::assert_snapshot!(out, @r"
    me@example.com: failed to log in at the mail server smtp://localhost:PORT: permanent error (535): 5.7.8 not accepted: … ( ringpost …)
    ");
}

#[test]
fn without_mail_it_says_what_to_set() {
    let (code, out, err) = ringpost(&["mail-test"], "");
    assert_eq!((code, out.as_str()), (64, ""));
    insta::assert_snapshot!(err, @r"
    no mail is sent: mail.smtp is not set; `ringpost check-config --default` shows the section [mail]
    ");
    let (code, _, err) = ringpost(&["mail-test", "--to", "nobody"], "");
    assert_eq!(code, 2, "{err}");
}
