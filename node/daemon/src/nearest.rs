//! The known word nearest to a mistyped one, for "did you mean" hints.

/// The candidate nearest to `word`, or `None` where nothing comes close.
///
/// Close means at most one slip in three letters: a letter wrong, missing, doubled, or swapped
/// with its neighbour. Of equally near candidates the first one wins.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = word.chars().count().min(LONGEST).div_ceil(3);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Letters compared at most; keeps the work small for a hostile text.
const LONGEST: usize = 40;

/// How many single-letter slips lie between two words (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().take(LONGEST).collect();
    let to: Vec<char> = to.chars().take(LONGEST).collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let differs = usize::from(from[i - 1] != to[j - 1]);
            let mut slips = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + differs);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                slips = slips.min(before_last[j - 2] + 1);
            }
            row.push(slips);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        let check = |from, to, want| {
            assert_eq!(distance(from, to), want, "{from} -> {to}");
            assert_eq!(distance(to, from), want, "{to} -> {from}");
        };
        check("", "", 0);
        check("", "abc", 3);
        check("socket", "sockt", 1);
        check("socket", "sokcet", 1);
        check("kitten", "sitting", 3);
        check("größe", "grösse", 2);
    }

    #[test]
    fn only_close_words_are_offered() {
        let check = |word, want| {
            assert_eq!(nearest(word, ["socket", "socket_mode", "http"]), want, "{word}");
        };
        check("sockt", Some("socket"));
        check("socketmode", Some("socket_mode"));
        check("htp", Some("http"));
        check("banana", None);
        check("", None);
    }
}
