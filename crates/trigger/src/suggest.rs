//! The nearest of the right words to a misspelled one.

/// Longest word that is compared: beyond it nobody meant one of ours.
const LONGEST: usize = 40;

/// The candidate that `word` most probably stands for; none when nothing is near.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(LONGEST + 1).flat_map(char::to_lowercase).collect();
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let tolerated = 1 + word.len() / 4;
    let near = |candidate: &'a str| {
        let other: Vec<char> = candidate.chars().flat_map(char::to_lowercase).collect();
        (distance(&word, &other), candidate)
    };
    candidates
        .into_iter()
        .map(near)
        .filter(|(distance, _)| *distance <= tolerated)
        .min()
        .map(|(_, found)| found)
}

/// Insertions, deletions, replacements and swaps of neighbours that make one from the other.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut before = vec![0; other.len() + 1];
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, char) in one.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, compared) in other.iter().enumerate() {
            let replaced = last[column] + usize::from(char != compared);
            let mut best = replaced.min(last[column + 1] + 1).min(next[column] + 1);
            let is_swap = row > 0
                && column > 0
                && one[row - 1] == *compared
                && other[column - 1] == *char
                && char != compared;
            if is_swap {
                best = best.min(before[column - 1] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut last, next);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 5] = ["ddiNum", "ddiName", "cliNum", "lostinPark", "talk"];

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        for (typed, meant) in
            [("ddinum", "ddiNum"), ("dddiNum", "ddiNum"), ("lostInPark", "lostinPark"), ("takl", "talk")]
        {
            assert_eq!(nearest(typed, WORDS), Some(meant));
        }
    }

    #[test]
    fn a_word_like_none_gets_no_proposal() {
        assert_eq!(nearest("customer", WORDS), None);
        assert_eq!(nearest("", WORDS), None);
        assert_eq!(nearest(&"d".repeat(100_000), WORDS), None);
    }
}
