//! An answer as it comes in, and what the log keeps of it.

use std::borrow::Cow;
use std::net::SocketAddr;

use http::header::{LOCATION, SET_COOKIE};
use hyper_util::client::legacy::connect::HttpInfo;
use url::Url;

use super::pool::Response;
use crate::exchange::{Answer, KEPT_BODY_BYTES};
use crate::masked::{HIDDEN, shown};
use crate::request::Request;

/// What has come so far.
#[derive(Default)]
pub(super) struct Received {
    head: Option<Head>,
    kept: Vec<u8>,
    read: usize,
}

struct Head {
    status: u16,
    headers: Vec<(String, String)>,
    address: Option<SocketAddr>,
}

impl Received {
    pub(super) fn head(&mut self, response: &Response) {
        let headers = response.headers().iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let value = match name {
                name if name == SET_COOKIE => HIDDEN.to_owned(),
                // A redirect mostly leads back to the URL we called, with its secrets.
                name if name == LOCATION => {
                    Url::parse(&value).map_or_else(|_| HIDDEN.to_owned(), |url| shown(&url))
                }
                _ => value,
            };
            (name.as_str().to_owned(), value)
        });
        let headers = headers.collect();
        let address = response.extensions().get::<HttpInfo>().map(HttpInfo::remote_addr);
        self.head = Some(Head { status: response.status().as_u16(), headers, address });
    }

    pub(super) fn add(&mut self, chunk: &[u8]) {
        let room = KEPT_BODY_BYTES - self.kept.len();
        self.kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
        self.read += chunk.len();
    }

    /// Bytes of the body so far.
    pub(super) fn read(&self) -> usize {
        self.read
    }

    pub(super) fn status(&self) -> Option<u16> {
        self.head.as_ref().map(|head| head.status)
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.head.as_ref().and_then(|head| head.address)
    }

    /// As the log keeps it: no secret of the request is in it, even if the receiver echoes them.
    pub(super) fn into_answer(self, request: &Request) -> Option<Answer> {
        let head = self.head?;
        let hide = |text: String| match request.secrets.hide(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(hidden) => hidden,
        };
        let body_cut = self.read > self.kept.len();
        let kept = if body_cut { whole_characters(&self.kept) } else { &self.kept };
        let body = hide(String::from_utf8_lossy(kept).into_owned());
        let headers = head.headers.into_iter().map(|(name, value)| (name, hide(value))).collect();
        Some(Answer { status: head.status, headers, body, body_cut })
    }
}

/// Without the character that the cut went through.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => &bytes[..error.valid_up_to()],
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_goes_through_no_character() {
        assert_eq!(whole_characters("aé".as_bytes()), "aé".as_bytes());
        assert_eq!(whole_characters(&"aé".as_bytes()[..2]), b"a");
        assert_eq!(whole_characters(b"a\xff\xffb"), b"a\xff\xffb");
    }
}
