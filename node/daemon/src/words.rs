//! The root secret as 24 English words (BIP 39), to be written on paper.
//!
//! The words hold the 256 bits of the root itself and 8 bits of checksum; no passphrase is mixed
//! in. Of wrongly copied words one in 256 passes the checksum, so whoever restores compares the
//! address that comes out.

use std::fmt;

use bip39::{Language, Mnemonic};
use zeroize::Zeroizing;

use crate::keystore::RootSecret;
use crate::nearest::nearest;

/// Words in one backup.
pub const COUNT: usize = 24;

/// The 24 words of a root secret, wiped when dropped; displayed with a space between each two.
pub struct Words(Mnemonic);

impl Words {
    /// The words that write down `root`.
    #[must_use]
    pub fn of(root: &RootSecret) -> Self {
        let words = Mnemonic::from_entropy_in(Language::English, root.as_bytes());
        Self(words.expect("32 bytes are one of the lengths that BIP 39 knows"))
    }

    /// Reads typed words; capitals do not count, nor does how much space is between them.
    ///
    /// # Errors
    /// Where there are not 24, one is unknown, or the checksum does not fit.
    pub fn parse(text: &str) -> Result<Self, WordsError> {
        let text = Zeroizing::new(text.to_ascii_lowercase());
        let found = text.split_whitespace().count();
        if found != COUNT {
            return Err(WordsError::Count { found });
        }
        let known = |word: &str| Language::English.find_word(word).is_some();
        if let Some((index, word)) = text.split_whitespace().enumerate().find(|(_, w)| !known(w)) {
            return Err(WordsError::unknown(index + 1, word));
        }
        let words = Mnemonic::parse_in_normalized(Language::English, &text);
        // Count and words were checked above: what is left is the checksum.
        words.map(Self).map_err(|_| WordsError::Checksum)
    }

    /// The words in their order.
    pub fn iter(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.words()
    }

    /// The root secret they write down.
    #[must_use]
    pub fn root(&self) -> RootSecret {
        let (entropy, _) = self.0.to_entropy_array();
        let entropy = Zeroizing::new(entropy);
        let root = entropy.first_chunk().expect("the array has 33 bytes");
        RootSecret::from_bytes(root)
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Words(hidden)")
    }
}

/// Why typed words are not a backup.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WordsError {
    /// Not 24 of them.
    #[error("{found} words were typed and a backup has {COUNT}: type all of them in their order")]
    Count {
        /// How many there were.
        found: usize,
    },
    /// A word that is not in the list.
    #[error("word {position} is not in the list{}", hint(*.suggestion))]
    Unknown {
        /// Its place, counted from 1.
        position: usize,
        /// The known word nearest to it.
        suggestion: Option<&'static str>,
    },
    /// All words are known, but they do not belong together.
    #[error("the words do not belong together: one is wrong, or two changed places")]
    Checksum,
}

impl WordsError {
    /// The word at `position` is unknown; guesses which one was meant.
    ///
    /// No two words of the list begin with the same four letters, so these are tried first.
    fn unknown(position: usize, word: &str) -> Self {
        let list = Language::English.word_list();
        let stem = word.char_indices().nth(4).map_or(word, |(end, _)| &word[..end]);
        let begins = |known: &&&str| stem.len() >= 4 && known.starts_with(stem);
        let suggestion =
            list.iter().find(begins).copied().or_else(|| nearest(word, list.iter().copied()));
        Self::Unknown { position, suggestion }
    }
}

/// The rest of the message about an unknown word.
fn hint(suggestion: Option<&'static str>) -> String {
    match suggestion {
        Some(word) => format!("; did you mean `{word}`?"),
        None => "; compare it with your paper".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Vectors published with BIP 39 for 256 bits: one byte repeated, and its words.
    const VECTORS: [(u8, &str); 4] = [
        (
            0x00,
            "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon \
             abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon \
             abandon abandon abandon art",
        ),
        (
            0x7f,
            "legal winner thank year wave sausage worth useful legal winner thank year wave \
             sausage worth useful legal winner thank year wave sausage worth title",
        ),
        (
            0x80,
            "letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd \
             amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic bless",
        ),
        (
            0xff,
            "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo \
             zoo zoo vote",
        ),
    ];

    #[test]
    fn published_vectors_hold() {
        for (byte, text) in VECTORS {
            let root = RootSecret::from_bytes(&[byte; 32]);
            assert_eq!(Words::of(&root).to_string(), text);
            let read = Words::parse(text).expect("a published backup");
            assert_eq!(read.root().as_bytes(), root.as_bytes());
            assert_eq!(read.iter().collect::<Vec<_>>(), text.split(' ').collect::<Vec<_>>());
        }
    }

    #[test]
    fn capitals_and_space_do_not_count() {
        let text = VECTORS[1].1.to_ascii_uppercase().replace(' ', "\n\t ");
        assert_eq!(Words::parse(&text).expect("the same words").root().as_bytes(), &[0x7f; 32]);
    }

    #[test]
    fn each_mistake_has_its_message() {
        let check = |text: &str, want: &str| {
            assert_eq!(Words::parse(text).expect_err(text).to_string(), want);
        };
        let with = |word: &str| VECTORS[1].1.replacen("sausage", word, 1);
        check("", "0 words were typed and a backup has 24: type all of them in their order");
        check(
            &format!("{} zoo", VECTORS[1].1),
            "25 words were typed and a backup has 24: type all of them in their order",
        );
        check(&with("sausagge"), "word 6 is not in the list; did you mean `sausage`?");
        check(&with("suasage"), "word 6 is not in the list; did you mean `sausage`?");
        check(&with("acti"), "word 6 is not in the list; did you mean `action`?");
        check(&with("zzzzz"), "word 6 is not in the list; compare it with your paper");
        check(&with("säusage"), "word 6 is not in the list; did you mean `sausage`?");
        check(
            &VECTORS[1].1.replacen("winner thank", "thank winner", 1),
            "the words do not belong together: one is wrong, or two changed places",
        );
    }

    #[test]
    fn nothing_secret_is_printed() {
        let words = Words::of(&RootSecret::from_bytes(&[0; 32]));
        assert_eq!(format!("{words:?}"), "Words(hidden)");
    }

    proptest! {
        #[test]
        fn every_root_comes_back(root: [u8; 32]) {
            let words = Words::of(&RootSecret::from_bytes(&root)).to_string();
            let read = Words::parse(&words).expect("its own words").root();
            prop_assert_eq!(read.as_bytes(), &root);
        }

        #[test]
        fn no_text_panics(text: String) {
            prop_assert!(Words::parse(&text).is_err());
        }
    }
}
