//! A trigger as configured (triggers-and-delivery.md 1): what fires, when, and where to.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Text, TriggerId};

/// What a tenant configures to be told of its calls.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trigger {
    /// Made by the server.
    pub id: TriggerId,
    /// For people.
    pub name: Text,
    /// Disabled: nothing fires.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Why the system switched it off; empty = it did not.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub disabled_reason: Text,
    /// Fires, but deliveries are owed until it is resumed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub paused: bool,
    /// What fires it.
    #[serde(default)]
    pub event: EventName,
    /// All must hold; empty = every session.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// One request per call, or also one per correction.
    #[serde(default)]
    pub revisions: Revisions,
    /// Where to. May hold secrets: never printed whole.
    pub url: Text,
    /// How.
    #[serde(default)]
    pub method: Method,
    /// Body of POST and PUT.
    #[serde(default)]
    pub format: Format,
    /// Style of the payload.
    #[serde(default)]
    pub payload: Payload,
    /// Static additions to the payload.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_data: BTreeMap<Text, Text>,
    /// Static headers. Values may be secrets: never printed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<Text, Text>,
    /// How we identify ourselves to the receiver.
    #[serde(default, skip_serializing_if = "Auth::is_none")]
    pub auth: Auth,
    /// `whsec_…`, signs by Standard Webhooks; the newest first, at most two.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Text>,
    /// Tries after the first, 0–10.
    #[serde(default = "one")]
    pub retries: u8,
    /// After which failures.
    #[serde(default)]
    pub retry_on: RetryOn,
    /// What counts as delivered.
    #[serde(default)]
    pub success: Success,
    /// What happens while the receiver is down.
    #[serde(default)]
    pub while_down: WhileDown,
    /// Switches the trigger off after so many failed tries. With it nothing is held back while the receiver is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_disable: Option<AutoDisable>,
    /// Fires for every tenant below the owner too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub include_subaccounts: bool,
    /// Fires only for these; empty = all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<Text>,
    /// Requests per second of the lane; none = no limit of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<u32>,
}

/// URL, headers, credentials and additions may hold secrets: they are not printed.
impl fmt::Debug for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trigger")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("enabled", &self.enabled)
            .field("event", &self.event)
            .field("filters", &self.filters.len())
            .field("method", &self.method)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

fn yes() -> bool {
    true
}

fn one() -> u8 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}

/// What can fire a trigger; more names come with live events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum EventName {
    /// The session record is ready, or corrected.
    #[default]
    #[serde(rename = "call.completed")]
    CallCompleted,
    /// A delivery was given up: its tries are used up.
    #[serde(rename = "delivery.exhausted")]
    DeliveryExhausted,
    /// A trigger's receiver counts as down: what it fires waits.
    #[serde(rename = "trigger.failing")]
    TriggerFailing,
    /// It answers again.
    #[serde(rename = "trigger.recovered")]
    TriggerRecovered,
    /// The system switched a trigger off.
    #[serde(rename = "trigger.disabled")]
    TriggerDisabled,
}

impl EventName {
    /// Every one that can be configured.
    pub const ALL: [Self; 5] = [
        Self::CallCompleted,
        Self::DeliveryExhausted,
        Self::TriggerFailing,
        Self::TriggerRecovered,
        Self::TriggerDisabled,
    ];

    /// As written in configuration and payloads.
    pub fn name(self) -> &'static str {
        match self {
            Self::CallCompleted => "call.completed",
            Self::DeliveryExhausted => "delivery.exhausted",
            Self::TriggerFailing => "trigger.failing",
            Self::TriggerRecovered => "trigger.recovered",
            Self::TriggerDisabled => "trigger.disabled",
        }
    }

    /// The system tells it of itself: a [`crate::Notice`], not a call.
    pub fn is_notice(self) -> bool {
        self != Self::CallCompleted
    }
}

