//! The kinds of resource: which keys they have, and what may stand there.

use ringpost_model::{
    AutoDisable, Dialect, EventName, Filter, Format, Limits, Method, Payload, Pbx, PbxKey, RetryOn,
    Revisions, Success, Tenant, TenantId, TenantKey, Text, Thresholds, Trigger, TriggerId, WhileDown,
};
use ringpost_numbers::Region;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::fields::{Fields, Reading};
use super::node::{Node, Value};
use super::{OwnedTrigger, PbxWithTokens, Token};

mod auth;
mod sides;

use self::auth::auth;
use self::sides::sides;

/// Live calls of a tenant: as `sessions.max_live` of the configuration.
const MOST_LIVE: u32 = 100_000_000;
/// Namespace of ids that are made of names, so that the same files give the same ids on every machine.
const NAMESPACE: Uuid = Uuid::from_u128(0x0b9e4c57_1f0a_5d84_8a35_9c6e27d1f4b2);

/// A trigger's id where its file gives none: of its owner's key and its name.
pub(crate) fn trigger_id(owner: &TenantKey, name: &str) -> TriggerId {
    TriggerId(Uuid::new_v5(&NAMESPACE, format!("trigger\u{1f}{owner}\u{1f}{name}").as_bytes()))
}

/// A tenant's id where its file gives none: of its key.
pub fn tenant_id(key: &TenantKey) -> TenantId {
    TenantId(Uuid::new_v5(&NAMESPACE, format!("tenant\u{1f}{key}").as_bytes()))
}

/// A resource for messages: by what its file calls it.
fn subject(kind: &str, node: &Node, name: &str) -> String {
    node.get(name).and_then(Node::as_text).map_or_else(|| kind.to_owned(), |text| format!("{kind} {text:?}"))
}

pub(crate) fn tenant(reading: &mut Reading<'_>, node: &Node) -> Option<Tenant> {
    let mut fields = Fields::new(reading, &subject("tenant", node, "key"), "", node)?;
    let key = fields.required("key").map(|_| ()).and_then(|()| fields.parsed("key", tenant_key));
    let id = fields.parsed("id", uuid);
    let tenant = key.map(|key| Tenant {
        id: id.map_or_else(|| tenant_id(&key), TenantId),
        key,
        name: fields.text("name").unwrap_or_default().into(),
        parent: fields.parsed("parent", tenant_key),
        zone: fields.parsed("zone", zone),
        region: fields.parsed("region", region).unwrap_or_default(),
        thresholds: thresholds(&mut fields),
        limits: limits(&mut fields),
    });
    // Without a key the rest has not been asked for, and would count as unknown.
    if tenant.is_some() {
        fields.finish();
    }
    tenant
}

fn thresholds(fields: &mut Fields<'_, '_, '_>) -> Thresholds {
    let default = Thresholds::default();
    let Some(mut inner) = fields.nested("thresholds") else { return default };
    let thresholds = Thresholds {
        short_ring: inner.number("shortRing", 0..=3600).unwrap_or(default.short_ring),
        short_talk: inner.number("shortTalk", 0..=3600).unwrap_or(default.short_talk),
    };
    inner.finish();
    thresholds
}

fn limits(fields: &mut Fields<'_, '_, '_>) -> Limits {
    let Some(mut inner) = fields.nested("limits") else { return Limits::default() };
    let limits = Limits { max_live: inner.number("maxLive", 1..=MOST_LIVE) };
    inner.finish();
    limits
}

pub(crate) fn pbx(reading: &mut Reading<'_>, node: &Node) -> Option<PbxWithTokens> {
    let mut fields = Fields::new(reading, &subject("pbx", node, "key"), "", node)?;
    let key = fields.required("key").map(|_| ()).and_then(|()| fields.parsed("key", pbx_key));
    let dialects = Dialect::ALL.map(|dialect| (dialect.name(), dialect));
    let pbx = key.map(|key| PbxWithTokens {
        pbx: Pbx {
            key,
            guid: fields.text("guid").unwrap_or_default().into(),
            name: fields.text("name").unwrap_or_default().into(),
            tenant: fields.parsed("tenant", tenant_key),
            zone: fields.parsed("zone", zone),
            region: fields.parsed("region", region).unwrap_or_default(),
            dialect: fields.one_of("dialect", &dialects).unwrap_or_default(),
            environment: fields.text("environment").unwrap_or_default().into(),
            sides: sides(&mut fields),
        },
        tokens: tokens(&mut fields),
    });
    if pbx.is_some() {
        fields.finish();
    }
    pbx
}

/// Shortest token: 16 characters of a random text cannot be guessed over the network.
const TOKEN_BYTES: usize = 16;

