//! Plants the faults of `crates/simulate/mutants.txt` in a copy of the workspace, one at a time, and lets `check`
//! compare each faulty `session` with the simulated truth. Fails if a fault is not noticed, no longer applies or
//! does not build. Run by `scripts/mutants`; words on the command line choose faults by name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Enough that every scenario comes several times.
const CALLS: &str = "4000";
const SEED: &str = "20261025";

/// A fault as written in the list.
struct Fault {
    name: String,
    file: PathBuf,
    old: String,
    new: String,
}

/// What became of a fault.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Killed,
    Survived,
    DoesNotApply,
    DoesNotBuild,
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let copy = target.join("mutants-tree");
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let all = faults(&fs::read_to_string(root.join("crates/simulate/mutants.txt"))?);
    let chosen = all.iter().filter(|fault| wanted.is_empty() || wanted.contains(&fault.name));
    copy_workspace(&root, &copy)?;
    if !build(&copy, &target)? || !is_equal(&target)? {
        println!("without a fault the comparison must build and be equal; it is not");
        return Ok(ExitCode::FAILURE);
    }
    let mut verdicts = Vec::new();
    for fault in chosen {
        let verdict = try_fault(fault, &copy, &target)?;
        println!("{:14}{}", word(verdict), fault.name);
        verdicts.push(verdict);
    }
    let killed = verdicts.iter().filter(|verdict| **verdict == Verdict::Killed).count();
    println!("{killed} of {} faults noticed", verdicts.len());
    Ok(if killed == verdicts.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Killed => "noticed",
        Verdict::Survived => "SURVIVED",
        Verdict::DoesNotApply => "NO LONGER THERE",
        Verdict::DoesNotBuild => "DOES NOT BUILD",
    }
}

fn faults(list: &str) -> Vec<Fault> {
    list.split("\n== ").skip(1).map(fault).collect()
}

fn fault(text: &str) -> Fault {
    let (head, texts) = text.split_once("\n-- old\n").expect("a fault has an old text");
    let (old, new) = texts.split_once("\n-- new\n").expect("a fault has a new text");
    let mut lines = head.lines();
    let name = lines.next().expect("a fault has a name").trim().to_owned();
    let file = lines.find_map(|line| line.strip_prefix("in ")).expect("a fault names its file").into();
    Fault { name, file, old: old.to_owned(), new: new.trim_end_matches('\n').to_owned() }
}

fn try_fault(fault: &Fault, copy: &Path, target: &Path) -> std::io::Result<Verdict> {
    let path = copy.join(&fault.file);
    let sound = fs::read_to_string(&path)?;
    if sound.matches(&fault.old).count() != 1 {
        return Ok(Verdict::DoesNotApply);
    }
    fs::write(&path, sound.replacen(&fault.old, &fault.new, 1))?;
    let verdict = match build(copy, target)? {
        false => Verdict::DoesNotBuild,
        true if is_equal(target)? => Verdict::Survived,
        true => Verdict::Killed,
    };
    fs::write(&path, sound)?;
    Ok(verdict)
}

fn build(copy: &Path, target: &Path) -> std::io::Result<bool> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(copy).env("CARGO_TARGET_DIR", target);
    cargo.args(["build", "--offline", "--quiet", "-p", "ringpost-simulate", "--example", "check"]);
    Ok(cargo.status()?.success())
}

/// Of a whole input, and of a stream. A machine that panics on a fault has noticed it too.
fn is_equal(target: &Path) -> std::io::Result<bool> {
    for run in ["offline", "stream"] {
        let mut check = Command::new(target.join("debug/examples/check"));
        check.args([CALLS, SEED, run]).stdout(Stdio::null()).stderr(Stdio::null());
        if !check.status()?.success() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn copy_workspace(root: &Path, copy: &Path) -> std::io::Result<()> {
    if copy.exists() {
        fs::remove_dir_all(copy)?;
    }
    for name in ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "crates", "tests", "config", "fixtures"] {
        let from = root.join(name);
        if from.exists() {
            copy_all(&from, &copy.join(name))?;
        }
    }
    Ok(())
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy_all(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(from, to).map(drop)
}
