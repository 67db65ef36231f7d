//! The rest of a trigger, beside its filters, as it is checked when it is saved (triggers-and-delivery.md 1).

mod auth;
mod headers;
mod secret;
mod url;

use ringpost_model::{Format, Method, Trigger};

use crate::error::{FilterError, Pointer};
use crate::limits::{CUSTOM_KEYS, ERRORS, NAME_BYTES, RETRIES, VALUE_BYTES};

/// What the operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// URLs with `http`: tests and closed networks only, since everything on the way reads along.
    pub allow_http: bool,
}

/// All mistakes of a trigger but those of its filters, which [`Compiled::new`](crate::Compiled::new) finds, and those
/// inside a certificate, which are for who speaks TLS (`ringpost_deliver::check_certificate`): one for each, at most
/// [`ERRORS`]. No message repeats a value that may be a secret.
pub fn check(trigger: &Trigger, policy: &Policy) -> Vec<FilterError> {
    let root = Pointer::root();
    let mut errors = Vec::new();
    name(trigger, &root, &mut errors);
    event(trigger, &root, &mut errors);
    url::check(trigger, policy, &root.at("url"), &mut errors);
    format(trigger, &root, &mut errors);
    custom_data(trigger, &root.at("customData"), &mut errors);
    headers::check(trigger, &root.at("headers"), &mut errors);
    auth::check(trigger, policy, &root.at("auth"), &mut errors);
    secret::check(trigger, &root.at("secrets"), &mut errors);
    if trigger.retries > RETRIES {
        let message = format!("{} retries: write 0 to {RETRIES}", trigger.retries);
        errors.push(root.at("retries").error(message));
    }
    if trigger.rate_limit == Some(0) {
        let message = "0 requests per second would send nothing: write at least 1, or pause the trigger";
        errors.push(root.at("rateLimit").error(message));
    }
    environments(trigger, &root.at("environments"), &mut errors);
    errors.truncate(ERRORS);
    errors
}

fn name(trigger: &Trigger, root: &Pointer, errors: &mut Vec<FilterError>) {
    if trigger.name.trim().is_empty() {
        errors.push(root.at("name").error("the name is empty: write one that says what the trigger is for"));
    } else if trigger.name.len() > NAME_BYTES {
        errors.push(
            root.at("name").error(format!("the name has {} bytes: at most {NAME_BYTES}", trigger.name.len())),
        );
    }
}

fn event(trigger: &Trigger, root: &Pointer, errors: &mut Vec<FilterError>) {
    if trigger.event.is_notice() && !trigger.filters.is_empty() {
        let message = format!("{} has no call to filter by: leave the filters out", trigger.event.name());
        errors.push(root.at("filters").error(message));
    }
}

fn format(trigger: &Trigger, root: &Pointer, errors: &mut Vec<FilterError>) {
    if trigger.method == Method::Get && trigger.format == Format::Form {
        let message = "GET has no body, its data goes into the URL: leave the format out, or use POST or PUT";
        errors.push(root.at("format").error(message));
    }
}

fn custom_data(trigger: &Trigger, pointer: &Pointer, errors: &mut Vec<FilterError>) {
    let data = &trigger.custom_data;
    if data.len() > CUSTOM_KEYS {
        errors.push(pointer.error(format!("{} keys: at most {CUSTOM_KEYS}", data.len())));
        return;
    }
    for (key, value) in data {
        let pointer = pointer.at(key);
        if key.is_empty() {
            errors.push(
                pointer.error("the key is empty: write the name under which the receiver looks for it"),
            );
        } else if key.len() > NAME_BYTES {
            errors.push(pointer.error(format!("the key has {} bytes: at most {NAME_BYTES}", key.len())));
        }
        if value.len() > VALUE_BYTES {
            errors.push(pointer.error(format!("the value has {} bytes: at most {VALUE_BYTES}", value.len())));
        }
    }
}

fn environments(trigger: &Trigger, pointer: &Pointer, errors: &mut Vec<FilterError>) {
    for (index, environment) in trigger.environments.iter().enumerate() {
        if environment.is_empty() {
            errors.push(
                pointer
                    .at(index)
                    .error("the environment is empty: write its name, or leave the list empty for all"),
            );
        }
    }
}

#[cfg(test)]
mod tests;
