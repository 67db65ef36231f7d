//! Where notices to mail come from: the store, or what a test says.

use std::future::Future;

use ringpost_model::{Notice, NoticeId};
use ringpost_store::{Error, Store};

/// What the mail reads and marks.
pub(crate) trait Outbox: Send + Sync + 'static {
    /// Notices that were not mailed, oldest first.
    fn unmailed(&self, limit: usize) -> impl Future<Output = Result<Vec<Notice>, Error>> + Send;

    /// These were, or need not be.
    fn mailed(&self, notices: &[NoticeId]) -> impl Future<Output = Result<(), Error>> + Send;
}

impl Outbox for Store {
    /// One that cannot be read keeps no other back, and stays where it is.
    async fn unmailed(&self, limit: usize) -> Result<Vec<Notice>, Error> {
        Ok(self.unmailed_notices(limit).await?.found)
    }

    async fn mailed(&self, notices: &[NoticeId]) -> Result<(), Error> {
        Store::mailed(self, notices).await
    }
}
