//! One process writes a journal: two would give one offset twice.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::OpenError;

/// Keeps the journal for its owner until it is dropped.
pub(super) struct Lock(File);

impl Lock {
    /// Takes the lock of a folder, which is made if it is not there.
    pub(super) fn take(folder: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Folder { folder: folder.display().to_string(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let file = File::create(folder.join("journal.lock")).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { folder: folder.display().to_string() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // To close the file would do, were this its only handle. A child process that is just being started has a
        // copy of it until its program runs, and would keep the journal locked for as long. A failure changes
        // nothing: the lock then goes with the last handle, as it would have anyway.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_being_started_does_not_keep_the_journal_locked() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        // What a child has between its fork and its program: a handle of the same open file.
        let of_child = lock.0.try_clone().unwrap();
        assert!(matches!(Lock::take(folder.path()), Err(OpenError::InUse { .. })));
        drop(lock);
        assert!(Lock::take(folder.path()).is_ok());
        drop(of_child);
    }
}
