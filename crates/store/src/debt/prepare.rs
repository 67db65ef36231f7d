//! What the next tries of claimed debts are made of, in a few queries for all of them. A trigger that has many debts
//! is opened once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ringpost_model::{Notice, NoticeId, SessionId, TriggerId};

use super::Debt;
use crate::error::{Error, doing};
use crate::sql::Builder;
use crate::store::Store;
use crate::trigger::StoredTrigger;

/// What the next try of a debt is made of. None = it is no longer kept, or its trigger was removed.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The trigger as it is now.
    pub current: Option<Arc<StoredTrigger>>,
    /// The version that fired.
    pub version: Option<Arc<StoredTrigger>>,
    /// What is told.
    pub content: Option<Content>,
}

/// What a delivery tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A record: its envelope, as emitted (`Envelope::from_bytes`).
    Envelope(Vec<u8>),
    /// A notice.
    Notice(Box<Notice>),
}

/// By trigger, and version.
type Triggers = HashMap<(TriggerId, u64), Result<Arc<StoredTrigger>, Error>>;

const WHAT: &str = "read what is owed";

impl Store {
    /// For each of these debts, in their order, what its next try is made of. An error inside is of that debt alone.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn prepare(&self, debts: &[Debt]) -> Result<Vec<Result<Prepared, Error>>, Error> {
        let mut prepared = Vec::with_capacity(debts.len());
        for some in debts.chunks(256) {
            let (current, versions) = self.triggers_of(some).await?;
            let contents = self.contents_of(some).await?;
            for debt in some {
                let delivery = &debt.delivery;
                let key = (delivery.trigger, delivery.trigger_version);
                let newest = current.get(&delivery.trigger);
                let content = contents.get(&(delivery.session, delivery.rev));
                let read = || {
                    let current = newest.and_then(|number| versions.get(&(delivery.trigger, *number)));
                    Ok(Prepared {
                        current: current.cloned().transpose()?,
                        version: versions.get(&key).cloned().transpose()?,
                        content: content.cloned().transpose()?,
                    })
                };
                prepared.push(read());
            }
        }
        Ok(prepared)
    }

    /// The number of the current version of each trigger that is not removed; and every version that is needed.
    async fn triggers_of(&self, debts: &[Debt]) -> Result<(HashMap<TriggerId, u64>, Triggers), Error> {
        let ids: HashSet<_> = debts.iter().map(|debt| debt.delivery.trigger).collect();
        let mut query =
            Builder::new(self.dialect(), "SELECT id, version FROM triggers WHERE removed IS NULL AND ");
        query.push_in("id", ids.iter().map(|id| id.0));
        let mut current = HashMap::new();
        for row in query.build().fetch_all(self.readers()).await.map_err(doing(WHAT))? {
            let id = TriggerId(row.uuid("id").map_err(doing(WHAT))?);
            current.insert(id, row.try_get::<i64>("version").map_err(doing(WHAT))? as u64);
        }
        let fired = debts.iter().map(|debt| (debt.delivery.trigger, debt.delivery.trigger_version));
        let wanted: HashSet<_> = fired.chain(current.iter().map(|(id, number)| (*id, *number))).collect();
        Ok((current, self.trigger_versions(WHAT, &wanted).await?))
    }

    async fn contents_of(
        &self,
        debts: &[Debt],
    ) -> Result<HashMap<(SessionId, u32), Result<Content, Error>>, Error> {
        let mut contents = HashMap::new();
        let records = debts.iter().filter(|debt| !debt.delivery.is_notice());
        let records: HashSet<_> = records.map(|debt| (debt.delivery.session, debt.delivery.rev)).collect();
        self.envelopes("SELECT session, rev, envelope FROM sessions WHERE ", &records, &mut contents).await?;
        let former: HashSet<_> =
            records.into_iter().filter(|record| !contents.contains_key(record)).collect();
        self.envelopes("SELECT session, rev, envelope FROM revisions WHERE ", &former, &mut contents).await?;
        let notices: HashSet<_> =
            debts.iter().filter(|debt| debt.delivery.is_notice()).map(|debt| debt.delivery.session).collect();
        for session in notices {
            match self.notice(NoticeId(session.0)).await {
                Ok(Some(notice)) => {
                    drop(contents.insert((session, 0), Ok(Content::Notice(Box::new(notice)))))
                }
                Ok(None) => {}
                Err(error @ Error::Damaged { .. }) => drop(contents.insert((session, 0), Err(error))),
                Err(error) => return Err(error),
            }
        }
        Ok(contents)
    }

    async fn envelopes(
        &self,
        sql: &'static str,
        wanted: &HashSet<(SessionId, u32)>,
        into: &mut HashMap<(SessionId, u32), Result<Content, Error>>,
    ) -> Result<(), Error> {
        if wanted.is_empty() {
            return Ok(());
        }
        let mut query = Builder::new(self.dialect(), sql);
        query.push_in("session", wanted.iter().map(|(session, _)| session.0));
        for row in query.build().fetch_all(self.readers()).await.map_err(doing(WHAT))? {
            let session = SessionId(row.uuid("session").map_err(doing(WHAT))?);
            let key = (session, row.try_get::<u32>("rev").unwrap_or_default());
            if wanted.contains(&key) {
                let envelope = row.try_get("envelope").map_err(doing(WHAT))?;
                into.insert(key, Ok(Content::Envelope(envelope)));
            }
        }
        Ok(())
    }
}
