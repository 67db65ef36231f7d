//! The URL of a trigger, as far as it can be judged without a look at the network. Messages never repeat it: it may
//! hold secrets.

use ringpost_model::Trigger;
use url::{Host, Url};

use super::Policy;
use crate::error::{FilterError, Pointer};
use crate::limits::URL_BYTES;

pub(super) fn check(trigger: &Trigger, policy: &Policy, pointer: &Pointer, errors: &mut Vec<FilterError>) {
    errors.extend(judge(&trigger.url, policy).err().map(|message| pointer.error(message)));
}

/// The first mistake only: after it the rest of a URL cannot be judged.
pub(super) fn judge(text: &str, policy: &Policy) -> Result<(), String> {
    if text.is_empty() {
        return Err(
            "the URL is empty: write where to send the calls, e.g. https://crm.example.com/hook".to_owned()
        );
    }
    if text.len() > URL_BYTES {
        return Err(format!("the URL has {} bytes: at most {URL_BYTES}", text.len()));
    }
    // The parser would drop or encode these in silence, and a signed URL is to be sent as it is written.
    if text.chars().any(|char| char.is_whitespace() || char.is_control()) {
        return Err("there is a space or control character in the URL: write %20, or leave it out".to_owned());
    }
    // The parser would take these for slashes, and the slashes of https:///x for two.
    let after_scheme = text.split_once(':').and_then(|(_, rest)| rest.strip_prefix("//"));
    let has_authority = after_scheme.is_some_and(|rest| !rest.starts_with('/'));
    if text.contains('\\') || !has_authority {
        return Err("no URL: write one like https://crm.example.com/hook".to_owned());
    }
    let url = Url::parse(text)
        .map_err(|error| format!("no URL ({error}): write one like https://crm.example.com/hook"))?;
    scheme(&url, policy)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "user and password do not belong into the URL: write them as \"auth\" of kind basic".to_owned()
        );
    }
    match url.host() {
        Some(Host::Domain(name)) if name.trim_matches('.').is_empty() => {
            Err("the URL names no host: write one like https://crm.example.com/hook".to_owned())
        }
        Some(Host::Domain(name)) if !name.bytes().all(is_of_name) => {
            Err("there is a character in the name of the host that no name has: write it without".to_owned())
        }
        None => Err("the URL names no host: write one like https://crm.example.com/hook".to_owned()),
        Some(_) if url.port() == Some(0) => {
            Err("port 0 cannot be connected to: leave it out, or write another".to_owned())
        }
        Some(_) if url.fragment().is_some() => {
            Err("what follows # is never sent to a receiver: leave it out, or write %23 for the character"
                .to_owned())
        }
        Some(_) => Ok(()),
    }
}

/// The parser takes more than can be asked for; other scripts are letters and digits by now.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_".contains(&byte)
}

fn scheme(url: &Url, policy: &Policy) -> Result<(), String> {
    match url.scheme() {
        "https" => Ok(()),
        "http" if policy.allow_http => Ok(()),
        "http" => {
            Err("http is not allowed here, everything on the way could read the calls: write https"
                .to_owned())
        }
        _ => Err("only https can be called: write https://…".to_owned()),
    }
}
