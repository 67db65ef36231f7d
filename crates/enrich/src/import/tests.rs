//! Files as people have them, and as nobody meant them.

use proptest::prelude::*;

use super::*;
use ringpost_numbers::Region;

/// A line for each contact or mistake, then what was noticed.
fn contacts(bytes: &[u8]) -> String {
    let (text, encoding) = decoded(bytes);
    let format = FileFormat::guess(&text);
    let mut out = format!("{format} {encoding:?}\n");
    let mut reader = match ContactReader::new(&text, format, Region::new("GB").ok()) {
        Ok(reader) => reader,
        Err(Mistake { line, column, wrong }) => return format!("{out}{line} {column}: {wrong}"),
    };
    for row in reader.by_ref() {
        match row {
            Ok(contact) => {
                let fields = contact.fields.iter().map(|(field, text)| format!("{field}={text}"));
                let fields = fields.collect::<Vec<_>>().join(" | ");
                let id: String = contact.id.chars().take(8).collect();
                out += &format!("{id} {fields}\n");
            }
            Err(Mistake { line, column, wrong }) => out += &format!("! {line} {column}: {wrong}\n"),
        }
    }
    let notes = reader.notes();
    out += &format!("{} numbers, {} as typed", notes.numbers, notes.as_typed);
    out += &format!(
        ", {} without, {} repeated, ignored {:?}",
        notes.without_number,
        notes.repeated,
        reader.ignored()
    );
    out
}

