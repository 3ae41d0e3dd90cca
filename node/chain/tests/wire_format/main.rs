//! The byte forms in `docs/wire-format.md` are those of the code: the vectors, the hashes over
//! generated values, and the list of domain tags. Changing one of them takes an ADR.

mod document;
mod generate;
mod hashes;
mod samples;

use std::collections::BTreeSet;
use std::path::Path;

use document::Document;
use goodwatt_chain::hash::{Digest32, Domain};

/// Compares what the document says with what the code makes, and shows what to write.
fn compare(said: &[(String, String)], made: &[(String, String)]) {
    let wrong: Vec<_> = made.iter().filter(|entry| !said.contains(entry)).collect();
    let gone: Vec<_> =
        said.iter().filter(|(name, _)| made.iter().all(|(other, _)| other != name)).collect();
    let lines = |entries: &[&(String, String)]| -> String {
        entries.iter().map(|(name, value)| format!("{name} {value}\n")).collect()
    };
    assert!(
        wrong.is_empty() && gone.is_empty(),
        "the code makes, but the document does not say:\n{}the document says, but no test makes:\n{}",
        lines(&wrong),
        lines(&gone)
    );
}

#[test]
fn vectors_are_those_of_the_document() {
    compare(&Document::read().vectors(), &samples::vectors());
}

#[test]
fn digests_are_those_of_the_document() {
    compare(&Document::read().table("digests"), &samples::digests());
}

#[test]
fn kinds_of_records_are_those_of_the_document() {
    compare(&Document::read().table("kinds"), &samples::kinds());
}

#[test]
fn generated_encodings_hash_to_what_the_document_says() {
    compare(&Document::read().table("sha256-1024"), &hashes::of_all_types());
}

/// Every tag in the source, by reading it: a new tag has to enter the document.
#[test]
fn domain_tags_are_those_of_the_document() {
    let mut tags = BTreeSet::new();
    collect_tags(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut tags);
    assert!(tags.len() > 20, "the source was found: {tags:?}");
    assert_eq!(Document::read().tags(), tags);
}

fn collect_tags(folder: &Path, tags: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("the source is there") {
        let path = entry.expect("the folder is readable").path();
        if path.is_dir() {
            collect_tags(&path, tags);
            continue;
        }
        let source = std::fs::read_to_string(&path).expect("source is text");
        for rest in source.split("b\"goodwatt/").skip(1) {
            let (tag, _) = rest.split_once('"').expect("a literal ends");
            tags.insert(format!("goodwatt/{tag}"));
        }
    }
}

/// What `Digest32::of` is, from the document's words: length of the tag, tag, parts.
#[test]
fn a_tagged_hash_is_what_the_document_says() {
    use sha2::{Digest, Sha256};
    let by_hand: [u8; 32] = Sha256::digest(b"\x0egoodwatt/blockabc").into();
    let tagged = Digest32::of(Domain::new(b"goodwatt/block"), &[b"a", b"bc"]);
    assert_eq!(tagged, Digest32::new(by_hand));
}
