//! Dial strings and channel names: who is called, over which profile or gateway.

/// What a dial string or channel name says of the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way<'a> {
    /// `user/…`, `group/…`, verto: somebody of this switch.
    User,
    /// `sofia/gateway/<name>/…`, or a telephone line.
    Gateway(&'a str),
    /// `sofia/<profile>/…`.
    Profile(&'a str),
    /// `loopback/…`: a pair of pseudo legs.
    Loopback,
    /// Nothing that we know.
    Unknown,
}

/// One of the parties that a dial string calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) way: Way<'a>,
    /// Number or user name.
    pub(super) number: &'a str,
    /// Ring group, where it is dialled as one.
    pub(super) group: &'a str,
}

/// The parties of a dial string: `{variables}[variables]one,two|three:_:four`.
pub(super) fn targets(dial_string: &str) -> impl Iterator<Item = Target<'_>> {
    let mut rest = dial_string;
    std::iter::from_fn(move || {
        rest = without_variables(rest.trim_start_matches([',', '|', ' ']));
        let rest_of_separator = rest.strip_prefix(":_:");
        rest = without_variables(rest_of_separator.unwrap_or(rest));
        if rest.is_empty() {
            return None;
        }
        let end = end_of_target(rest);
        let (one, after) = rest.split_at(end);
        rest = after;
        Some(target(one.trim()))
    })
}

/// Variables in brackets before a target; they may hold commas and dial strings themselves.
fn without_variables(mut text: &str) -> &str {
    loop {
        let close = match text.as_bytes().first() {
            Some(b'{') => '}',
            Some(b'[') => ']',
            Some(b'<') => '>',
            _ => return text,
        };
        match text.find(close) {
            Some(end) => text = text[end + 1..].trim_start(),
            None => return "",
        }
    }
}

fn end_of_target(text: &str) -> usize {
    let separator = text.find([',', '|']).unwrap_or(text.len());
    let enterprise = text.find(":_:").unwrap_or(text.len());
    separator.min(enterprise).max(1).min(text.len())
}

/// Reads one target, or the name of a channel, which looks alike.
pub(super) fn target(text: &str) -> Target<'_> {
    let mut parts = text.splitn(3, '/');
    let kind = parts.next().unwrap_or_default();
    let first = parts.next().unwrap_or_default();
    let second = parts.next().unwrap_or_default();
    let target = |way, number| Target { way, number: user_of(number), group: "" };
    match kind {
        "user" | "directory" | "sofia_contact" | "verto.rtc" | "verto" | "rtc" | "skinny" => {
            target(Way::User, if second.is_empty() { first } else { second })
        }
        "group" => {
            Target { way: Way::User, number: "", group: first.split(['@', '+']).next().unwrap_or_default() }
        }
        "sofia" if first == "gateway" => {
            let (gateway, number) = second.split_once('/').unwrap_or((second, ""));
            target(Way::Gateway(gateway), number)
        }
        "sofia" => target(Way::Profile(first), second),
        "loopback" => target(Way::Loopback, first),
        "freetdm" | "FreeTDM" | "openzap" | "OpenZAP" | "dahdi" | "khomp" | "gsmopen" => {
            target(Way::Gateway(kind), second.rsplit('/').next().unwrap_or_default())
        }
        _ => target(Way::Unknown, if second.is_empty() { first } else { second }),
    }
}

/// The user or number of an address: `sip:1002@host;params` → `1002`.
fn user_of(address: &str) -> &str {
    let bare = address.trim_start_matches("sip:").trim_start_matches("sips:").trim_start_matches("tel:");
    let user = bare.split(['@', ';', '?', '^', '%']).next().unwrap_or_default();
    user.trim_matches(['"', '<', '>', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dial_string: &str, expected: &str) {
        let found: Vec<String> = targets(dial_string)
            .map(|target| match target.way {
                Way::User => format!("user {}{}", target.number, target.group),
                Way::Gateway(name) => format!("gateway {name} {}", target.number),
                Way::Profile(name) => format!("profile {name} {}", target.number),
                Way::Loopback => format!("loopback {}", target.number),
                Way::Unknown => format!("unknown {}", target.number),
            })
            .collect();
        assert_eq!(found.join(", "), expected, "{dial_string}");
    }

    #[test]
    fn dial_strings_name_their_parties() {
        check("user/1002@example.org", "user 1002");
        check(
            "{a=b,c=d}[x=1]user/1002@dom,[leg_timeout=5]user/1003|sofia/gateway/carrier/+4416",
            "user 1002, user 1003, gateway carrier +4416",
        );
        check("sofia/external/0161@192.0.2.1:5060", "profile external 0161");
        check("sofia/ipbxas/sip:dan@192.0.2.7:5060;alias=1~2;fs_path=sip:192.0.2.1", "profile ipbxas dan");
        check("loopback/app=voicemail:default dom 1002", "loopback app=voicemail:default dom 1002");
        check("user/1@d:_:user/2@d", "user 1, user 2");
        check("group/sales@dom", "user sales");
        check("freetdm/1/a/0161", "gateway freetdm 0161");
        check("verto.rtc/1007", "user 1007");
        check("error/user_busy", "unknown user_busy");
    }

    #[test]
    fn strange_dial_strings_end() {
        for text in ["", ",", "{", "[a", "{}", ",,|", ":_:", "user/", "sofia/gateway", "é,ü|", ":_::_:x"] {
            assert!(targets(text).count() <= 3, "{text}");
        }
    }
}
