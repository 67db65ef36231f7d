//! From librdkafka's single messages to batches: all of a run of messages of one partition lie in one piece of memory.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::Timestamp;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};

use crate::{Batch, Message, Offset, Partition};

use super::context::Member;

/// How much is taken at once.
pub(super) struct Most {
    pub(super) records: usize,
    pub(super) bytes: usize,
    /// Whether headers are wanted too: each costs a look.
    pub(super) headers: bool,
}

/// Takes what is there without waiting, up to so much, into batches at the end of `ready`.
///
/// # Errors
/// What the reader tells in place of a message. What was taken before it is in `ready`.
pub(super) fn take(
    reader: &BaseConsumer<Member>,
    most: &Most,
    ready: &mut VecDeque<Batch>,
) -> Result<(), KafkaError> {
    let mut run = Run::default();
    let (mut count, mut bytes, mut nothing) = (0, 0, 0);
    let mut failed = None;
    // The first "nothing" may stand for something else that was served, as a change of the group.
    while nothing < 2 && count < most.records && bytes < most.bytes {
        match reader.poll(Duration::ZERO) {
            None => nothing += 1,
            Some(Ok(message)) => {
                (count, nothing) = (count + 1, 0);
                bytes += message.payload_len() + message.key_len();
                if !run.is_of(&message) {
                    ready.extend(std::mem::replace(&mut run, Run::of(&message)).finish());
                }
                run.push(&message, most.headers);
            }
            Some(Err(error)) => {
                failed = Some(error);
                break;
            }
        }
    }
    ready.extend(run.finish());
    failed.map_or(Ok(()), Err)
}

#[derive(Default)]
struct Run {
    topic: String,
    partition: i32,
    /// Keys and values, one after the other.
    bytes: Vec<u8>,
    /// Offset, timestamp, ends of key and value in `bytes`.
    marks: Vec<(u64, i64, usize, usize)>,
    /// Of each; empty where they are not wanted.
    headers: Vec<Vec<(String, Bytes)>>,
}

impl Run {
    fn of(message: &BorrowedMessage<'_>) -> Self {
        let (topic, partition) = (message.topic().to_owned(), message.partition());
        Self { topic, partition, bytes: Vec::new(), marks: Vec::new(), headers: Vec::new() }
    }

    fn is_of(&self, message: &BorrowedMessage<'_>) -> bool {
        self.partition == message.partition() && self.topic == message.topic()
    }

    fn push(&mut self, message: &BorrowedMessage<'_>, wants_headers: bool) {
        self.bytes.extend_from_slice(message.key().unwrap_or_default());
        let key = self.bytes.len();
        self.bytes.extend_from_slice(message.payload().unwrap_or_default());
        let millis = match message.timestamp() {
            Timestamp::NotAvailable => 0,
            Timestamp::CreateTime(millis) | Timestamp::LogAppendTime(millis) => millis,
        };
        self.marks.push((message.offset() as u64, millis * 1_000, key, self.bytes.len()));
        if wants_headers {
            self.headers.push(headers(message));
        }
    }

    fn finish(self) -> Option<Batch> {
        if self.marks.is_empty() {
            return None;
        }
        let (bytes, mut from) = (Bytes::from(self.bytes), 0);
        let mut headers = self.headers.into_iter();
        let messages = self.marks.into_iter().map(|(offset, timestamp, key, value)| {
            let message = Message {
                offset: Offset(offset),
                key: bytes.slice(from..key),
                value: bytes.slice(key..value),
                timestamp,
                headers: headers.next().unwrap_or_default(),
            };
            from = value;
            message
        });
        let messages = messages.collect();
        Some(Batch { topic: self.topic, partition: Partition(self.partition as u32), messages })
    }
}

fn headers(message: &BorrowedMessage<'_>) -> Vec<(String, Bytes)> {
    let all = message.headers().into_iter().flat_map(|headers| headers.iter());
    all.map(|header| (header.key.to_owned(), Bytes::copy_from_slice(header.value.unwrap_or_default())))
        .collect()
}