/// `tokens = ["…"]`, or objects of token, tenant and name for a platform of several tenants.
fn tokens(fields: &mut Fields<'_, '_, '_>) -> Vec<Token> {
    let Some(node) = fields.node("tokens") else { return Vec::new() };
    let Value::List(nodes) = &node.value else {
        fields.wrong(
            node.at,
            "tokens",
            format!("{} is no list", node.shown()),
            "write it in brackets: [\"…\"]",
        );
        return Vec::new();
    };
    nodes.iter().enumerate().filter_map(|(index, node)| token(fields, index, node)).collect()
}

fn token(fields: &mut Fields<'_, '_, '_>, index: usize, node: &Node) -> Option<Token> {
    let part = format!("tokens/{index}");
    if node.get("token").is_none() {
        let token = fields.secret_at(&part, node)?;
        check_token(fields, node.at, &part, &token);
        return Some(Token { token, tenant: None, name: Text::default() });
    }
    let subject = fields.subject().to_owned();
    let mut inner = Fields::new(fields.reading, &subject, &format!("/{part}"), node)?;
    let token = inner.secret("token");
    if let Some(token) = &token {
        check_token(&mut inner, node.at, "token", token);
    }
    let tenant = inner.parsed("tenant", tenant_key);
    let name = inner.text("name").unwrap_or_default().into();
    inner.finish();
    Some(Token { token: token?, tenant, name })
}

fn check_token(fields: &mut Fields<'_, '_, '_>, at: usize, part: &str, token: &str) {
    let in_a_path = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'~');
    if token.len() < TOKEN_BYTES || !token.bytes().all(in_a_path) {
        let wrong = "no token: it stands in headers and paths";
        let instead = "write 16 or more of A-Z a-z 0-9 . _ - ~, such as `openssl rand -hex 16` gives";
        fields.wrong(at, part, wrong, instead);
    }
}

pub(crate) fn trigger(reading: &mut Reading<'_>, node: &Node) -> Option<OwnedTrigger> {
    let mut fields = Fields::new(reading, &subject("trigger", node, "name"), "", node)?;
    let owner = fields.required("tenant").map(|_| ()).and_then(|()| fields.parsed("tenant", tenant_key));
    let name: Option<Text> = fields.required("name").map(Into::into);
    let id = fields.parsed("id", uuid).map(TriggerId);
    let url = fields.node("url").map(|_| ()).and_then(|()| fields.secret("url"));
    if url.is_none() && node.get("url").is_none() {
        fields.wrong(node.at, "url", "missing", "write url = \"https://…\"");
    }
    let rest = trigger_rest(&mut fields);
    fields.finish();
    let (owner, name, url) = (owner?, name?, url?);
    let id = id.unwrap_or_else(|| trigger_id(&owner, &name));
    Some(OwnedTrigger { owner, trigger: Trigger { id, name, url: url.into(), ..rest } })
}

/// Everything but what a trigger must have; it is asked for even where that is missing, for its own mistakes.
fn trigger_rest(fields: &mut Fields<'_, '_, '_>) -> Trigger {
    let methods = [("POST", Method::Post), ("PUT", Method::Put), ("GET", Method::Get)];
    let events = EventName::ALL.map(|event| (event.name(), event));
    let retry_on =
        [("any", RetryOn::Any), ("transient", RetryOn::Transient), ("unanswered", RetryOn::Unanswered)];
    Trigger {
        id: TriggerId(Uuid::nil()),
        name: Text::default(),
        enabled: fields.flag("enabled").unwrap_or(true),
        disabled_reason: Text::default(),
        paused: fields.flag("paused").unwrap_or(false),
        event: fields.one_of("event", &events).unwrap_or_default(),
        filters: filters(fields),
        revisions: fields
            .one_of("revisions", &[("first", Revisions::First), ("all", Revisions::All)])
            .unwrap_or_default(),
        url: Text::default(),
        method: fields.one_of("method", &methods).unwrap_or_default(),
        format: fields
            .one_of("format", &[("json", Format::Json), ("form", Format::Form)])
            .unwrap_or_default(),
        payload: fields.one_of("payload", &[("session", Payload::Session)]).unwrap_or_default(),
        custom_data: fields.pairs("customData"),
        headers: fields.pairs("headers"),
        auth: auth(fields),
        secrets: secrets(fields),
        retries: fields.number("retries", 0..=10).map_or(1, |retries| u8::try_from(retries).unwrap_or(10)),
        retry_on: fields.one_of("retryOn", &retry_on).unwrap_or_default(),
        success: fields
            .one_of("success", &[("2xx", Success::Any2xx), ("kazoo", Success::Kazoo)])
            .unwrap_or_default(),
        while_down: fields
            .one_of("whileDown", &[("hold", WhileDown::Hold), ("fail", WhileDown::Fail)])
            .unwrap_or_default(),
        auto_disable: auto_disable(fields),
        include_subaccounts: fields.flag("includeSubaccounts").unwrap_or(false),
        environments: fields.texts("environments").into_iter().map(Into::into).collect(),
        rate_limit: fields.number("rateLimit", 1..=100_000),
    }
}

