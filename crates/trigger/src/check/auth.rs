//! How a trigger identifies us to its receiver. Messages never repeat a value: it may be a secret.

use std::collections::BTreeMap;

use ringpost_model::{Auth, Text, Trigger};

use super::{Policy, url};
use crate::error::{FilterError, Pointer};
use crate::limits::{NAME_BYTES, PARAMETERS, PEM_BYTES, VALUE_BYTES};

/// Fields of a token request that are made of other keys: by what they are written as.
const OURS: [(&str, &str); 4] = [
    ("grant_type", "it is always client_credentials"),
    ("client_id", "write it as \"clientId\""),
    ("client_secret", "write it as \"clientSecret\""),
    ("scope", "write it as \"scope\""),
];

pub(super) fn check(trigger: &Trigger, policy: &Policy, pointer: &Pointer, errors: &mut Vec<FilterError>) {
    match &trigger.auth {
        Auth::None => {}
        Auth::Basic { user, password } => {
            if user.contains(':') {
                let message =
                    "a user name with a colon cannot be told from its password (RFC 7617): leave it out";
                errors.push(pointer.at("user").error(message));
            }
            for (key, value) in [("user", user), ("password", password)] {
                errors.extend(text_refusal(value).map(|message| pointer.at(key).error(message)));
            }
        }
        Auth::Bearer { token } => bearer(token, &pointer.at("token"), errors),
        Auth::Oauth2 { token_url, client_id, client_secret, scope, parameters } => {
            let judged = url::judge(token_url, policy).err();
            errors.extend(judged.map(|message| pointer.at("tokenUrl").error(message)));
            for (key, value) in [("clientId", client_id), ("clientSecret", client_secret)] {
                let empty =
                    value.is_empty().then(|| "it is empty: write what the token server gave you".to_owned());
                let refusal = empty.or_else(|| text_refusal(value));
                errors.extend(refusal.map(|message| pointer.at(key).error(message)));
            }
            errors.extend(scope_refusal(scope).map(|message| pointer.at("scope").error(message)));
            check_parameters(parameters, &pointer.at("parameters"), errors);
        }
        Auth::Certificate { chain, key } => {
            for (name, pem) in [("chain", chain), ("key", key)] {
                let long = pem.len() > PEM_BYTES;
                let message = || format!("{} bytes: at most {PEM_BYTES}", pem.len());
                errors.extend(long.then(|| pointer.at(name).error(message())));
            }
        }
    }
}

fn text_refusal(value: &str) -> Option<String> {
    if value.chars().any(char::is_control) {
        return Some("there is a control character in it: write it without".to_owned());
    }
    (value.len() > VALUE_BYTES).then(|| format!("{} bytes: at most {VALUE_BYTES}", value.len()))
}

fn bearer(token: &str, pointer: &Pointer, errors: &mut Vec<FilterError>) {
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_token {
        let message = "a token is letters, digits and signs without spaces: write it without \"Bearer \"";
        errors.push(pointer.error(message));
    } else if token.len() > VALUE_BYTES {
        errors.push(pointer.error(format!("{} bytes: at most {VALUE_BYTES}", token.len())));
    }
}

/// RFC 6749, 3.3.
fn scope_refusal(scope: &str) -> Option<String> {
    let is_word = |word: &str| {
        let mut bytes = word.bytes();
        !word.is_empty() && bytes.all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
    };
    if !scope.is_empty() && !scope.split(' ').all(is_word) {
        let message = "a scope is words of printable ASCII without quotes, with one space between them: write it so, \
            or leave it out";
        return Some(message.to_owned());
    }
    (scope.len() > VALUE_BYTES).then(|| format!("{} bytes: at most {VALUE_BYTES}", scope.len()))
}

fn check_parameters(parameters: &BTreeMap<Text, Text>, pointer: &Pointer, errors: &mut Vec<FilterError>) {
    if parameters.len() > PARAMETERS {
        errors.push(pointer.error(format!("{} parameters: at most {PARAMETERS}", parameters.len())));
        return;
    }
    for (key, value) in parameters {
        let pointer = pointer.at(key);
        let ours = OURS.iter().find(|(ours, _)| *ours == &**key);
        if let Some((name, instead)) = ours {
            errors.push(pointer.error(format!("{name} is in the request already: {instead}")));
        } else if key.is_empty() || key.len() > NAME_BYTES {
            errors.push(pointer.error(format!("a name of 1 to {NAME_BYTES} bytes is wanted")));
        }
        if value.len() > VALUE_BYTES {
            errors.push(pointer.error(format!("the value has {} bytes: at most {VALUE_BYTES}", value.len())));
        }
    }
}
