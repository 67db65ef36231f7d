//! Text of others on a terminal: what switches, callers, receivers and files said moves no cursor, breaks no column,
//! and turns no writing round.

/// What stands for a character that was not shown.
const STAND_IN: char = '\u{fffd}';

/// One line of it: what cannot be seen becomes a sign that it was there.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|character| if is_harmful(character) { STAND_IN } else { character }).collect()
}

/// Control characters (of both sets, tab and line breaks too), and everything that has no width or changes how its
/// neighbours are written.
fn is_harmful(character: char) -> bool {
    let is_unseen = matches!(character,
        // Soft hyphen; marks of direction; joiners; embeddings and overrides; separators; invisible operators.
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        // Byte order mark; anchors of annotations; the tags, which hide text in text.
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    character.is_control() || is_unseen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_others_said_moves_the_cursor_or_hides() {
        let cases = [
            ("Dora Evans, Müller, 李", "Dora Evans, Müller, 李"),
            ("\u{1b}[2J\u{9b}31m", "\u{fffd}[2J\u{fffd}31m"),
            ("a\tb\r\nc", "a\u{fffd}b\u{fffd}\u{fffd}c"),
            ("abc\u{202e}txt.exe", "abc\u{fffd}txt.exe"),
            ("a\u{200b}b\u{2028}c\u{feff}d\u{e0041}", "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}"),
        ];
        for (text, expected) in cases {
            assert_eq!(harmless(text), expected, "{text:?}");
        }
    }
}
