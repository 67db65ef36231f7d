//! Files into the store, as a person does it.

use std::fs;
use std::path::Path;

use crate::cli::testing::ringpost;

/// A data folder with a tenant in it, and a folder of files.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        let tenant = "[[tenant]]\nkey = \"acme\"\nzone = \"Europe/London\"\nregion = \"GB\"\n";
        let resources = bench.path("resources");
        fs::create_dir(&resources).unwrap();
        fs::write(Path::new(&resources).join("acme.toml"), tenant).unwrap();
        let (code, _, err) = bench.run(&["apply", "-f", &resources], "");
        assert_eq!(code, 0, "{err}");
        bench
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Exit code, standard output, standard error; without the folder's name in them.
    fn run(&self, arguments: &[&str], stdin: &str) -> (u8, String, String) {
        let data = self.path("data");
        let all = [arguments, &["--data", &data]].concat();
        let (code, out, err) = ringpost(&all, stdin);
        let clean = |text: String| text.replace(self.folder.path().to_str().unwrap(), "");
        (code, clean(out), clean(err))
    }

    fn import(&self, what: &str, more: &[&str], stdin: &str) -> String {
        let all = [&["import", what, "-", "--tenant", "acme"], more].concat();
        let (code, out, err) = self.run(&all, stdin);
        format!("{out}{err}exit {code}")
    }

    fn tables(&self) -> String {
        let (code, out, err) = self.run(&["tables", "list"], "");
        assert_eq!((code, &*err), (0, ""));
        // Without the time of change.
        out.lines().map(|line| line.split('\t').take(4).collect::<Vec<_>>().join(" ") + "\n").collect()
    }
}

const CRM: &str = "fullName,phone1,shoe size\nAnn,0161 496 0000,37\nBob,201,44\n";

