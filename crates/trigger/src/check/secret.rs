//! The secrets that sign requests, by Standard Webhooks: `whsec_` and base64 of 24 to 64 bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ringpost_model::Trigger;

use crate::error::{FilterError, Pointer};

/// Two are valid during a rotation: the new one and the old one.
const SECRETS: usize = 2;

pub(super) fn check(trigger: &Trigger, pointer: &Pointer, errors: &mut Vec<FilterError>) {
    if trigger.secrets.len() > SECRETS {
        let message = format!("{} secrets: at most {SECRETS}, the new one first", trigger.secrets.len());
        errors.push(pointer.error(message));
    }
    for (index, secret) in trigger.secrets.iter().take(SECRETS).enumerate() {
        let key = secret.strip_prefix("whsec_").and_then(|encoded| STANDARD.decode(encoded).ok());
        if key.is_none_or(|key| !(24..=64).contains(&key.len())) {
            let message = "a secret is \"whsec_\" and the base64 of 24 to 64 random bytes: write one like that, \
                or leave it out and ask for one to be made";
            errors.push(pointer.at(index).error(message));
        }
    }
}
