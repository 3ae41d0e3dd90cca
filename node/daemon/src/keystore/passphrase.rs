//! Passphrases and where they come from: a file, the service manager, or a person.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::prompt;

/// Bytes of a passphrase at most.
pub(super) const LONGEST: usize = 1024;

/// A passphrase: never empty, never printed, wiped when dropped.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// From its text, taken as it is: spaces and capitals count.
    ///
    /// # Errors
    /// Where it is empty or longer than 1024 bytes.
    pub fn new(text: String) -> Result<Self, PassphraseError> {
        let text = Zeroizing::new(text);
        match text.len() {
            0 => Err(PassphraseError::Empty),
            1..=LONGEST => Ok(Self(text)),
            _ => Err(PassphraseError::TooLong),
        }
    }

    /// Its bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(hidden)")
    }
}

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassphraseError {
    /// Nothing between start and end.
    #[error("the passphrase is empty: type one, or ask for an unprotected key by name")]
    Empty,
    /// More bytes than any passphrase needs.
    #[error("the passphrase is longer than {LONGEST} bytes: check which file is named")]
    TooLong,
    /// Not UTF-8.
    #[error("the passphrase is not UTF-8 text: save the file, or set the terminal, as UTF-8")]
    NotText,
    /// The two typings of a new passphrase differ.
    #[error("the two passphrases differ: start again")]
    Mismatch,
    /// The person gave up.
    #[error("no passphrase was typed")]
    Cancelled,
    /// Nobody to ask.
    #[error(
        "there is no terminal to ask for the passphrase: give it with `--passphrase-file`, \
        or as the credential `passphrase` of the service"
    )]
    NoTerminal,
    /// The terminal failed.
    #[error("cannot ask for the passphrase at the terminal: {0}")]
    Terminal(io::Error),
    /// The file cannot be read.
    #[error("cannot read the passphrase file {path}: {source}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than the owner may read the file.
    #[error("others may read the passphrase file {path} (mode {mode:04o}): run `chmod 600 {path}`",
        path = path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// Where a passphrase comes from. Never from the environment: every process of the same user could
/// read it there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PassphraseSource {
    /// A file that somebody named; `/dev/stdin` and `/dev/fd/N` do as well.
    File(PathBuf),
    /// A credential of the service manager, which looks after its permissions.
    Credential(PathBuf),
    /// A person at the terminal.
    Prompt,
}

impl PassphraseSource {
    /// The named file, else systemd's credential `passphrase`, else the terminal.
    #[must_use]
    pub fn choose(named: Option<PathBuf>) -> Self {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self::choose_from(named, credentials.as_deref())
    }

    /// As [`Self::choose`], told the directory of credentials.
    fn choose_from(named: Option<PathBuf>, credentials: Option<&Path>) -> Self {
        let credential = credentials.map(|folder| folder.join("passphrase"));
        match (named, credential.filter(|path| path.exists())) {
            (Some(file), _) => Self::File(file),
            (None, Some(file)) => Self::Credential(file),
            (None, None) => Self::Prompt,
        }
    }

    /// The passphrase of a key that exists.
    ///
    /// # Errors
    /// Where there is none, or it is no passphrase.
    pub fn read(&self) -> Result<Passphrase, PassphraseError> {
        self.read_as("Passphrase: ")
    }

    /// As [`Self::read`]; a person is asked this question.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn read_as(&self, question: &str) -> Result<Passphrase, PassphraseError> {
        match self {
            Self::File(path) => first_line(path, check_private),
            // Its mode shows the mask of an access list, and says nothing about who may read it.
            Self::Credential(path) => first_line(path, |_, _| Ok(())),
            Self::Prompt => prompt::ask(question),
        }
    }

    /// The passphrase of a key about to be made; a person types it twice.
    ///
    /// # Errors
    /// Where there is none, it is no passphrase, or the two differ.
    pub fn read_new(&self) -> Result<Passphrase, PassphraseError> {
        self.read_new_as("New passphrase: ")
    }

    /// As [`Self::read_new`]; a person is asked this question first.
    ///
    /// # Errors
    /// As for [`Self::read_new`].
    pub fn read_new_as(&self, question: &str) -> Result<Passphrase, PassphraseError> {
        let first = match self {
            Self::Prompt => prompt::ask(question)?,
            _ => return self.read(),
        };
        let second = prompt::ask("The same again: ")?;
        if first.as_bytes() == second.as_bytes() {
            Ok(first)
        } else {
            Err(PassphraseError::Mismatch)
        }
    }
}

