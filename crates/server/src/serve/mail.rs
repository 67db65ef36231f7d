//! Mail to people (triggers-and-delivery.md 5, Telling people): looks for notices that were not mailed, hands them to
//! the mail server, and marks them only then. So each is mailed at least once, and twice after a crash in between.
//!
//! It has a task of its own and holds up nothing else: while the server is away notices wait in the store.

mod book;
mod letter;
mod outbox;
mod post;
#[cfg(test)]
pub(crate) mod smtp_server;

use std::sync::Arc;
use std::time::Duration;

use lettre::Message;
use lettre::message::Mailbox;
use ringpost_model::{EventName, NoticeId, Timestamp};
use ringpost_store::Store;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub(crate) use letter::test_letter;
pub(crate) use post::Post;

use crate::clock::Clock;
use crate::config;
use crate::metrics::Metrics;
use book::{Book, Due, GIVE_UP, Pause};
use outbox::Outbox;
use post::{Connection, PostError};

/// How often notices are looked for: one cheap query.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Notices read at once, beside those that are known and wait.
const PAGE: usize = 500;
/// Pages read at once: then what is due is sent before more is read.
const PAGES: usize = 100;

/// The part of the server that sends mail.
pub(crate) struct Mail<O = Store> {
    outbox: O,
    post: Arc<Post>,
    clock: Clock,
    metrics: Arc<Metrics>,
    from: Mailbox,
    events: Vec<EventName>,
    /// Between two mails of one trigger and event, in microseconds.
    every: i64,
    readers: Vec<Reader>,
    /// While the server is away.
    pause: Pause,
    /// Something went wrong since a mail was last taken.
    is_failing: bool,
}

/// Somebody who is told; each on their own, so that one bad address keeps no other from being told.
struct Reader {
    to: Mailbox,
    book: Book,
}

impl<O: Outbox> Mail<O> {
    /// None where mail is not configured.
    ///
    /// # Errors
    /// The file of the password, or one with roots, cannot be read.
    pub(crate) fn new(
        config: &config::Mail,
        outbox: O,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Option<Self>> {
        let (Some(post), Some(from)) = (Post::new(config)?, config.from.clone()) else { return Ok(None) };
        let every = i64::try_from(config.at_most_every.as_micros()).unwrap_or(i64::MAX);
        let readers = config.to.iter().map(|to| Reader { to: to.clone(), book: Book::new(every) });
        Ok(Some(Self {
            outbox,
            post: Arc::new(post),
            clock,
            metrics,
            from,
            events: config.events.clone(),
            every,
            readers: readers.collect(),
            pause: Pause::default(),
            is_failing: false,
        }))
    }

    /// Sends what there is to tell, until told to stop. Of several processes only one is on duty at a time.
    ///
    /// # Errors
    /// None: whatever fails is tried again.
    pub(crate) async fn run(
        mut self,
        is_on_duty: impl Fn() -> bool + Send,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut could_read = true;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if !is_on_duty() {
                // What is held here another one sends, and what was sent another one may have marked.
                self.readers.iter_mut().for_each(|reader| reader.book = Book::new(self.every));
                continue;
            }
            // A mail on its way when the process stops is sent again after the next start.
            let Some(looked) = stop.run_until_cancelled(self.look()).await else { break };
            if let Err(error) = &looked
                && could_read
            {
                warn!(%error, "notices to mail cannot be read or marked, trying again");
            }
            could_read = looked.is_ok();
        }
        Ok(())
    }

    /// Reads what is new, sends what is due, marks what is done.
    async fn look(&mut self) -> Result<(), ringpost_store::Error> {
        self.read_all().await?;
        if self.pause.is_over((self.clock)()) {
            self.send().await?;
        }
        Ok(())
    }

    /// Page by page. What nobody is to be told of any more, as on the day that mail is set up, is told of in one line.
    async fn read_all(&mut self) -> Result<(), ringpost_store::Error> {
        let mut too_old = 0;
        for _ in 0..PAGES {
            let (is_last, old) = self.read().await?;
            too_old += old;
            self.give_up();
            self.mark().await?;
            if is_last {
                break;
            }
        }
        if too_old > 0 {
            warn!(notices = too_old, "no mail is sent of what happened more than a day ago");
        }
        Ok(())
    }

