//! Search words, pure. Titles and queries are split in the same way, so that they match.

use std::collections::BTreeSet;

/// Longer words are cut: nobody types more of one, and the end of a range is as long as the longest word.
const MAX_WORD: usize = 32;
/// The most words of a query.
const MAX_WORDS: usize = 8;

/// Why a query is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// No word.
    #[error("`q` must have at least one word")]
    NoWord,
    /// Too many words.
    #[error("`q` must have at most {MAX_WORDS} words")]
    TooMany,
}

/// The words of a text: in lower case, each once.
///
/// They consist of a to z and digits. Any other letter is written as `u` and its number in Unicode. Queries and titles
/// are treated alike, and databases sort plain letters alike under every collation, which [`beginning_with`] needs.
pub fn words(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(folded)
        .collect()
}

fn folded(word: &str) -> String {
    let mut plain = String::new();
    for c in word.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            plain.push(c);
        } else {
            plain += &format!("u{:x}", u32::from(c));
        }
    }
    plain.truncate(MAX_WORD);
    plain
}

/// The words of a query; every one of them must be found.
///
/// # Errors
/// No word, or too many.
pub fn asked(question: &str) -> Result<BTreeSet<String>, Invalid> {
    let words = words(question);
    match words.len() {
        0 => Err(Invalid::NoWord),
        1..=MAX_WORDS => Ok(words),
        _ => Err(Invalid::TooMany),
    }
}

/// The first and the last word that begin with `word`: a range of an index. `LIKE` does not use the index on every
/// database.
pub fn beginning_with(word: &str) -> (&str, String) {
    (word, format!("{word:z<MAX_WORD$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        words(text).into_iter().collect()
    }

    #[test]
    fn case_signs_and_repetitions_make_no_difference() {
        assert_eq!(
            list("Rustic, STEEL steel-kettle!"),
            ["kettle", "rustic", "steel"]
        );
        assert_eq!(list(" - "), [""; 0]);
        assert_eq!(list("Über"), list("ÜBER"));
        assert_ne!(list("Über"), list("Uber"));
    }

    #[test]
    fn a_range_has_the_words_with_the_prefix_and_no_others() {
        let (first, last) = beginning_with("steel");
        let holds = |word: &str| first <= word && word <= last.as_str();
        for word in [
            "steel",
            "steels",
            "steelzzz",
            "steel9",
            &format!("{:z<32}", "steel"),
        ] {
            assert!(holds(word), "{word}");
        }
        for word in ["stee", "steam", "stef", "t", ""] {
            assert!(!holds(word), "{word}");
        }
    }

    #[test]
    fn a_very_long_word_is_found_by_itself() {
        let endless = "x".repeat(100);
        let word = &list(&endless)[0];
        assert_eq!(beginning_with(word), (word.as_str(), word.clone()));
    }

    #[test]
    fn a_query_has_one_to_eight_words() {
        assert_eq!(asked("?"), Err(Invalid::NoWord));
        assert_eq!(asked("a b c d e f g h").map(|w| w.len()), Ok(8));
        assert_eq!(asked("a b c d e f g h i"), Err(Invalid::TooMany));
    }
}