/// One condition, as written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// A key of the record, `tags.<key>`, `directoryMatches.<key>`, or a derived field.
    pub field: Text,
    /// The operator.
    pub op: Text,
    /// Its value as written, so that a decimal stays exact; none for `exists`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Box<RawValue>>,
    /// The exact complement.
    #[serde(default, skip_serializing_if = "is_false")]
    pub not: bool,
    /// Turns folding off.
    #[serde(default, skip_serializing_if = "is_false")]
    pub case_sensitive: bool,
}

/// Whether corrections are told too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Revisions {
    /// One request per call.
    #[default]
    First,
    /// One per revision; also when a revision no longer matches.
    All,
}

/// The HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are HTTP's")]
pub enum Method {
    Get,
    #[default]
    Post,
    Put,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        })
    }
}

/// The body of POST and PUT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `application/json`.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// The style of the payload; `kazoo` and `template` come with live events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Payload {
    /// Seed 002.
    #[default]
    Session,
}

/// How we identify ourselves to the receiver.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind", deny_unknown_fields)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// RFC 7617.
    #[expect(missing_docs, reason = "RFC 7617's own names")]
    Basic { user: Text, password: Text },
    /// RFC 6750.
    #[expect(missing_docs, reason = "RFC 6750's own name")]
    Bearer { token: Text },
    /// RFC 6749, 4.4: client credentials. The token is asked for at `token_url`, kept, and renewed before it ends.
    #[serde(rename_all = "camelCase")]
    Oauth2 {
        /// Where tokens are asked for; https, and checked like a trigger's URL.
        token_url: Text,
        /// Who we are there.
        client_id: Text,
        /// Our password there.
        client_secret: Text,
        /// What the token is for, separated by spaces; empty = what the server gives by itself.
        #[serde(default, skip_serializing_if = "str::is_empty")]
        scope: Text,
        /// More fields of the request, such as `audience` or `resource`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        parameters: BTreeMap<Text, Text>,
    },
    /// TLS with a certificate of ours.
    Certificate {
        /// The chain, ours first, in PEM.
        chain: Text,
        /// Its private key, in PEM (PKCS#8, PKCS#1 or SEC1), not encrypted.
        key: Text,
    },
}

impl Auth {
    /// Nothing is configured.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// Never prints a secret.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic(…)",
            Self::Bearer { .. } => "Bearer(…)",
            Self::Oauth2 { .. } => "Oauth2(…)",
            Self::Certificate { .. } => "Certificate(…)",
        })
    }
}

/// After which failures a delivery is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RetryOn {
    /// Every failure.
    #[default]
    Any,
    /// Transport errors, timeouts, 408, 425, 429, 5xx.
    Transient,
    /// Only where no HTTP answer came.
    Unanswered,
}

/// What counts as delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Success {
    /// Any 2xx.
    #[default]
    #[serde(rename = "2xx")]
    Any2xx,
    /// 200, and 201 for PUT.
    #[serde(rename = "kazoo")]
    Kazoo,
}

/// After how many failed tries a trigger is switched off; Kazoo's rule is 6 in 60 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AutoDisable {
    /// Failed tries, at least 1.
    pub failures: u32,
    /// Within so many seconds, at least 1.
    pub within: u32,
}

impl Trigger {
    /// What it fires waits while its receiver is down (`whileDown: hold`, and no `autoDisable`).
    pub fn holds(&self) -> bool {
        self.while_down == WhileDown::Hold && self.auto_disable.is_none()
    }
}

/// What happens while the receiver is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhileDown {
    /// Deliveries wait.
    #[default]
    Hold,
    /// Deliveries use their tries up.
    Fail,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_in_a_log_shows_no_secret() {
        let text = r#"{"id":"00000000-0000-0000-0000-000000000001","name":"CRM",
            "url":"https://hooks.example/s3cret","headers":{"x-key":"s3cret"},"customData":{"key":"s3cret"},
            "auth":{"kind":"bearer","token":"s3cret"},"secrets":["whsec_s3cret"]}"#;
        let trigger: Trigger = serde_json::from_str(text).unwrap();
        let shown = format!("{trigger:?}");
        assert!(shown.contains("CRM") && !shown.contains("s3cret"), "{shown}");
    }
}
