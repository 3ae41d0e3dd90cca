//! What was said at the height at work and above, to be said again to those who missed it.

use goodwatt_chain::units::Height;
use goodwatt_consensus::{Message as Word, SignedStatement};

/// The most words kept: three a round of a hundred validators, for a few rounds.
const WORDS_MAX: usize = 1_500;

/// Words that the core took, in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Heard(Vec<Word>);

impl Heard {
    /// Notes a word.
    pub(crate) fn note(&mut self, word: &Word) {
        if self.0.contains(word) {
            return;
        }
        if self.0.len() >= WORDS_MAX {
            self.0.remove(0);
        }
        self.0.push(word.clone());
    }

    /// Whether this very statement was said.
    pub(crate) fn has(&self, signed: &SignedStatement) -> bool {
        self.0.iter().any(|word| matches!(word, Word::Statement(held) if held == signed))
    }

    /// Everything said at a height, oldest first.
    pub(crate) fn at(&self, height: Height) -> impl Iterator<Item = &Word> {
        self.0.iter().filter(move |word| word.height() == height)
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// A height is over.
    pub(crate) fn forget_until(&mut self, height: Height) {
        self.0.retain(|word| word.height() > height);
    }
}