#[test]
fn contacts_are_previewed_then_imported_then_listed() {
    let bench = Bench::new();
    insta::assert_snapshot!(bench.import("contacts", &["--directory", "CRM", "--preview"], CRM), @r#"
    0a3828bd-bba8-50c2-a90c-b0240aa93c59
      fullName     Ann
      phone1       +441614960000
    230039c0-054f-5190-bf89-524e60a110e6
      fullName     Bob
      phone1       201
    2 contacts in the file (CSV)
      1 numbers
      1 that are no valid number: kept as typed, they match only themselves
      columns that are no field of a contact: shoe size
    CRM would be made
    nothing was imported: this was a preview
    exit 0
    "#);
    assert_eq!(bench.tables(), "");
    insta::assert_snapshot!(bench.import("contacts", &["--directory", "CRM"], CRM), @r#"
    CRM: 2 contacts
      1 numbers
      1 that are no valid number: kept as typed, they match only themselves
      columns that are no field of a contact: shoe size
    exit 0
    "#);
    assert_eq!(bench.tables(), "acme directory CRM 2 contacts\n");
    let smaller = "fullName,phone1\nCyd,0161 496 0001\n";
    bench.import("contacts", &["--directory", "CRM"], smaller);
    assert_eq!(bench.tables(), "acme directory CRM 1 contacts\n");
    insta::assert_snapshot!(bench.import("contacts", &["--directory", "CRM", "--merge"], CRM), @r#"
    CRM: 2 new contacts, 0 changed, 0 as before
      1 numbers
      1 that are no valid number: kept as typed, they match only themselves
      columns that are no field of a contact: shoe size
    exit 0
    "#);
    assert_eq!(bench.tables(), "acme directory CRM 3 contacts\n");
    let removed = bench.run(&["tables", "remove", "directory", "CRM", "--tenant", "acme"], "");
    assert_eq!(removed, (0, "directory CRM of acme removed\n".into(), String::new()));
    assert_eq!(bench.tables(), "");
}

#[test]
fn a_bad_row_imports_nothing_unless_that_is_wanted() {
    let bench = Bench::new();
    let rows = "fullName,phone1\nAnn,1\nO'Neil,Bob,2\n";
    let rejects = bench.path("rejects.json");
    insta::assert_snapshot!(bench.import("contacts", &["--directory", "CRM", "--rejects", &rejects], rows), @r#"
    -:3: 3 cells under 2 headers, "2" has none; is a text with a separator not in quotes?
    error: nothing was imported: 1 bad rows; correct them, or say --skip-bad
    exit 1
    "#);
    insta::assert_snapshot!(fs::read_to_string(&rejects).unwrap(), @r#"{"column":"","line":3,"wrong":"3 cells under 2 headers, \"2\" has none; is a text with a separator not in quotes?"}"#);
    assert_eq!(bench.tables(), "");
    bench.import("contacts", &["--directory", "CRM"], CRM);
    bench.import("contacts", &["--directory", "CRM"], rows);
    bench.import("contacts", &["--directory", "CRM", "--merge"], rows);
    assert_eq!(bench.tables(), "acme directory CRM 2 contacts\n", "the former contacts stay");
    let skipped = bench.import("contacts", &["--directory", "CRM", "--skip-bad"], rows);
    assert!(skipped.contains("CRM: 1 contacts") && skipped.ends_with("exit 1"), "{skipped}");
    assert_eq!(bench.tables(), "acme directory CRM 1 contacts\n");
}

#[test]
fn numbers_and_devices_replace_those_there_are() {
    let bench = Bench::new();
    insta::assert_snapshot!(bench.import("numbers", &["--preview"], "number,name\n0161 496 0000,Sales\n"), @r#"
    +441614960000 Sales
    1 numbers in the file; they would take the place of those there are
    nothing was imported: this was a preview
    exit 0
    "#);
    insta::assert_snapshot!(bench.import("numbers", &[], "number,name\n0161 496 0000,Sales\n"), @r#"
    1 numbers
    exit 0
    "#);
    insta::assert_snapshot!(bench.import("numbers", &[], "number,nome\n0161 496 0000,Sales\n"), @r#"
    -:1: nome: unknown; known are number, name
    error: nothing was imported: 1 mistakes; correct them
    exit 1
    "#);
    insta::assert_snapshot!(bench.import("devices", &["--preview"], "number,userName\n201,Yan\n"), @r#"
    201, Yan
    1 devices in the file; they would take the place of those there are
    nothing was imported: this was a preview
    exit 0
    "#);
    insta::assert_snapshot!(bench.import("devices", &[], "number,userName\n201,Yan\n202,Zoe\n"), @r#"
    2 devices
    exit 0
    "#);
    assert_eq!(bench.tables(), "acme numbers  1 numbers\nacme devices  2 devices\n");
}

#[test]
fn a_tariff_is_tried_before_it_counts_and_explained_afterwards() {
    let bench = Bench::new();
    let rows = "prefix,name,rate_per_minute,first_increment\n44,UK,0.60,60\n";
    let tariff = ["--name", "Retail", "--currency", "GBP"];
    let preview = [&tariff[..], &["--preview", "--number", "0161 496 0000", "--duration", "61"]].concat();
    let shown = bench.import("tariff", &preview, rows);
    assert!(shown.contains("+441614960000, answered") && shown.contains("cost 0.61 GBP"), "{shown}");
    assert_eq!(bench.tables(), "");
    insta::assert_snapshot!(bench.import("tariff", &tariff, rows), @r#"
    Retail: 1 rows, made
    exit 0
    "#);
    assert_eq!(bench.tables(), "acme tariff Retail 1 rows\n");
    let call = ["--number", "0161 496 0000", "--start", "2026-03-10T09:00:00Z", "--duration", "61"];
    let rate = |tariff: &str| {
        let (code, out, err) =
            bench.run(&[&["rate", "--tariff", tariff, "--tenant", "acme"], &call[..]].concat(), "");
        format!("{out}{err}exit {code}")
    };
    insta::assert_snapshot!(rate("Retail"), @r#"
    +441614960000, answered 2026-03-10T09:00:00+00:00, 61 s
    prefix 44: UK
    charged 61 s: at least 0 s, first 60 s, then by 1 s
          0-61     61 s at 0.60 a minute, UK: 0.61
    cost 0.61 GBP
    exit 0
    "#);
    insta::assert_snapshot!(rate("Other"), @r#"
    error: acme has no tariff Other; there are: Retail
    exit 1
    "#);
    insta::assert_snapshot!(bench.import("tariff", &tariff, "prefix,rate_per_minute\n4x,1\n"), @r#"
    -:2: prefix: "4x" is no prefix: write digits, such as 4420
    error: nothing was imported: 1 mistakes; correct them
    exit 1
    "#);
}

#[test]
fn what_cannot_be_done_is_told_before_anything_is() {
    let bench = Bench::new();
    let (code, _, err) = bench.run(&["import", "numbers", "-", "--tenant", "nobody"], "number\n1\n");
    assert_eq!(
        (code, &*err),
        (1, "error: there is no tenant nobody: declare it with `ringpost apply` first\n")
    );
    let (code, _, err) = bench.run(&["import", "numbers", &bench.path("none.csv"), "--tenant", "acme"], "");
    assert!(code == 1 && err.starts_with("error: open /none.csv: No such file"), "{err}");
    insta::assert_snapshot!(bench.import("contacts", &["--directory", " "], CRM), @r#"
    error: --directory: a name of 1 to 200 bytes
    exit 2
    "#);
    insta::assert_snapshot!(bench.import("contacts", &["--directory", "CRM"], "a,b\n1,2\n"), @r#"
    error: -:1: no column is known: the first line must name them, such as fullName,phone1,email
    exit 1
    "#);
}
