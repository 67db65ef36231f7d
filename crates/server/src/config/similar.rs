//! Did you mean: the known word nearest to a mistyped one.

/// The nearest of `known`, when it is near enough to be meant.
pub(crate) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let best = known.map(|word| (distance(typed, word), word)).min()?;
    // A third of the letters wrong is still the same word to a person; more is another word.
    let near_enough = best.0 <= typed.chars().count().max(best.1.chars().count()).div_ceil(3);
    near_enough.then_some(best.1)
}

/// Edits that turn one word into the other: insert, delete, replace, swap neighbours.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (index, row) in rows.iter_mut().enumerate() {
        row[0] = index;
    }
    rows[0] = (0..=right.len()).collect();
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            let swapped = i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
            if swapped {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["settle", "gap", "max_idle", "late"];
        assert_eq!(nearest("setle", known.into_iter()), Some("settle"));
        assert_eq!(nearest("max-idel", known.into_iter()), Some("max_idle"));
        assert_eq!(nearest("colour", known.into_iter()), None);
    }
}
