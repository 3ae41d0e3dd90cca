//! Small text files of the kernel, read with every way they can fail told apart.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::fault::Fault;
use crate::quantity;

/// No more than this is read of any file: sysfs gives a page at most, and of the files in procfs
/// only the beginning is of interest.
const BYTES_MAX: u64 = 4_096;
/// So much of a wrong text is repeated in a message.
const QUOTE_CHARS_MAX: usize = 32;

/// The text of a file without its surrounding white space and without the NUL that ends the
/// strings of a device tree.
pub(crate) fn text(path: &Path) -> Result<String, Fault> {
    let bytes = read(path).map_err(|error| Fault::of_io(path.to_owned(), &error))?;
    let text =
        str::from_utf8(&bytes).map_err(|_| garbage(path, &String::from_utf8_lossy(&bytes)))?;
    match text.trim_matches(|c: char| c.is_whitespace() || c == '\0') {
        "" => Err(Fault::Empty { path: path.to_owned() }),
        text => Ok(text.to_owned()),
    }
}

/// The number in a file, scaled by `10^digits`; what is finer is cut off.
pub(crate) fn decimal(path: &Path, digits: u32) -> Result<i64, Fault> {
    let text = text(path)?;
    quantity::decimal(&text, digits).ok_or_else(|| garbage(path, &text))
}

/// The whole number in a file.
pub(crate) fn integer(path: &Path) -> Result<i64, Fault> {
    let text = text(path)?;
    text.parse().map_err(|_| garbage(path, &text))
}

/// The whole number in a file that cannot be negative.
pub(crate) fn count(path: &Path) -> Result<u64, Fault> {
    let text = text(path)?;
    text.parse().map_err(|_| garbage(path, &text))
}

/// The fault of a file that holds `text`.
pub(crate) fn garbage(path: &Path, text: &str) -> Fault {
    Fault::Garbage { path: path.to_owned(), text: quote(text) }
}

/// The start of a text, to be repeated in a message.
pub(crate) fn quote(text: &str) -> String {
    text.chars().take(QUOTE_CHARS_MAX).collect()
}

/// The entries of a folder whose name begins with `prefix`; `hwmon2` comes before `hwmon10`.
pub(crate) fn entries(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>, Fault> {
    let fault = |error: io::Error| Fault::of_io(folder.to_owned(), &error);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(fault)? {
        let name = entry.map_err(fault)?.file_name();
        if name.to_string_lossy().starts_with(prefix) {
            names.push(name);
        }
    }
    names.sort_by_key(|name| (name.len(), name.clone()));
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_wrong_content_has_its_fault() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("power1_input");
        let check = |content: &[u8], want: Result<i64, Fault>| {
            fs::write(&path, content).expect("the folder is writable");
            assert_eq!(integer(&path), want, "{content:?}");
        };
        let garbage = |text: &str| Err(garbage(&path, text));
        check(b"2500000\n", Ok(2_500_000));
        check(b"-3\n", Ok(-3));
        check(b"", Err(Fault::Empty { path: path.clone() }));
        check(b" \n\0", Err(Fault::Empty { path: path.clone() }));
        check(b"nan\n", garbage("nan"));
        check(b"2.5\n", garbage("2.5"));
        check(b"99999999999999999999\n", garbage("99999999999999999999"));
        check(b"\xff\xfe", garbage("\u{fffd}\u{fffd}"));
        check(&[b'9'; 10_000], garbage(&"9".repeat(QUOTE_CHARS_MAX)));
        fs::remove_file(&path).expect("it was written");
        assert_eq!(integer(&path), Err(Fault::Gone { path: path.clone() }));
        fs::create_dir(&path).expect("the name is free");
        assert!(matches!(integer(&path), Err(Fault::Io { .. })), "a folder is no figure");
    }

    #[test]
    fn entries_are_sorted_by_their_number() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["hwmon10", "hwmon2", "other"] {
            fs::write(folder.path().join(name), "").expect("the folder is writable");
        }
        let found = entries(folder.path(), "hwmon").expect("the folder is there");
        assert_eq!(found, [folder.path().join("hwmon2"), folder.path().join("hwmon10")]);
        let gone = folder.path().join("none");
        assert_eq!(entries(&gone, ""), Err(Fault::Gone { path: gone.clone() }));
    }
}