#[test]
fn a_spreadsheet_of_europe_is_read_whatever_its_order_and_letters() {
    let text = "\"E-Mail\";Company Name;Phone 1;full_name;Shoe size\r\n\
        z@example.com;\"Söhne; & Co\";0161 496 0000;\"Zoë \"\"Z\"\" O'Neil\";44\r\n\
        ;;;;\r\n\
        ;Bäcker;201;Bob;\r\n";
    insta::assert_snapshot!(contacts(text.as_bytes()), @r#"
    CSV Utf8
    6acad9a6 fullName=Zoë "Z" O'Neil | companyName=Söhne; & Co | phone1=+441614960000 | email=z@example.com
    dc34617d fullName=Bob | companyName=Bäcker | phone1=201
    1 numbers, 1 as typed, 0 without, 0 repeated, ignored ["Shoe size"]
    "#);
    let old: Vec<u8> = text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect();
    assert_eq!(
        contacts(&old).replace("Windows1252", "Utf8"),
        contacts(text.as_bytes()),
        "what Windows wrote is the same"
    );
    let marked = [&b"\xef\xbb\xbf"[..], text.as_bytes()].concat();
    assert_eq!(contacts(&marked), contacts(text.as_bytes()));
    let wide: Vec<u8> =
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_eq!(contacts(&wide).replace("Utf16", "Utf8"), contacts(text.as_bytes()));
}

#[test]
fn what_a_crm_or_a_phone_exports_finds_its_fields() {
    insta::assert_snapshot!(contacts(
        b"First Name,Last Name,Mobile Phone,Business Phone,Home Phone,Account Name,Job Title,Record ID\n\
        Ann,Archer,+44 7911 123456,0161 496 0000,+44 7911 123456,Archer Ltd,Boss,R-1\n\
        ,Bell,,,,,,R-2\n"
    ), @r#"
    CSV Utf8
    5c61e335 fullName=Ann Archer | companyName=Archer Ltd | jobTitle=Boss | phone1=+447911123456 | phone2=+441614960000 | crmId=R-1
    38c524ba fullName=Bell | crmId=R-2
    3 numbers, 0 as typed, 1 without, 0 repeated, ignored []
    "#);
}

#[test]
fn a_row_that_cannot_be_used_says_where_and_why() {
    let long = "x".repeat(1_001);
    let text = format!(
        "id,fullName,phone1\n1,Ann,0161 496 0000\n2,\"O'Neil, Bob\",1,Too,Much\n1,Cyd,2\n3,{long},3\n,Dan,4\n"
    );
    insta::assert_snapshot!(contacts(text.as_bytes()), @r#"
    CSV Utf8
    1 fullName=Ann | phone1=+441614960000
    ! 3 : 5 cells under 3 headers, "Too" has none; is a text with a separator not in quotes?
    ! 4 id: "1" is the id on line 2 too
    ! 5 fullname: 1001 bytes long; at most 1000 are kept
    a68d7392 fullName=Dan | phone1=4
    1 numbers, 2 as typed, 0 without, 0 repeated, ignored []
    "#);
    insta::assert_snapshot!(contacts(b"a,b,c\n1,2,3\n"), @r#"
    CSV Utf8
    1 : no column is known: the first line must name them, such as fullName,phone1,email
    "#);
    insta::assert_snapshot!(contacts(b""), @r#"
    CSV Utf8
    1 : the file is empty: its first line must name the columns
    "#);
}

#[test]
fn a_contact_keeps_its_id_when_the_file_is_imported_again() {
    let first = "fullName,phone1,crmId\nAnn,0161 496 0000,C1\nBob,0161 496 0001,\nBob,0161 496 0001,\n";
    let again = "crmId,phone1,fullName\n,0161 496 0001,Bob\nC1,0161 496 9999,Ann moved\n";
    insta::assert_snapshot!(contacts(first.as_bytes()), @r#"
    CSV Utf8
    cf28f89b fullName=Ann | phone1=+441614960000 | crmId=C1
    339f8487 fullName=Bob | phone1=+441614960001
    3 numbers, 0 as typed, 0 without, 1 repeated, ignored []
    "#);
    insta::assert_snapshot!(contacts(again.as_bytes()), @r#"
    CSV Utf8
    339f8487 fullName=Bob | phone1=+441614960001
    cf28f89b fullName=Ann moved | phone1=+441614969999 | crmId=C1
    2 numbers, 0 as typed, 0 without, 0 repeated, ignored []
    "#);
    let shared = "fullName,crmId\nAnn,C1\nBob,C1\nAnn,C1\n";
    insta::assert_snapshot!(contacts(shared.as_bytes()), @r#"
    CSV Utf8
    cf28f89b fullName=Ann | crmId=C1
    2aa7d731 fullName=Bob | crmId=C1
    0 numbers, 0 as typed, 2 without, 1 repeated, ignored []
    "#);
}

#[test]
fn cards_of_every_version_are_contacts() {
    insta::assert_snapshot!(contacts(
        "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Archer;Ann;;Dr.;\r\nFN:Ann Archer\r\nORG:Archer\\, Sons & Co;Sales\r\nTITLE:Boss\r\n\
        TEL;TYPE=CELL:07911 123456\r\nTEL;TYPE=WORK:+44 161 496 0000\r\nEMAIL:ann@example.com\r\n\
        UID:urn:uuid:018f2b6e-1111-7111-8111-000000000001\r\nEND:VCARD\r\n\
        BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Bob\r\nTEL;VALUE=uri:tel:+441614960001\r\nEND:VCARD\r\n\
        BEGIN:VCARD\r\nVERSION:2.1\r\nN;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:M=C3=BCller;Zo=C3=AB\r\nTEL;HOME:201\r\nEND:VCARD\r\n\
        BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Cut"
            .as_bytes()
    ), @r#"
    vCard Utf8
    018f2b6e title=Dr. | fullName=Ann Archer | companyName=Archer, Sons & Co | jobTitle=Boss | phone1=+447911123456 | phone2=+441614960000 | email=ann@example.com
    339f8487 fullName=Bob | phone1=+441614960001
    b7e1e38a fullName=Zoë Müller | phone1=201
    ! 4 : the card has no END:VCARD; is the file cut off?
    3 numbers, 1 as typed, 0 without, 0 repeated, ignored []
    "#);
}

#[test]
fn json_is_a_list_or_lines() {
    insta::assert_snapshot!(contacts(
        br#"[{"fullName": "Ann", "phone1": "0161 496 0000", "field1": 7}, {"id": "x", "fields": {"fullName": "Bob"}}, 5, {"phone1": true}]"#
    ), @r#"
    JSON Utf8
    683345c0 fullName=Ann | phone1=+441614960000 | field1=7
    x fullName=Bob
    ! 3 : not an object: write {"phone1": …}
    ! 4 phone1: neither a text nor a number: write the value in quotes
    1 numbers, 0 as typed, 1 without, 0 repeated, ignored []
    "#);
    insta::assert_snapshot!(contacts(b"{\"fullName\": \"Ann\"}\n\n{\"fullName\": \n{\"name\": \"Bob\", \"nickname\": null}\n"), @r#"
    JSON Utf8
    6522d3bd fullName=Ann
    ! 3 : EOF while parsing a value at line 1 column 13
    357e414c fullName=Bob
    0 numbers, 0 as typed, 2 without, 0 repeated, ignored []
    "#);
}

fn lists(text: &str) -> String {
    let format = FileFormat::guess(text);
    let told = |mistakes: Vec<Mistake>| {
        let told = |it: &Mistake| format!("{} {}: {}", it.line, it.column, it.wrong);
        mistakes.iter().map(told).collect::<Vec<_>>().join("\n")
    };
    match text.contains("user") {
        true => devices(text, format).map_or_else(told, |all| serde_json::to_string(&all).unwrap()),
        false => numbers(text, format, Region::new("GB").ok()).map_or_else(told, |all| {
            all.iter().map(|one| format!("{} {}", one.number, one.name)).collect::<Vec<_>>().join("\n")
        }),
    }
}

#[test]
fn numbers_and_devices_are_whole_or_not_at_all() {
    insta::assert_snapshot!(lists("Name,Number\nSales,0161 496 0000\nLobby,201\n"), @r#"
    +441614960000 Sales
    201 Lobby
    "#);
    insta::assert_snapshot!(lists("name,number,color\nSales,0161 496 0000,red\n"), @r#"1 color: unknown; known are number, name"#);
    insta::assert_snapshot!(lists("number\n0161 496 0000\n\n+441614960000\n"), @r#"3 number: "+441614960000" is on line 2 too"#);
    insta::assert_snapshot!(lists("number,name,user number,userName,groups\n201,Desk 1,11,Yan,Hall; Yard\n"), @r#"[{"number":"201","name":"Desk 1","user":{"number":"11","name":"Yan"},"groups":["Hall","Yard"]}]"#);
    insta::assert_snapshot!(
        lists(r#"[{"number": 201, "user": {"number": "11", "name": "Yan"}, "groups": ["Hall", "Yard"]}]"#), @r#"[{"number":"201","user":{"number":"11","name":"Yan"},"groups":["Hall","Yard"]}]"#);
    insta::assert_snapshot!(lists("user number\n11\n"), @r#"1 number: the column is missing"#);
}

proptest! {
    /// A file that nobody meant to be one is a list of mistakes at worst.
    #[test]
    fn any_bytes_are_contacts_or_mistakes(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0..4) {
        let begin: &[u8] = match kind {
            0 => b"fullName,phone1\n",
            1 => b"BEGIN:VCARD\nVERSION:3.0\n",
            2 => b"[{",
            _ => b"",
        };
        contacts(&[begin, &bytes].concat());
    }

    /// Whatever a cell holds, what is written as CSV is read as it was.
    #[test]
    fn a_cell_comes_back_as_it_was(name in "[ -~äé💡\n\"]{1,30}", company in "[ -~;,\"\n]{0,30}") {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["fullName", "companyName", "phone1"]).unwrap();
        writer.write_record([&*name, &*company, "+441614960000"]).unwrap();
        let bytes = writer.into_inner().unwrap();
        let (text, _) = decoded(&bytes);
        let mut reader = ContactReader::new(&text, FileFormat::Csv, None).unwrap();
        let contact = reader.next().unwrap().unwrap();
        use ringpost_model::ContactField::{CompanyName, FullName};
        for (field, cell) in [(FullName, name), (CompanyName, company)] {
            let found = contact.fields.get(&field).map_or("", |text| &**text);
            prop_assert_eq!(found, cell.trim());
        }
    }
}
