//! Where in a file it stood, what came of it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use ringpost_ingest::Resume;
use ringpost_model::{PbxKey, TenantKey};

use super::super::cut::cut;
use super::super::mark::{Id, Mark};
use super::*;

fn new(path: &Path, from: Resume) -> NewPiece {
    of(path, from, Dialect::Native)
}

fn of(path: &Path, from: Resume, dialect: Dialect) -> NewPiece {
    let file = fs::File::open(path).unwrap();
    let piece = cut(&file, from, file.metadata().unwrap().len(), dialect, false).unwrap();
    let (key, mark) = (String::new(), Mark::new(path, Id { device: 0, inode: 0 }));
    let (path, begin) = ("/srv/legs.log".into(), from.position.offset);
    NewPiece { key, path, piece, begin, first_line: Vec::new(), mark }
}

fn access() -> (Access, Grant) {
    let key = |key: &str| TenantKey::new(key).unwrap();
    let tenants = HashMap::from([(key("acme"), None), (key("rival"), None)]);
    let access = Access { tenants, ..Access::default() };
    let grant = access.grant_input(&PbxKey::new("k1").unwrap(), Some(&key("acme")), None);
    (access, grant)
}

fn leg(tenant: &str, pbx: &str, leg: &str) -> String {
    format!(
        r#"{{"v":1,"kind":"leg","tenant":"{tenant}","pbx":"{pbx}","leg":"{leg}","created":1773133200000000}}"#
    )
}

fn told(delivered: &Delivered) -> String {
    let letters = delivered.dead_letters.iter();
    let letters = letters.map(|letter| format!("{} {}: {}", letter.input, letter.position, letter.refusal));
    let legs: Vec<_> = delivered.records.iter().map(|record| record.leg.to_string()).collect();
    format!("legs {}\n{}", legs.join(" "), letters.collect::<Vec<_>>().join("\n"))
}

/// Lines before the piece count too.
#[test]
fn what_is_bad_or_forbidden_is_told_with_file_line_and_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let first = leg("acme", "k1", "a");
    fs::write(&path, format!("{first}\n")).unwrap();
    let (access, grant) = access();
    let begin = new(&path, Resume::BEGIN);
    assert_eq!(told(&judge(&access, &grant, &begin)), "legs a\n");
    let rest =
        [leg("rival", "k1", "b"), "nonsense".to_owned(), leg("acme", "k2", "c"), leg("acme", "k1", "d")];
    fs::write(&path, format!("{first}\n{}\n", rest.join("\n"))).unwrap();
    let piece = new(&path, begin.piece.next);
    insta::assert_snapshot!(told(&judge(&access, &grant, &piece)), @"
    legs d
    file /srv/legs.log line 2, byte 85, leg b: the leg is of tenant rival, pbx k1 may not speak for it
    file /srv/legs.log line 3, byte 171: not JSON: expected ident at line 1 column 2
    file /srv/legs.log line 4, byte 180, leg c: the leg is of pbx k2, what it came by is of k1
    ");
}

/// Dialects whose rows belong together get them in one body; what they refuse stands where it stands.
#[test]
fn elements_that_are_looked_at_together_have_the_same_places() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    fs::write(&path, format!("\n{}\nnonsense\n{}\n", leg("acme", "k1", "a"), leg("acme", "k1", "b")))
        .unwrap();
    let (access, grant) = access();
    let piece = new(&path, Resume::BEGIN);
    let judge_all = Judge { access: &access, grant: &grant, input: "file /srv/legs.log" };
    let (begin, body) = piece.piece.whole().unwrap();
    let together = together(&judge_all, &Source::default(), begin, body);
    assert_eq!(told(&together), told(&judge(&access, &grant, &piece)));
}

/// What is appended to a table does not say again which column is which.
#[test]
fn rows_that_are_read_later_have_the_columns_that_the_file_begins_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cel.csv");
    let row = |time: &str, id: &str| format!("{time},CHAN_START,{id},{id},PJSIP/1001-1,100,default\n");
    let head = "eventtime,eventtype,uniqueid,linkedid,channame,exten,context";
    let dialect = Dialect::AsteriskCel;
    fs::write(&path, format!("{head}\n{}", row("2026-07-01 09:00:00", "1.1"))).unwrap();
    let (access, _) = access();
    let key = TenantKey::new("acme").unwrap();
    let grant = access.grant_input(&PbxKey::new("k1").unwrap(), Some(&key), Some(dialect));
    let begin = of(&path, Resume::BEGIN, dialect);
    assert_eq!(told(&judge(&access, &grant, &begin)), "legs 1.1\n");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}{}rubbish\n", row("2026-07-01 09:00:01", "2.1"))).unwrap();
    let mut later = of(&path, begin.piece.next, dialect);
    later.first_line = head.as_bytes().to_vec();
    let told = told(&judge(&access, &grant, &later));
    assert!(told.starts_with("legs 2.1\nfile /srv/legs.log line 4, byte "), "{told}");
}
