//! The data folder: who can read it, whether its disk writes, and whether time ran backwards.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::finding::Finding;
use crate::config::Config;

/// A sync takes some milliseconds on a disk that is alone; every answer of the intake waits for one.
const SLOW: Duration = Duration::from_millis(100);
const MUCH_TOO_SLOW: Duration = Duration::from_secs(2);
/// Clocks of one machine differ by nothing; this is for coarse times of file systems.
const AHEAD: Duration = Duration::from_secs(5);

/// Everything about it.
pub(super) fn look(config: &Config) -> Vec<Finding> {
    let folder = &config.data.dir;
    if !folder.exists() {
        let todo = "it is made at the first start; name another one with --data or data.dir";
        return vec![Finding::warning("data folder", format!("{} is not there yet", folder.display()), todo)];
    }
    let mut findings = vec![rights("data folder", folder, 0o700)];
    if config.data.key.is_none() {
        findings.push(key(config));
    }
    findings.push(write_time(folder));
    findings.extend(room(folder));
    findings.extend(file_system(folder));
    findings.push(clock(folder, SystemTime::now()));
    findings
}

fn key(config: &Config) -> Finding {
    let path = config.data.key_path();
    if path.exists() {
        return rights("secret key", &path, 0o600);
    }
    let text = format!("{} is missing", path.display());
    if config.data.dir.join("store.db").exists() {
        let todo = "copy it back from where it is kept: no other key opens the secrets in the store";
        return Finding::problem("secret key", text, todo);
    }
    Finding::warning("secret key", text, "it is made at the first start; keep a copy elsewhere")
}

/// Only its owner may do anything with it.
fn rights(what: &str, path: &Path, wanted: u32) -> Finding {
    let shown = path.display();
    let mode = match fs::metadata(path) {
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        Err(error) => return Finding::problem(what, format!("{shown}: {error}"), "run as the server's user"),
    };
    if mode & 0o077 == 0 {
        return Finding::ok(what, format!("{shown}, for its owner only"));
    }
    let todo = format!("chmod {wanted:o} {shown}");
    let text = format!("{shown} is open to others ({mode:o})");
    // Calls and journals are read by backups and the like; a key is nobody's business.
    if what == "secret key" { Finding::problem(what, text, todo) } else { Finding::warning(what, text, todo) }
}

fn write_time(folder: &Path) -> Finding {
    let path = folder.join(format!(".doctor-{}", std::process::id()));
    let began = Instant::now();
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(&[0; 4096])?;
        file.sync_all()
    });
    let took = began.elapsed();
    let _ = fs::remove_file(&path);
    let text = format!("4 KiB are written and synced in {} ms", took.as_millis());
    match written {
        Err(error) => {
            let todo = "make room, or see that the server's user may write there";
            Finding::problem("disk", format!("{} cannot be written: {error}", folder.display()), todo)
        }
        Ok(()) if took >= MUCH_TOO_SLOW => {
            Finding::problem("disk", text, "move the data folder to another disk")
        }
        Ok(()) if took >= SLOW => Finding::warning(
            "disk",
            text,
            "every answer waits for a sync: use a disk that is not shared, or faster",
        ),
        Ok(()) => Finding::ok("disk", text),
    }
}

/// Below this the server soon refuses legs.
const LITTLE_ROOM: u64 = 2 << 30;
const NO_ROOM: u64 = 200 << 20;

fn room(folder: &Path) -> Option<Finding> {
    let found = rustix::fs::statvfs(folder).ok()?;
    let (free, all) = (found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize);
    let text = format!("{} MiB of {} MiB are free", free >> 20, all >> 20);
    let todo = "make room: when it is full legs are refused, and senders have to keep them";
    Some(match free {
        0..NO_ROOM => Finding::problem("disk space", text, todo),
        NO_ROOM..LITTLE_ROOM => Finding::warning("disk space", text, todo),
        _ => Finding::ok("disk space", text),
    })
}

/// By the numbers of `statfs(2)`; others are disks.
fn file_system(folder: &Path) -> Option<Finding> {
    let kind = rustix::fs::statfs(folder).ok()?.f_type as u32;
    let network = "use a disk of this machine: WAL needs memory that all processes share";
    Some(match kind {
        0x6969 => Finding::problem("file system", "NFS", network),
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => {
            Finding::problem("file system", "a share of Windows (SMB)", network)
        }
        0x0102_1994 => {
            Finding::warning("file system", "it is in memory", "all is lost with the next boot: use a disk")
        }
        0x794c_7630 => {
            Finding::warning("file system", "the layer of a container", "all is lost with it: mount a volume")
        }
        _ => Finding::ok("file system", "a disk"),
    })
}

/// What was written last is not in the future.
fn clock(folder: &Path, now: SystemTime) -> Finding {
    let names = ["journal.db", "journal.db-wal", "store.db", "store.db-wal"];
    let times = names.iter().filter_map(|name| fs::metadata(folder.join(name)).ok()?.modified().ok());
    let Some(newest) = times.max() else {
        return Finding::ok("clock", "nothing was written yet to compare it with");
    };
    match newest.duration_since(now) {
        Ok(ahead) if ahead > AHEAD => Finding::problem(
            "clock",
            format!("it ran backwards: the newest file was written {} s from now", ahead.as_secs()),
            "see that NTP runs; until then calls stay open and retries come late",
        ),
        _ => Finding::ok("clock", "it did not run backwards since the last write"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_others_can_read_is_a_problem_and_a_clock_that_ran_backwards_too() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data.dir = folder.path().to_owned();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.path().join("store.db"), "x").unwrap();
        let states = |config: &Config| look(config).iter().map(Finding::is_problem).collect::<Vec<_>>();
        assert_eq!(states(&config)[..2], [false, true], "no key beside a store");
        let key = folder.path().join("secret.key");
        fs::write(&key, "x").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(look(&config)[1].todo, format!("chmod 600 {}", key.display()));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(states(&config)[..2], [false, false]);
        let past = SystemTime::now() - Duration::from_secs(90);
        assert!(clock(folder.path(), past).is_problem());
    }
}
