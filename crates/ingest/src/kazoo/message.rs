//! One message with its keys in any spelling: `Call-ID` on the bus, `call_id` in a webhook, `callid` in old ones.

use std::collections::HashMap;

use crate::node::Node;

/// Keys without hyphens and underscores, in small letters.
#[derive(Debug, Default)]
struct Keys<'a>(HashMap<String, &'a Node<'a>>);

/// A message and the variables in it.
#[derive(Debug)]
pub(super) struct Message<'a> {
    keys: Keys<'a>,
    channel: Keys<'a>,
    application: Keys<'a>,
    /// The name that is told around the message (webhooks of Kazoo 5, version 2).
    outer_name: Option<&'a str>,
}

impl<'a> Keys<'a> {
    /// A key that comes twice counts as it came last.
    fn read(node: Option<&'a Node<'a>>) -> Self {
        let entries = node.map(Node::entries).unwrap_or_default();
        Self(entries.iter().map(|(key, value)| (squashed(key), value)).collect())
    }

    fn get(&self, key: &str) -> Option<&'a Node<'a>> {
        debug_assert_eq!(squashed(key), key, "keys are asked for as they are kept");
        self.0.get(key).copied()
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        let text = self.get(key)?.text()?.trim();
        // What Erlang writes where there is nothing.
        (!matches!(text, "" | "undefined" | "null")).then_some(text)
    }
}

fn squashed(key: &str) -> String {
    key.chars().filter(|char| !matches!(char, '-' | '_')).map(|char| char.to_ascii_lowercase()).collect()
}

impl<'a> Message<'a> {
    pub(super) fn read(node: &'a Node<'a>) -> Self {
        let outer = Keys::read(Some(node));
        // Signed webhooks wrap their event in `data`, old websockets in `args`.
        let inner = ["data", "args"].iter().find_map(|key| outer.get(key));
        let inner = inner.filter(|inner| matches!(inner, Node::Object(_)));
        let is_bare = ["callid", "eventname", "hookevent"].iter().any(|key| outer.get(key).is_some());
        let (keys, outer_name) = match inner {
            Some(inner) if !is_bare => (Keys::read(Some(inner)), outer.text("name")),
            _ => (outer, None),
        };
        let channel = Keys::read(keys.get("customchannelvars"));
        let application = Keys::read(keys.get("customapplicationvars"));
        Self { keys, channel, application, outer_name }
    }

    pub(super) fn node(&self, key: &str) -> Option<&'a Node<'a>> {
        self.keys.get(key)
    }

    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.keys.text(key)
    }

    /// The first of these that is there.
    pub(super) fn first(&self, keys: &[&str]) -> Option<&'a str> {
        keys.iter().find_map(|key| self.text(key))
    }

    /// The event's name.
    pub(super) fn name(&self) -> Option<&'a str> {
        self.first(&["eventname", "hookevent"]).or(self.outer_name)
    }

    /// What applications and call flows set on a call for their own use.
    pub(super) fn tags(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let set = self.node("customapplicationvars").map(Node::entries).unwrap_or_default();
        set.iter().filter_map(|(name, value)| Some((name.as_ref(), value.text()?)))
    }

    /// A variable of the channel, which stored records and webhooks lift to the top.
    pub(super) fn of_leg(&self, key: &str) -> Option<&'a str> {
        self.channel.text(key).or_else(|| self.keys.text(key)).or_else(|| self.application.text(key))
    }

    /// The same of values that are no texts.
    pub(super) fn node_of_leg(&self, key: &str) -> Option<&'a Node<'a>> {
        self.channel.get(key).or_else(|| self.keys.get(key))
    }

    /// A key of an object inside the message.
    pub(super) fn inside(&self, object: &str, key: &str) -> Option<&'a str> {
        Keys::read(self.keys.get(object)).text(key)
    }

    pub(super) fn is_true(&self, key: &str) -> bool {
        self.of_leg(key).is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1")
    }

    /// The user part of a SIP address: `1000@acct.example` is `1000`.
    pub(super) fn user(&self, key: &str) -> Option<&'a str> {
        self.text(key).and_then(user_of)
    }

    pub(super) const fn outer_name(&self) -> Option<&'a str> {
        self.outer_name
    }
}

/// `sip:1000@acct.example;transport=udp` is `1000`. Kazoo writes `nouser` where there is none.
pub(super) fn user_of(address: &str) -> Option<&str> {
    let address = address.trim_start_matches("sips:").trim_start_matches("sip:");
    let user = address.split(['@', ';']).next().unwrap_or_default().trim();
    (!matches!(user, "" | "nouser" | "undefined" | "unknown")).then_some(user)
}
