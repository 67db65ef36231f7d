//! How slow the disk is at the moment, cores included: what a server may lose at a kill is what it could not write yet.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Between two writes.
const PAUSE: Duration = Duration::from_millis(10);

/// Writes and syncs a small file over and over, until it is dropped.
pub(crate) struct Disk {
    writes: Arc<Mutex<Vec<(Instant, Duration)>>>,
    is_over: Arc<AtomicBool>,
}

impl Disk {
    /// The disk of a folder.
    pub(crate) fn watch(folder: &Path) -> Self {
        let (writes, is_over) = (Arc::default(), Arc::default());
        let disk = Self { writes: Arc::clone(&writes), is_over: Arc::clone(&is_over) };
        let mut file = File::create(folder.join("probe")).expect("a file in a temporary folder");
        std::thread::spawn(move || {
            #[expect(
                clippy::disallowed_methods,
                reason = "a thread of its own, which measures how long a nap and a write take"
            )]
            while !is_over.load(Ordering::Relaxed) {
                let began = Instant::now();
                std::thread::sleep(PAUSE);
                file.write_all(&[7; 512]).and_then(|()| file.sync_data()).expect("the disk has room");
                // What the sleep took too long counts: a server waits for a core as well.
                let took = began.elapsed().saturating_sub(PAUSE);
                writes.lock().expect("nobody panics with it").push((began, took));
            }
        });
        disk
    }

    /// The longest write that began between two moments.
    pub(crate) fn longest(&self, from: Instant, to: Instant) -> Duration {
        let writes = self.writes.lock().expect("nobody panics with it");
        let within = writes.iter().filter(|(began, _)| (from..=to).contains(began));
        within.map(|(_, took)| *took).max().unwrap_or_default()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}