/// A trigger in a file, for who only looks at its filters.
pub(crate) struct TriggerNode<'a> {
    pub(crate) name: &'a str,
    /// Its owner's region, where the same file says it.
    pub(crate) region: Option<&'a str>,
    pub(crate) node: &'a Node,
}

/// The triggers of a file of resources, or the one that the file is.
pub(crate) fn trigger_nodes(document: &Node) -> Vec<TriggerNode<'_>> {
    fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
        node.get(key).and_then(Node::as_text)
    }
    let list = |key: &str| document.get(key).map_or(&[][..], Node::elements);
    let nodes: Vec<&Node> = match document.get("filters") {
        Some(_) => vec![document],
        None => list("trigger").iter().collect(),
    };
    let found = nodes.into_iter().map(|node| {
        let owner = text(node, "tenant");
        let tenant = list("tenant").iter().find(|tenant| owner.is_some() && text(tenant, "key") == owner);
        TriggerNode {
            name: text(node, "name").unwrap_or_default(),
            region: tenant.and_then(|tenant| text(tenant, "region")),
            node,
        }
    });
    found.collect()
}

/// The filters of a trigger.
pub(crate) fn filters_of(reading: &mut Reading<'_>, node: &Node) -> Vec<Filter> {
    let subject = subject("trigger", node, "name");
    Fields::new(reading, &subject, "", node).map(|mut fields| filters(&mut fields)).unwrap_or_default()
}

fn filters(fields: &mut Fields<'_, '_, '_>) -> Vec<Filter> {
    let Some(node) = fields.node("filters") else { return Vec::new() };
    let Value::List(nodes) = &node.value else {
        fields.wrong(node.at, "filters", format!("{} is no list", node.shown()), "write a list of filters");
        return Vec::new();
    };
    let subject = fields.subject().to_owned();
    let read = nodes.iter().enumerate().filter_map(|(index, node)| {
        let mut inner = Fields::new(fields.reading, &subject, &format!("/filters/{index}"), node)?;
        let field = inner.required("field").map(Into::into);
        let op = inner.required("op").map(Into::into);
        let value = inner.node("value").map(Node::to_json);
        let not = inner.flag("not").unwrap_or(false);
        let case_sensitive = inner.flag("caseSensitive").unwrap_or(false);
        inner.finish();
        let value = value.map(|json| RawValue::from_string(json).expect("a node prints as JSON"));
        Some(Filter { field: field?, op: op?, value, not, case_sensitive })
    });
    read.collect()
}

/// `autoDisable = { failures = 6, within = 60 }`, in seconds.
fn auto_disable(fields: &mut Fields<'_, '_, '_>) -> Option<AutoDisable> {
    let mut inner = fields.nested("autoDisable")?;
    let failures = inner.required_number("failures", 1..=10_000);
    let within = inner.required_number("within", 1..=86_400);
    inner.finish();
    Some(AutoDisable { failures: failures?, within: within? })
}

/// `secret = "whsec_…"`, or `secrets = [new, old]` during a rotation.
fn secrets(fields: &mut Fields<'_, '_, '_>) -> Vec<Text> {
    let one = fields.secret("secret");
    let at = fields.node("secrets").map(|node| node.at);
    let many = fields.texts("secrets");
    if let (Some(_), Some(at)) = (&one, at) {
        fields.wrong(at, "secrets", "secret is there too", "write one of the two");
    }
    one.into_iter().chain(many).map(Into::into).collect()
}

fn tenant_key(text: &str) -> Result<TenantKey, String> {
    TenantKey::new(text).map_err(|error| error.to_string())
}

fn pbx_key(text: &str) -> Result<PbxKey, String> {
    PbxKey::new(text).map_err(|error| error.to_string())
}

fn uuid(text: &str) -> Result<Uuid, String> {
    text.parse().map_err(|_| format!("{text:?} is no UUID; leave it out to have one made of the name"))
}

fn zone(text: &str) -> Result<chrono_tz::Tz, String> {
    ringpost_enrich::zone(text).map_err(|error| error.to_string())
}

fn region(text: &str) -> Result<Text, String> {
    Region::new(text).map(|region| region.to_string().into()).map_err(|error| error.to_string())
}
