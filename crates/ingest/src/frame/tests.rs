//! Where frames begin and end, whole and in pieces.

use proptest::prelude::*;

use super::*;

/// Frames as text, by `frames` and by a splitter fed in pieces of every small size.
fn check(dialect: Dialect, input: &str, expected: &[&str]) {
    let whole: Vec<_> = frames(dialect, input.as_bytes()).collect();
    let texts: Vec<_> = whole.iter().map(|frame| std::str::from_utf8(frame.bytes).unwrap()).collect();
    assert_eq!(texts, expected, "{input:?}");
    for size in 1..8 {
        assert_eq!(pieces(dialect, input.as_bytes(), size), owned(&whole), "{input:?} in pieces of {size}");
    }
}

type Owned = (Position, Vec<u8>);

fn owned(frames: &[Frame<'_>]) -> Vec<Owned> {
    frames.iter().map(|frame| (frame.position, frame.bytes.to_vec())).collect()
}

fn pieces(dialect: Dialect, bytes: &[u8], size: usize) -> Vec<Owned> {
    let mut splitter = Splitter::new(dialect);
    let mut found = Vec::new();
    for piece in bytes.chunks(size) {
        splitter.feed(piece);
        while let Some(frame) = splitter.next() {
            found.extend(owned(&[frame]));
        }
    }
    splitter.finish();
    while let Some(frame) = splitter.next() {
        found.extend(owned(&[frame]));
    }
    found
}

/// As a reader that forgets everything but the place after every piece, and reads what was not taken once more.
fn resumed(dialect: Dialect, bytes: &[u8], size: usize) -> Vec<Owned> {
    let (mut found, mut at, mut end) = (Vec::new(), Resume::BEGIN, 0);
    loop {
        end = bytes.len().min(end + size);
        let mut splitter = Splitter::resume(dialect, at);
        splitter.feed(&bytes[at.position.offset as usize..end]);
        if end == bytes.len() {
            splitter.finish();
        }
        while let Some(frame) = splitter.next() {
            found.extend(owned(&[frame]));
        }
        at = splitter.resume_at().unwrap();
        if end == bytes.len() {
            assert_eq!(at.position.offset as usize, end);
            return found;
        }
    }
}

fn native(input: &str, expected: &[&str]) {
    check(Dialect::Native, input, expected);
}

fn documents(input: &str, expected: &[&str]) {
    check(Dialect::FreeswitchCdr, input, expected);
}

#[test]
fn a_line_is_a_record() {
    native("{\"a\":1}\n{\"b\":2}\r\n\n  {\"c\":3}", &[r#"{"a":1}"#, r#"{"b":2}"#, r#"{"c":3}"#]);
    native("\u{feff}{}\n{} x\n{}}\n", &["{}", "{} x", "{}}"]);
    native("", &[]);
    native(" \n\r\n\t\u{c}\n", &[]);
    native("nonsense\n\"text\"\n5\n", &["nonsense", "\"text\"", "5"]);
}

#[test]
fn a_record_may_go_on_over_lines() {
    native(
        "{\n  \"a\": {\n    \"b\": 1\n  }\n}\n{\"c\":2}\n",
        &["{\n  \"a\": {\n    \"b\": 1\n  }\n}", "{\"c\":2}"],
    );
    native("{\n\"a\":1\n}", &["{\n\"a\":1\n}"]);
}

#[test]
fn a_broken_line_ends_with_the_line() {
    native("{\"a\":\n{\"b\":2}\n", &["{\"a\":", "{\"b\":2}"]);
    native("{\"a\":\"x\n{\"b\":2}\n", &["{\"a\":\"x", "{\"b\":2}"]);
    native("{\"a\":[\nnonsense\n{\"b\":2}", &["{\"a\":[", "nonsense", "{\"b\":2}"]);
}

#[test]
fn an_array_is_its_elements() {
    native("[{\"a\":1},{\"b\":[2,3]} , 5, \"x,y\" ]\n", &["{\"a\":1}", "{\"b\":[2,3]}", "5", "\"x,y\""]);
    native("[]", &[]);
    native("[{\"a\":1}]\n{\"b\":2}\n[{\"c\":3}]", &["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]);
    native("[\n  {\n    \"a\": 1\n  },\n  {}\n]\n", &["{\n    \"a\": 1\n  }", "{}"]);
    native("[{\"a\":[1},{\"b\":2}]", &["{\"a\":[1}", "{\"b\":2}"]);
    native("[{\"a\":1]},{\"b\":2}]", &["{\"a\":1]}", "{\"b\":2}"]);
    native("[{\"a\":1},{\"b\"", &["{\"a\":1}", "{\"b\""]);
    native("[[1,2],{}]", &["[1,2]", "{}"]);
}

#[test]
fn documents_stand_in_any_layout() {
    documents("{\"a\":1}{\"b\":2}\n{\"c\":3}", &["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]);
    documents("{\n\t\"a\":\t{\n\t}\n}\n{\n}\n", &["{\n\t\"a\":\t{\n\t}\n}", "{\n}"]);
    documents("[{\"a\":1},\n{\"b\":2}]", &["{\"a\":1}", "{\"b\":2}"]);
    documents("{\"a\":\"}{\\\"\"},{}", &["{\"a\":\"}{\\\"\"}", "{}"]);
    documents("\u{1e}{\"a\":1}\n\u{1e}{}\n", &["{\"a\":1}", "{}"]);
}

#[test]
fn form_bodies_are_lines() {
    documents("cdr=%7B%7D\nuuid=1&cdr=%7B%7D\n%7B%7D", &["cdr=%7B%7D", "uuid=1&cdr=%7B%7D", "%7B%7D"]);
}

#[test]
fn a_broken_document_ends_where_another_begins() {
    documents("{\"a\":{\n{\"b\":2}\n", &["{\"a\":{", "{\"b\":2}"]);
    documents("{\"a\":\"x\n{\"b\":2}\n", &["{\"a\":\"x", "{\"b\":2}"]);
    documents("{\n \"a\": [\n", &["{\n \"a\": ["]);
    documents("}\n{}", &["}", "{}"]);
}

#[test]
fn an_endless_frame_is_held_in_part_and_its_neighbours_whole() {
    for dialect in Dialect::ALL {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(3_000_000));
        let input = format!("{{}}\n{long}\n{{\"b\":2}}\n");
        let mut splitter = Splitter::new(dialect);
        let (mut found, mut most) = (Vec::new(), 0);
        for piece in input.as_bytes().chunks(10_000) {
            splitter.feed(piece);
            while let Some(frame) = splitter.next() {
                found.push((frame.position.element, frame.bytes.len(), frame.length));
                most = most.max(frame.bytes.len());
            }
        }
        splitter.finish();
        assert_eq!(splitter.next(), None);
        assert_eq!(found, [(1, 2, 2), (2, 64 * 1024, long.len() as u64), (3, 7, 7)], "{dialect}");
        assert_eq!(most, 64 * 1024);
    }
}

#[test]
fn a_hostile_body_takes_no_long_time_to_cut() {
    for input in ["\n{".repeat(60_000), "{\"a\":[\n{},".repeat(20_000), "[\n{".repeat(40_000)] {
        for dialect in Dialect::ALL {
            assert!(frames(dialect, input.as_bytes()).count() > 0);
        }
    }
}

#[test]
fn a_position_is_where_the_frame_begins() {
    let positions: Vec<_> = frames(Dialect::Native, b"\n{}\n  {}").map(|frame| frame.position).collect();
    let expected = [Position { element: 1, line: 2, offset: 1 }, Position { element: 2, line: 3, offset: 6 }];
    assert_eq!(positions, expected);
}

proptest! {
    #[test]
    fn pieces_give_the_same_frames_as_the_whole(input in r#"([{}\[\],"\\ \n]|\n\{|a|:){0,60}"#, size in 1_usize..9) {
        for dialect in Dialect::ALL {
            let whole: Vec<_> = frames(dialect, input.as_bytes()).collect();
            prop_assert_eq!(pieces(dialect, input.as_bytes(), size), owned(&whole), "{:?}", dialect);
            prop_assert_eq!(resumed(dialect, input.as_bytes(), size), owned(&whole), "{:?}", dialect);
        }
    }

    #[test]
    fn no_byte_of_the_input_is_lost(input in r#"([{}\[\],"\\ \n]|\n\{|a|:){0,60}"#) {
        for dialect in Dialect::ALL {
            let kept: usize = frames(dialect, input.as_bytes())
                .flat_map(|frame| frame.bytes)
                .filter(|byte| !b" \n,[]".contains(byte))
                .count();
            let sent = input.bytes().filter(|byte| !b" \n,[]".contains(byte)).count();
            prop_assert_eq!(kept, sent);
        }
    }
}
