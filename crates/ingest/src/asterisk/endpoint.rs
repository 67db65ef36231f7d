//! Names of channels and files: what they tell of the endpoint behind them, and of a recording.

use ringpost_model::Text;

/// A channel that took another's place carries that one's name after one of these.
const STAND_INS: [&str; 3] = ["AsyncGoto/", "Parked/", "Bridge/"];

/// `Local/…`: one half of a pair inside the switch.
pub(super) fn is_local(channel: &str) -> bool {
    channel.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("Local/"))
}

/// The name that both halves of a pair have.
pub(super) fn pair(channel: &str) -> &str {
    channel.strip_suffix(";1").or_else(|| channel.strip_suffix(";2")).unwrap_or(channel)
}

/// `PJSIP/alice-0000002a` is `alice`.
pub(super) fn endpoint(channel: &str) -> &str {
    let mut channel = channel;
    while let Some(rest) = STAND_INS.iter().find_map(|name| channel.strip_prefix(name)) {
        channel = rest;
    }
    let channel = channel.strip_suffix("<ZOMBIE>").unwrap_or(channel);
    let name = channel.split_once('/').map_or(channel, |(_, name)| name);
    name.rsplit_once('-').map_or(name, |(name, _)| name)
}

/// Id of a recording: the file's base name without its extension.
pub(super) fn recording(file: Option<impl AsRef<str>>) -> Option<Text> {
    let file = file?;
    let base = file.as_ref().trim().rsplit(['/', '\\']).next().unwrap_or_default();
    let is_extension =
        |end: &str| end.starts_with(|first: char| first.is_ascii_alphabetic()) && end.len() <= 6;
    let id = match base.rsplit_once('.') {
        Some((id, end)) if is_extension(end) && !id.is_empty() => id,
        _ => base,
    };
    (!id.is_empty()).then(|| id.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_without_technology_and_suffix_is_the_endpoint() {
        for (channel, name) in [
            ("PJSIP/alice-0000002a", "alice"),
            ("SIP/dev_34-1-00000026", "dev_34-1"),
            ("DAHDI/i1/5551234-1", "i1/5551234"),
            ("AsyncGoto/PJSIP/bob-00000001", "bob"),
            ("PJSIP/carol-00000001<ZOMBIE>", "carol"),
            ("", ""),
        ] {
            assert_eq!(endpoint(channel), name);
        }
        assert_eq!(pair("Local/1002@default-00000005;2"), "Local/1002@default-00000005");
    }
}