/// Reads the passphrase in a file, without the line feed at its end.
fn first_line(
    path: &Path,
    check: fn(&Path, &File) -> Result<(), PassphraseError>,
) -> Result<Passphrase, PassphraseError> {
    let failed = |source| PassphraseError::File { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    check(path, &file)?;
    // Two bytes for the end of the line, one to notice that there are too many.
    let limit = LONGEST + 3;
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit));
    file.take(limit as u64).read_to_end(&mut bytes).map_err(failed)?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    from_bytes(line.strip_suffix(b"\r").unwrap_or(line))
}

/// Refuses a regular file that others may read; a pipe has no readers but its own.
fn check_private(path: &Path, file: &File) -> Result<(), PassphraseError> {
    let failed = |source| PassphraseError::File { path: path.to_owned(), source };
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if metadata.is_file() && mode & 0o077 != 0 {
        return Err(PassphraseError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}

/// The passphrase these bytes spell.
pub(super) fn from_bytes(bytes: &[u8]) -> Result<Passphrase, PassphraseError> {
    let text = std::str::from_utf8(bytes).map_err(|_| PassphraseError::NotText)?;
    Passphrase::new(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;

    /// Writes a file of a mode and reads the passphrase in it.
    fn read(content: &[u8], mode: u32) -> Result<Passphrase, PassphraseError> {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("passphrase");
        fs::write(&path, content).expect("a new file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("our own file");
        PassphraseSource::File(path).read()
    }

    #[test]
    fn the_end_of_the_line_is_not_part_of_it() {
        let check = |content: &[u8], want: &[u8]| {
            assert_eq!(read(content, 0o600).expect("a passphrase").as_bytes(), want);
        };
        check(b"correct horse", b"correct horse");
        check(b"correct horse\n", b"correct horse");
        check(b" correct horse \r\n", b" correct horse ");
        check(b"two\nlines\n\n", b"two\nlines\n");
        check(&[b'x'; LONGEST], &[b'x'; LONGEST]);
    }

    #[test]
    fn each_refusal_has_its_name() {
        let check = |content: &[u8], mode, want: fn(&PassphraseError) -> bool| {
            let error = read(content, mode).expect_err("a refusal");
            assert!(want(&error), "{error}");
        };
        check(b"", 0o600, |error| matches!(error, PassphraseError::Empty));
        check(b"\n", 0o600, |error| matches!(error, PassphraseError::Empty));
        check(b"\xff\n", 0o600, |error| matches!(error, PassphraseError::NotText));
        check(&[b'x'; LONGEST + 1], 0o600, |error| matches!(error, PassphraseError::TooLong));
        check(&[b'x'; 2 * LONGEST], 0o600, |error| matches!(error, PassphraseError::TooLong));
        check(b"x", 0o640, |error| matches!(error, PassphraseError::Exposed { mode: 0o640, .. }));
    }

    #[test]
    fn a_named_file_goes_before_a_credential_before_a_person() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let credential = folder.path().join("passphrase");
        let choose = |named: Option<&str>, folder| {
            PassphraseSource::choose_from(named.map(PathBuf::from), folder)
        };
        assert_eq!(choose(None, None), PassphraseSource::Prompt);
        assert_eq!(choose(None, Some(folder.path())), PassphraseSource::Prompt);
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o640).open(&credential);
        io::Write::write_all(&mut file.expect("a new file"), b"secret\n").expect("room");
        let chosen = choose(None, Some(folder.path()));
        assert_eq!(chosen.read().expect("its mode does not count").as_bytes(), b"secret");
        assert_eq!(chosen, PassphraseSource::Credential(credential));
        let named = choose(Some("/named"), Some(folder.path()));
        assert_eq!(named, PassphraseSource::File("/named".into()));
    }
}
