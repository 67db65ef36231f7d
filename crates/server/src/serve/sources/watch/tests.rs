//! Files as loggers treat them: every line is read, and none twice where that can be helped.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

const SECOND: i64 = 1_000_000;

/// A folder, and who follows files in it.
struct Bench {
    folder: tempfile::TempDir,
    watch: Watch,
    /// What is durable.
    kept: BTreeMap<Key, Vec<u8>>,
    now: i64,
    read: Vec<String>,
    notes: Vec<String>,
    troubles: Vec<String>,
}

impl Bench {
    fn new(pattern: &str) -> Self {
        Self::with(pattern, true)
    }

    fn with(pattern: &str, follow: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let what = Watched { path: folder.path().join(pattern), follow, dialect: Dialect::Native };
        Self {
            folder,
            watch: Watch::new(what, HashMap::new()),
            kept: BTreeMap::new(),
            now: crate::clock::now().micros(),
            read: Vec::new(),
            notes: Vec::new(),
            troubles: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        append(&self.path(name), text);
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// Looks until there is nothing more, and says what was read.
    fn look(&mut self) -> String {
        let before = self.read.len();
        loop {
            let look = self.watch.look(Timestamp::from_micros(self.now));
            self.now += SECOND / 4;
            let has_more = look.has_more;
            self.take(&look);
            self.watch.accept(look);
            if !has_more {
                return self.read[before..].join(" ");
            }
        }
    }

    fn take(&mut self, look: &Look) {
        let changes = look.changes.iter().cloned();
        let marks = look.pieces.iter().map(|new| (new.key.clone(), Some(new.mark.clone())));
        for (key, mark) in changes.chain(marks) {
            match mark {
                Some(mark) => drop(self.kept.insert(key, mark.to_bytes())),
                None => drop(self.kept.remove(&key)),
            }
        }
        let frames = look.pieces.iter().flat_map(|new| new.piece.frames());
        self.read.extend(frames.map(|frame| String::from_utf8_lossy(frame.bytes).into_owned()));
        let folder = format!("{}/", self.folder.path().display());
        let told = |text: String| text.replace(&folder, "");
        self.notes.extend(look.notes.iter().map(|note| told(format!("{note:?}"))));
        self.troubles = look.troubles.iter().map(|trouble| told(trouble.clone())).collect();
    }

    fn pass(&mut self, seconds: i64) {
        self.now += seconds * SECOND;
    }

    /// As after a crash: what is durable is known, nothing else.
    fn restart(&mut self) {
        let marks = self.kept.iter().map(|(key, mark)| (key.clone(), Mark::from_bytes(mark).unwrap()));
        self.watch = Watch::new(self.watch.what.clone(), marks.collect());
    }

    fn last_note(&self) -> &str {
        self.notes.last().map_or("", String::as_str)
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn what_is_appended_is_read_once_and_a_half_line_when_it_is_whole() {
    let mut bench = Bench::new("legs.log");
    assert_eq!(bench.look(), "", "it need not be there yet");
    bench.append("legs.log", "a1\na2\na");
    assert_eq!(bench.look(), "a1 a2");
    assert_eq!(bench.look(), "");
    bench.append("legs.log", "3\n");
    assert_eq!(bench.look(), "a3");
    bench.restart();
    assert_eq!(bench.look(), "");
    bench.append("legs.log", "a4\n");
    bench.restart();
    assert_eq!(bench.look(), "a4");
}

#[test]
fn a_renamed_file_is_read_to_its_end_and_its_successor_from_its_begin() {
    for pattern in ["legs.log", "legs.log*"] {
        let mut bench = Bench::new(pattern);
        bench.append("legs.log", "a1\n");
        assert_eq!(bench.look(), "a1");
        bench.append("legs.log", "a2\n");
        bench.rename("legs.log", "legs.log.1");
        bench.append("legs.log", "b1\n");
        assert_eq!(bench.look(), "a2 b1", "{pattern}");
        // The writer notices later that it writes to a renamed file.
        bench.append("legs.log.1", "a3\n");
        assert_eq!(bench.look(), "a3", "{pattern}");
        bench.rename("legs.log.1", "legs.log.2");
        bench.rename("legs.log", "legs.log.1");
        bench.append("legs.log", "c1\n");
        bench.append("legs.log.1", "b2\n");
        assert_eq!(bench.look(), "b2 c1", "{pattern}");
    }
}

#[test]
fn what_was_not_read_before_a_rotation_is_read_after_a_restart() {
    for pattern in ["legs.log", "legs.log*"] {
        let mut bench = Bench::new(pattern);
        bench.append("legs.log", "a1\n");
        assert_eq!(bench.look(), "a1");
        bench.append("legs.log", "a2\n");
        bench.rename("legs.log", "legs.log.1");
        bench.append("legs.log", "b1\n");
        bench.restart();
        assert_eq!(bench.look(), "a2 b1", "{pattern}");
        bench.restart();
        assert_eq!(bench.look(), "", "{pattern}");
    }
}

fn long(name: &str) -> String {
    (0..40).map(|at| format!("{name}{at}-{}\n", "x".repeat(60))).collect()
}

#[test]
fn a_file_that_is_copied_and_cut_to_nothing_loses_no_line_and_repeats_none() {
    for pattern in ["legs.log", "legs.log*"] {
        for restarts in [false, true] {
            let mut bench = Bench::new(pattern);
            bench.append("legs.log", &long("a"));
            bench.look();
            bench.append("legs.log", "a-last\n");
            fs::copy(bench.path("legs.log"), bench.path("legs.log.1")).unwrap();
            fs::write(bench.path("legs.log"), "").unwrap();
            bench.append("legs.log", "b1\n");
            if restarts {
                bench.restart();
            }
            let mut read = bench.look();
            read += " ";
            read += &bench.look();
            let mut read: Vec<_> = read.split_whitespace().collect();
            read.sort_unstable();
            assert_eq!(read, ["a-last", "b1"], "{pattern}, restarts {restarts}: {:?}", bench.notes);
        }
    }
}

#[test]
fn a_copy_in_the_making_is_waited_for() {
    let mut bench = Bench::new("legs.log*");
    bench.append("legs.log", &long("a"));
    bench.look();
    let bytes = fs::read(bench.path("legs.log")).unwrap();
    fs::write(bench.path("legs.log.1"), &bytes[..2_000]).unwrap();
    assert_eq!(bench.look(), "");
    fs::write(bench.path("legs.log.1"), &bytes).unwrap();
    fs::write(bench.path("legs.log"), "b1\n").unwrap();
    assert_eq!(bench.look(), "b1");
    assert_eq!(bench.look(), "");
}

#[test]
fn a_file_that_was_cut_and_has_grown_past_its_place_is_read_from_its_begin() {
    let mut bench = Bench::new("legs.log");
    bench.append("legs.log", "a1\na2\n");
    bench.look();
    fs::write(bench.path("legs.log"), "b1\nb2\nb3\nb4\n").unwrap();
    assert_eq!(bench.look(), "b1 b2 b3 b4");
    assert!(bench.last_note().starts_with("Rewritten"), "{:?}", bench.notes);
    fs::write(bench.path("legs.log"), "c1\n").unwrap();
    assert_eq!(bench.look(), "c1");
    assert!(bench.last_note().starts_with("Truncated"), "{:?}", bench.notes);
}

#[test]
fn another_file_of_the_same_size_is_noticed() {
    let mut bench = Bench::new("legs.log");
    bench.append("legs.log", "a1\na2\n");
    bench.look();
    fs::write(bench.path("legs.log"), "b1\nb2\n").unwrap();
    assert_eq!(bench.look(), "b1 b2", "written in its place");
    fs::write(bench.path("new"), "c1\nc2\n").unwrap();
    bench.rename("new", "legs.log");
    assert_eq!(bench.look(), "c1 c2", "moved over it");
    bench.restart();
    fs::write(bench.path("legs.log"), "d1\nd2\n").unwrap();
    assert_eq!(bench.look(), "d1 d2", "while nobody looked");
}

#[test]
fn a_deleted_file_is_read_to_its_end_and_then_let_go() {
    let mut bench = Bench::new("legs.log");
    bench.append("legs.log", "a1\n");
    bench.look();
    bench.append("legs.log", "a2\na3");
    fs::remove_file(bench.path("legs.log")).unwrap();
    assert_eq!(bench.look(), "a2");
    assert!(bench.last_note().starts_with("Gone"), "{:?}", bench.notes);
    bench.pass(40);
    assert_eq!(bench.look(), "a3", "what stands last has no end, and never will");
    bench.pass(90);
    bench.look();
    bench.look();
    assert!(bench.watch.files.is_empty(), "its room on the disk is free");
    bench.append("legs.log", "b1\n");
    assert_eq!(bench.look(), "b1", "it is there again");
    bench.pass(2 * 3_600);
    bench.look();
    assert_eq!(bench.kept.len(), 1, "the deleted one is forgotten");
}

#[test]
fn a_last_record_without_a_line_end_is_taken_when_it_is_whole_and_nothing_follows() {
    let mut bench = Bench::new("legs.log");
    bench.append("legs.log", "{\"a\":1");
    bench.look();
    bench.pass(60);
    assert_eq!(bench.look(), "", "half a record");
    bench.append("legs.log", "}");
    assert_eq!(bench.look(), "");
    bench.pass(6);
    assert_eq!(bench.look(), "{\"a\":1}");
    bench.append("legs.log", "\n{\"b\":2}\n");
    assert_eq!(bench.look(), "{\"b\":2}");
}

#[test]
fn without_follow_a_file_is_read_to_its_end_once() {
    let mut bench = Bench::with("*.log", false);
    bench.append("x.log", "a1\na2");
    bench.append("y.log", "b1\n");
    assert_eq!(bench.look(), "a1 a2 b1");
    bench.look();
    assert!(bench.watch.look(Timestamp::from_micros(bench.now)).is_done);
    bench.append("x.log", "\na3\n");
    assert_eq!(bench.look(), "");
    bench.restart();
    bench.append("z.log", "c1\n");
    assert_eq!(bench.look(), "c1", "x and y are done");
}

/// Numbers of devices change when a share is mounted again, and where a container starts.
#[test]
fn a_file_is_known_on_another_device() {
    let mut bench = Bench::new("*.log");
    bench.append("x.log", "a1\na2\n");
    bench.look();
    for mark in bench.kept.values_mut() {
        let mut moved = Mark::from_bytes(mark).unwrap();
        moved.id.device += 1;
        *mark = moved.to_bytes();
    }
    bench.restart();
    bench.append("x.log", "a3\n");
    assert_eq!(bench.look(), "a3");
    bench.restart();
    assert_eq!(bench.look(), "");
}

#[test]
fn what_cannot_be_read_is_told_and_keeps_nothing_else_from_being_read() {
    let mut bench = Bench::new("legs.log/x");
    bench.append("legs.log", "a1\n");
    assert_eq!(bench.look(), "");
    assert_eq!(bench.troubles, ["legs.log/x: Not a directory (os error 20)"]);
    fs::remove_file(bench.path("legs.log")).unwrap();
    fs::create_dir(bench.path("legs.log")).unwrap();
    bench.append("legs.log/x", "a2\n");
    assert_eq!(bench.look(), "a2");
    assert_eq!(bench.troubles, [""; 0]);
}

#[test]
fn a_folder_is_all_its_files_and_what_is_compressed_is_told_and_left_out() {
    let mut bench = Bench::new(".");
    bench.append("x.json", "{\"a\":1}\n");
    bench.append(".hidden", "h\n");
    fs::write(bench.path("x.json.2.gz"), b"\x1f\x8b\x08\0rubbish\n").unwrap();
    fs::create_dir(bench.path("older")).unwrap();
    assert_eq!(bench.look(), "{\"a\":1}");
    assert_eq!(bench.notes.iter().filter(|note| note.starts_with("Ignored")).count(), 1);
    bench.look();
    assert_eq!(bench.notes.iter().filter(|note| note.starts_with("Ignored")).count(), 1, "told once");
    bench.append("y.json", "{\"b\":2}\n");
    assert_eq!(bench.look(), "{\"b\":2}");
}

#[test]
fn what_was_looked_at_and_not_stored_is_looked_at_again() {
    let mut bench = Bench::new("legs.log");
    bench.append("legs.log", "a1\n");
    let look = bench.watch.look(Timestamp::from_micros(bench.now));
    assert_eq!(look.pieces.len(), 1);
    drop(look);
    assert_eq!(bench.look(), "a1");
}

/// The line that names the columns stands at the begin of the file only.
#[test]
fn a_table_is_read_on_with_the_columns_it_began_with() {
    let mut bench = Bench::new("cel.csv");
    bench.watch.what.dialect = Dialect::AsteriskCel;
    let access = ringpost_api::Access::default();
    let (pbx, tenant) = ("ast1".parse().unwrap(), "acme".parse().unwrap());
    let grant = access.grant_input(&pbx, Some(&tenant), Some(Dialect::AsteriskCel));
    let legs = |bench: &mut Bench| {
        let look = bench.watch.look(Timestamp::from_micros(bench.now));
        bench.now += SECOND;
        bench.take(&look);
        let judged = look.pieces.iter().map(|new| crate::serve::sources::decode::judge(&access, &grant, new));
        let judged: Vec<_> = judged.collect();
        assert!(judged.iter().all(|delivered| delivered.dead_letters.is_empty()), "{judged:?}");
        bench.watch.accept(look);
        judged.iter().map(|delivered| delivered.records.len()).sum::<usize>()
    };
    bench.append(
        "cel.csv",
        "eventtime,uniqueid,eventtype,channame\n2026-03-10 09:00:00,1.1,CHAN_START,PJSIP/1-1\n",
    );
    assert_eq!(legs(&mut bench), 1);
    bench.append("cel.csv", "2026-03-10 09:00:05,1.1,CHAN_END,PJSIP/1-1\n");
    bench.restart();
    assert_eq!(legs(&mut bench), 1);
}

/// What loggers and operators do, in any order: no line is lost, and one is read twice only where its file was copied.
#[test]
fn whatever_is_done_to_a_log_no_line_is_lost() {
    for seed in 0..60 {
        for pattern in ["legs.log", "legs.log*"] {
            random(seed, pattern);
        }
    }
}

fn random(seed: u64, pattern: &str) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut bench = Bench::new(pattern);
    let (mut written, mut done) = (Vec::new(), Vec::new());
    let mut is_half = false;
    for turn in 0..60 {
        match random.random_range(0..12) {
            0..6 => {
                let line = format!("{seed}-{turn}-{}", "x".repeat(random.random_range(0..300)));
                let (first, second) = line.split_at(random.random_range(0..line.len()));
                let end = if is_half { "\n" } else { "" };
                bench.append("legs.log", &format!("{end}{first}"));
                if random.random_range(0..3) == 0 {
                    bench.look();
                }
                bench.append("legs.log", second);
                // Its end comes with the next one.
                is_half = random.random_range(0..5) == 0;
                bench.append("legs.log", if is_half { "" } else { "\n" });
                written.push(line);
            }
            6..8 => drop(bench.look()),
            8 => bench.restart(),
            what if !is_half && bench.path("legs.log").exists() => {
                // What is written, copied away and cut off within one look, of a file of which nothing was read, is
                // known by nothing.
                let is_copy = what == 9;
                let line = format!("{seed}-{turn}-before");
                bench.append("legs.log", &format!("{line}\n"));
                written.push(line);
                bench.look();
                let line = format!("{seed}-{turn}-last");
                bench.append("legs.log", &format!("{line}\n"));
                written.push(line);
                let to = format!("legs.log.{turn}");
                if is_copy {
                    fs::copy(bench.path("legs.log"), bench.path(&to)).unwrap();
                    fs::write(bench.path("legs.log"), "").unwrap();
                } else {
                    bench.rename("legs.log", &to);
                }
                done.push(is_copy);
                if what == 11 {
                    bench.restart();
                }
            }
            _ => {}
        }
    }
    bench.append("legs.log", "\n");
    bench.look();
    bench.look();
    let mut missing = written.clone();
    missing.retain(|line| !bench.read.contains(line));
    assert!(missing.is_empty(), "seed {seed} {pattern}: {missing:?}\n{}", bench.notes.join("\n"));
    let mut once = bench.read.clone();
    once.sort_unstable();
    let twice: Vec<_> = once.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| &pair[0]).collect();
    let is_copied = done.contains(&true);
    assert!(is_copied || twice.is_empty(), "seed {seed} {pattern}: {twice:?}\n{}", bench.notes.join("\n"));
}