    /// One page: whether it was the last, and how many of it are too old.
    async fn read(&mut self) -> Result<(bool, usize), ringpost_store::Error> {
        let now = (self.clock)();
        let held: usize = self.readers.iter().map(|reader| reader.book.held()).sum();
        let limit = PAGE + held;
        let notices = self.outbox.unmailed(limit).await?;
        let is_last = notices.len() < limit;
        let mut too_old = 0;
        for notice in notices {
            let is_old = notice.at.plus_micros(GIVE_UP) < now && !self.is_held(notice.id);
            let is_wanted = self.events.contains(&notice.event);
            too_old += usize::from(is_old && is_wanted);
            for Reader { book, .. } in &mut self.readers {
                if is_wanted && !is_old { book.take(&notice, now) } else { book.skip(notice.id) }
            }
        }
        Ok((is_last, too_old))
    }

    fn is_held(&self, notice: NoticeId) -> bool {
        self.readers.iter().any(|reader| reader.book.holds(notice))
    }

    fn give_up(&mut self) {
        let now = (self.clock)();
        for Reader { to, book } in &mut self.readers {
            for Due { newest, more, .. } in book.give_up(now) {
                self.metrics.mails.with_label_values(&["given_up"]).inc();
                let (event, trigger, tenant) = (newest.event.name(), newest.trigger_id, &newest.tenant);
                let notices = more + 1;
                warn!(%to, event, %trigger, %tenant, notices, "mail given up after a day of trying");
            }
        }
    }

    /// What every reader is done with is mailed.
    async fn mark(&mut self) -> Result<(), ringpost_store::Error> {
        let Some((first, others)) = self.readers.split_first() else { return Ok(()) };
        let is_done = |id: &NoticeId| others.iter().all(|reader| reader.book.is_done(*id));
        let done: Vec<NoticeId> = first.book.done().filter(is_done).collect();
        if done.is_empty() {
            return Ok(());
        }
        self.outbox.mailed(&done).await?;
        self.readers.iter_mut().for_each(|reader| reader.book.marked(&done));
        Ok(())
    }

    /// One connection for all that is due; a mail that is not taken ends it.
    async fn send(&mut self) -> Result<(), ringpost_store::Error> {
        let post = Arc::clone(&self.post);
        let mut connection = None;
        for at in 0..self.readers.len() {
            while let Some(due) = self.readers[at].book.due((self.clock)()) {
                let sent = match letter::letter(&due, &self.from, &self.readers[at].to, (self.clock)()) {
                    Ok(letter) => hand_over(&post, &mut connection, &letter).await,
                    Err(error) => Err(post.no_letter(&error)),
                };
                self.note(at, &due, &sent, (self.clock)());
                if sent.as_ref().is_err_and(PostError::is_of_server) {
                    return Ok(());
                }
                if sent.is_ok() {
                    // At once: what is sent and not marked is sent again after a crash.
                    self.mark().await?;
                }
            }
        }
        if let Some(connection) = connection {
            connection.quit().await;
        }
        Ok(())
    }

    fn note(&mut self, at: usize, due: &Due, sent: &Result<(), PostError>, now: Timestamp) {
        let outcome = if sent.is_ok() { "sent" } else { "failed" };
        self.metrics.mails.with_label_values(&[outcome]).inc();
        let Reader { to, book } = &mut self.readers[at];
        match sent {
            Ok(()) => {
                book.sent(due, now);
                self.pause = Pause::default();
                if std::mem::take(&mut self.is_failing) {
                    info!("mail is taken again");
                }
            }
            Err(error) if error.is_of_server() => {
                warn!(%error, "mail cannot be sent, trying again");
                self.pause.begin(now);
                self.is_failing = true;
            }
            Err(error) => {
                warn!(%error, %to, "mail was not taken, trying again");
                book.failed(now);
                self.is_failing = true;
            }
        }
    }
}

/// Sends over the connection there is, or a new one. One that has failed is dropped.
async fn hand_over<'a>(
    post: &'a Post,
    connection: &mut Option<Connection<'a>>,
    letter: &Message,
) -> Result<(), PostError> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => post.connect().await?,
    };
    open.send(letter).await?;
    *connection = Some(open);
    Ok(())
}

#[cfg(test)]
mod tests;
