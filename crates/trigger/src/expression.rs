//! Regular expressions: matched in linear time, bounded in size, and known by the texts that they cannot match
//! without, so that an index need not try each on every record.

use std::hash::{Hash, Hasher};

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind, Look};
use regex_syntax::{Parser, ParserBuilder};

use crate::fold::fold_char;
use crate::limits::{EXPRESSION_CACHE, EXPRESSION_NESTING, EXPRESSION_SIZE};

/// Most alternatives of required texts that are worth an index.
const ALTERNATIVES: usize = 32;
/// Largest class of characters that is spelt out: a letter in both cases, or `[,;:]`.
const CLASS: usize = 8;

/// A compiled expression.
#[derive(Debug, Clone)]
pub(crate) struct Expression {
    regex: Regex,
    /// Folded texts of which every text that matches, folded, contains at least one; none = nothing is known.
    required: Option<Box<[Box<str>]>>,
    /// Bytes of the shortest and the longest text that can match: a look at the length is cheaper than one inside.
    shortest: usize,
    longest: usize,
}

impl Expression {
    /// Compiles it; the error says what is wrong, as the end of a sentence.
    pub(crate) fn new(pattern: &str, folded: bool) -> Result<Self, String> {
        let parsed = parser(folded).parse(pattern).map_err(|error| explain(&error))?;
        let mut builder = RegexBuilder::new(pattern);
        builder.case_insensitive(folded).nest_limit(EXPRESSION_NESTING);
        builder.size_limit(EXPRESSION_SIZE).dfa_size_limit(EXPRESSION_CACHE);
        let regex =
            builder.build().map_err(|_| "it is too large: repeat less, or smaller parts".to_owned())?;
        let properties = parsed.properties();
        let is_whole = properties.look_set_prefix().contains(Look::Start)
            && properties.look_set_suffix().contains(Look::End);
        Ok(Self {
            regex,
            required: required(&parsed).map(Vec::into),
            shortest: properties.minimum_len().unwrap_or(0),
            longest: properties.maximum_len().filter(|_| is_whole).unwrap_or(usize::MAX),
        })
    }

    /// Matches somewhere in the text.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        (self.shortest..=self.longest).contains(&text.len()) && self.regex.is_match(text)
    }

    /// As written.
    pub(crate) fn pattern(&self) -> &str {
        self.regex.as_str()
    }

    /// See the field.
    pub(crate) fn required(&self) -> Option<&[Box<str>]> {
        self.required.as_deref()
    }
}

/// The same pattern; whether case matters stands beside it.
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.pattern() == other.pattern()
    }
}

impl Eq for Expression {}

impl Hash for Expression {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pattern().hash(state);
    }
}

fn parser(folded: bool) -> Parser {
    ParserBuilder::new().case_insensitive(folded).nest_limit(EXPRESSION_NESTING).build()
}

fn explain(error: &regex_syntax::Error) -> String {
    let (kind, at) = match error {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), error.span().start.offset),
        regex_syntax::Error::Translate(error) => (error.kind().to_string(), error.span().start.offset),
        _ => return "it is no regular expression".to_owned(),
    };
    format!("{kind} (at byte {at})")
}

fn required(hir: &Hir) -> Option<Vec<Box<str>>> {
    if let Some(text) = exactly(hir) {
        return (!text.is_empty()).then(|| vec![text.into()]);
    }
    match hir.kind() {
        HirKind::Concat(parts) => required_of_sequence(parts),
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(required(branch)?);
            }
            (all.len() <= ALTERNATIVES).then_some(all)
        }
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Class(class) => small_class(class),
        _ => None,
    }
}

/// Neighbours that are fixed make one text; the best of all is taken.
fn required_of_sequence(parts: &[Hir]) -> Option<Vec<Box<str>>> {
    let mut candidates: Vec<Vec<Box<str>>> = Vec::new();
    let mut run = String::new();
    for part in parts {
        match exactly(part) {
            Some(text) => run.push_str(&text),
            None => {
                candidates.push(vec![std::mem::take(&mut run).into()]);
                candidates.extend(required(part));
            }
        }
    }
    candidates.push(vec![run.into()]);
    let shortest = |texts: &[Box<str>]| texts.iter().map(|text| text.len()).min().unwrap_or(0);
    let best =
        candidates.into_iter().max_by_key(|texts| (shortest(texts), std::cmp::Reverse(texts.len())))?;
    (shortest(&best) > 0).then_some(best)
}

/// The one folded text of everything that this part can match. Places (`^`, `\b`) match the empty text.
fn exactly(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(String::new()),
        HirKind::Literal(literal) => {
            Some(std::str::from_utf8(&literal.0).ok()?.chars().map(fold_char).collect())
        }
        HirKind::Class(class) => match &*small_class(class)? {
            [text] => Some(text.to_string()),
            _ => None,
        },
        HirKind::Capture(capture) => exactly(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(exactly).collect(),
        _ => None,
    }
}

/// The folded characters of a class, if they are few.
fn small_class(class: &Class) -> Option<Vec<Box<str>>> {
    let Class::Unicode(class) = class else { return None };
    let size: usize = class.iter().map(|range| range.len()).sum();
    if size == 0 || size > CLASS {
        return None;
    }
    let folded = class.iter().flat_map(|range| range.start()..=range.end()).map(fold_char);
    let mut texts: Vec<Box<str>> = folded.map(|char| char.to_string().into()).collect();
    texts.sort_unstable();
    texts.dedup();
    Some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_required(pattern: &str, expected: &str) {
        let expression = Expression::new(pattern, true).unwrap();
        assert_eq!(
            expression.required().map_or("?".to_owned(), |texts| texts.join(" ")),
            expected,
            "{pattern}"
        );
    }

    fn check_error(pattern: &str, expected: &str) {
        assert_eq!(Expression::new(pattern, true).unwrap_err(), expected);
    }

    #[test]
    fn what_an_expression_cannot_do_without_is_found() {
        check_required("^Sales .*Desk$", "sales ");
        check_required("(?:Support|Verkauf) [0-9]+", "support verkauf");
        // The parser moves a common letter out of the branches.
        check_required("(?:support|Sales) [0-9]+", "upport ales");
        check_required("^\\+44(161|20)\\d+$", "+44");
        check_required("[aA]b?c*Köln\\b", "köln");
        check_required("(abc)+", "abc");
        check_required("x{2,3}yz", "yz");
    }

    #[test]
    fn an_expression_that_needs_no_text_says_so() {
        for pattern in ["\\d{4}", "a*", "(abc)?", "x|\\d", "."] {
            check_required(pattern, "?");
        }
    }

    #[test]
    fn the_length_of_a_text_decides_only_where_it_may() {
        let is_match = |pattern, text| Expression::new(pattern, true).unwrap().is_match(text);
        assert!(is_match("^.{2}$", "éé") && !is_match("^.{2}$", "ééé"));
        assert!(is_match("^ſ$", "s") && is_match("^s$", "ſ"), "folded letters may differ in length");
        assert!(is_match("(?m)^ab$", "x\nab") && is_match("^ab|b$", "xxxb") && is_match("ab$", "xxab"));
    }

    #[test]
    fn a_bad_expression_is_told_where() {
        check_error("(ab", "unclosed group (at byte 0)");
        check_error(
            "a(?=b)",
            "look-around, including look-ahead and look-behind, is not supported (at byte 1)",
        );
        check_error("(a)\\1", "backreferences are not supported (at byte 3)");
        check_error("\\w{1000}{1000}", "it is too large: repeat less, or smaller parts");
    }
}
