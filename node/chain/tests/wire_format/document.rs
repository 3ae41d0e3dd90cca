//! Reads `docs/wire-format.md`.

use std::collections::BTreeSet;

const TEXT: &str = include_str!("../../../../docs/wire-format.md");

/// The document's fenced blocks, each with the words behind its opening fence.
#[derive(Debug)]
pub(crate) struct Document(Vec<(&'static str, Vec<&'static str>)>);

impl Document {
    pub(crate) fn read() -> Self {
        let mut blocks = Vec::new();
        let mut lines = TEXT.lines();
        while let Some(line) = lines.next() {
            if let Some(words) = line.strip_prefix("```") {
                blocks.push((words, lines.by_ref().take_while(|line| *line != "```").collect()));
            }
        }
        Self(blocks)
    }

    /// Name and bytes of each block that begins with `hex NAME`; what follows `#` is a remark.
    pub(crate) fn vectors(&self) -> Vec<(String, String)> {
        let named = self.0.iter().filter_map(|(words, lines)| {
            let name = words.strip_prefix("hex ")?;
            let bytes = lines.iter().map(|line| line.split('#').next().unwrap_or("").trim());
            Some((name.to_owned(), bytes.collect::<String>().replace(' ', "")))
        });
        named.collect()
    }

    /// The lines `name value` of the block that begins with this word.
    pub(crate) fn table(&self, word: &str) -> Vec<(String, String)> {
        let block = self.0.iter().find(|(words, _)| *words == word).expect("there is such a block");
        let entries = block.1.iter().filter_map(|line| line.split_once(' '));
        entries.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
    }

    /// The domain tags, which stand first in the rows of a table.
    pub(crate) fn tags(&self) -> BTreeSet<String> {
        let rows = TEXT.lines().filter_map(|line| line.strip_prefix("| `goodwatt/"));
        rows.map(|row| format!("goodwatt/{}", row.split('`').next().unwrap_or(""))).collect()
    }
}
