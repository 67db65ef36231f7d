//! What a reader relies on in every file: a head that says what it is for, no `mod.rs`, no word of another place.

use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the project") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_source_file_says_what_it_is_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    sources(&root.join("crates"), &mut files);
    sources(&root.join("tests"), &mut files);
    assert!(files.len() > 20, "the sources are found");
    for file in files {
        assert_ne!(file.file_name().expect("a name"), "mod.rs", "{}", file.display());
        let text = std::fs::read_to_string(&file).expect("a source file");
        assert!(text.starts_with("//!"), "{} does not say what it is for", file.display());
    }
}
