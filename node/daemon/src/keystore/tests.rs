//! Tests over the whole of a key file: its text, its sealing, its place on the disk.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

/// Weak on purpose: these tests prove the format, not the cost.
const CHEAP: KdfCost = KdfCost { memory_kib: 16, passes: 1, lanes: 1 };

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned()).expect("not empty")
}

fn protected() -> Protection {
    Protection::Passphrase(passphrase("open sesame"), CHEAP)
}

fn root(byte: u8) -> Secret {
    Secret::Root(RootSecret::from_bytes(&[byte; 32]))
}

/// The same file each time.
fn file(protection: &Protection) -> KeyFile {
    let fresh = Fresh { salt: [0x11; 16], nonce: [0x22; 24] };
    KeyFile::seal_with(&root(0x33), "good1example", protection, &fresh).expect("a key file")
}

fn parse(text: &str) -> KeyFile {
    KeyFile::parse(text).expect("a key file")
}

#[test]
fn what_is_sealed_can_be_opened() {
    let secrets = [root(7), Secret::Signer(Seed::from_bytes(&[8; 32]))];
    for secret in &secrets {
        for protection in [protected(), Protection::Unprotected] {
            let sealed = KeyFile::seal(secret, "good1example", &protection).expect("a key file");
            let read = parse(&sealed.to_text());
            assert_eq!(read, sealed);
            let opened = read.open(Some(&passphrase("open sesame"))).expect("the passphrase");
            assert_eq!((opened.kind(), opened.bytes()), (secret.kind(), secret.bytes()));
        }
    }
}

#[test]
fn two_files_of_one_secret_share_nothing() {
    let seal = || KeyFile::seal(&root(7), "good1example", &protected()).expect("a key file");
    let (first, second) = (seal().to_text(), seal().to_text());
    let field = |text: &str, name: &str| {
        text.lines().find(|line| line.starts_with(name)).map(str::to_owned).expect("a field")
    };
    for name in ["kdf", "nonce", "sealed", "checksum"] {
        assert_ne!(field(&first, name), field(&second, name), "{name}");
    }
}

#[test]
fn opening_takes_the_right_passphrase() {
    let file = file(&protected());
    let check = |given: Option<&str>, want: fn(&KeystoreError) -> bool| {
        let error = file.open(given.map(passphrase).as_ref()).expect_err("a refusal");
        assert!(want(&error), "{error}");
    };
    check(None, |error| matches!(error, KeystoreError::PassphraseNeeded));
    check(Some("Open sesame"), |error| matches!(error, KeystoreError::WrongPassphrase));
    check(Some("open sesame "), |error| matches!(error, KeystoreError::WrongPassphrase));
}

#[test]
fn an_unprotected_file_says_so() {
    let file = file(&Protection::Unprotected);
    assert!(!file.is_protected());
    let first = file.to_text().lines().next().map(str::to_owned);
    let want = "# Goodwatt key file, NOT PROTECTED: whoever can read it owns the key.";
    assert_eq!(first.as_deref(), Some(want));
    assert_eq!(file.open(None).expect("no passphrase").bytes(), &[0x33; 32]);
}

#[test]
fn a_key_is_used_for_what_it_was_made() {
    let error = root(7).into_signer().expect_err("a root is no signing key");
    assert_eq!(
        error.to_string(),
        "this file holds a root key, but a signer key is needed: check which file is named"
    );
    assert_eq!(root(7).into_root().expect("a root").as_bytes(), &[7; 32]);
}

/// Files of version 1, made by argon2-cffi, libsodium and hashlib from Python, after the words at
/// the top of the module: they have to open for ever.
#[test]
fn the_format_stays() {
    for (protection, golden) in [
        (protected(), include_str!("testdata/protected.key")),
        (Protection::Unprotected, include_str!("testdata/unprotected.key")),
    ] {
        assert_eq!(file(&protection).to_text(), golden);
        let opened = parse(golden).open(Some(&passphrase("open sesame")));
        assert_eq!(opened.expect("the passphrase").bytes(), &[0x33; 32]);
    }
}

#[test]
fn each_refusal_has_its_name() {
    let good = file(&protected()).to_text();
    let check = |from: &str, to: &str, want: &str| {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from} stands in the file");
        let error = KeyFile::parse(&text).expect_err("a refusal").to_string();
        assert!(error.starts_with(want), "{from} -> {to}: {error}");
    };
    check("version = 1", "version = 2", "the key file has version 2 and this program reads");
    check("version = 1\n", "", "not a key file (missing field `version`)");
    check("nonce", "nonse", "not a key file (unknown field `nonse`");
    check("\"22", "\"2g", "not a key file (`nonce` has to be 48 lower-case");
    check("ce6c99d0\"", "CE6C99D0\"", "the key file is damaged");
    check("sealed = \"01965a", "sealed = \"01965A", "not a key file (`sealed` has to be 96");
    check("good1example", "good1examqle", "the key file is damaged");
    check("kind = \"root\"", "kind = \"signer\"", "the key file is damaged");
    check("16, passes", "67108864, passes", "the key file asks for memory_kib = 67108864");
    check("passes = 1", "passes = 4000000000", "the key file asks for passes = 4000000000");
    check("lanes = 1", "lanes = 0", "the key file asks for lanes = 0");
    check("argon2id", "scrypt", "not a key file (unknown variant `scrypt`");
    let long = KeyFile::parse(&format!("{good}#{}", "x".repeat(4096)));
    assert_eq!(long, Err(FormatError::TooLarge));
}

/// Changes a field, as somebody would who knows how to make the checksum fit again.
fn forge(good: &str, from: &str, to: &str) -> KeyFile {
    let text = good.replacen(from, to, 1);
    assert_ne!(text, good, "{from} stands in the file");
    let (body, _) = text.split_once("checksum").expect("the last field");
    let (_, covered) = body.split_once('\n').expect("a comment first");
    let domain = goodwatt_chain::hash::Domain::new(b"goodwatt/key-file");
    let checksum = goodwatt_chain::hash::Digest32::of(domain, &[covered.as_bytes()]);
    parse(&format!("{body}checksum = \"{checksum}\"\n"))
}

#[test]
fn a_forged_header_does_not_open() {
    let good = file(&protected()).to_text();
    for (from, to) in [
        ("good1example", "good1attacker"),
        ("\"root\"", "\"signer\""),
        ("passes = 1", "passes = 2"),
    ] {
        let opened = forge(&good, from, to).open(Some(&passphrase("open sesame")));
        assert!(matches!(opened, Err(KeystoreError::WrongPassphrase)), "{from}: {opened:?}");
    }
    let good = file(&Protection::Unprotected).to_text();
    let opened = forge(&good, "good1example", "good1attacker").open(None);
    assert!(matches!(opened, Err(KeystoreError::Forged)), "{opened:?}");
}

#[test]
fn a_public_key_cannot_break_out_of_its_quotes() {
    let seal = |public: &str| KeyFile::seal(&root(7), public, &Protection::Unprotected);
    for public in ["", "a\"b", "a\nb", "a\\b", "é", &"x".repeat(129)] {
        assert!(matches!(seal(public), Err(KeystoreError::PublicText)), "{public:?}");
    }
    assert_eq!(seal("good1:aZ-9_").expect("a public key").public(), "good1:aZ-9_");
}

#[test]
fn a_new_key_has_a_bounded_cost_too() {
    let cost = KdfCost { memory_kib: 1 << 30, ..CHEAP };
    let sealed = KeyFile::seal(&root(7), "a", &Protection::Passphrase(passphrase("x"), cost));
    assert!(matches!(sealed, Err(KeystoreError::Cost(_))), "{sealed:?}");
}

/// A directory of its own, and a path in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("owner.key");
    (folder, path)
}

fn names(folder: &tempfile::TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).expect("a directory");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    entries.map(|entry| name(entry).into_string().expect("a plain name")).collect()
}

#[test]
fn a_file_is_private_and_comes_back() {
    let (folder, path) = place();
    let file = file(&protected());
    file.create(&path).expect("a new file");
    let mode = fs::metadata(&path).expect("the file").permissions().mode() & 0o7777;
    assert_eq!(mode, 0o600, "mode {mode:o}");
    assert_eq!(names(&folder), ["owner.key"], "no draft is left");
    assert_eq!(KeyFile::load(&path).expect("the file"), file);
}

#[test]
fn a_key_is_never_overwritten() {
    let occupy: [fn(&Path); 3] = [
        |path| fs::write(path, "precious").expect("a new file"),
        |path| fs::create_dir(path).expect("a new directory"),
        |path| symlink("/nowhere", path).expect("a new link"),
    ];
    for occupy in occupy {
        let (folder, path) = place();
        occupy(&path);
        let created = file(&protected()).create(&path);
        assert!(matches!(created, Err(KeystoreError::AlreadyExists { .. })), "{created:?}");
        assert_eq!(names(&folder), ["owner.key"], "no draft is left");
    }
}

#[test]
fn a_file_others_can_read_is_refused() {
    let (_folder, path) = place();
    file(&protected()).create(&path).expect("a new file");
    for mode in [0o640, 0o604, 0o620, 0o610] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("our own file");
        let error = KeyFile::load(&path).expect_err("a refusal").to_string();
        let place = path.display();
        assert_eq!(
            error,
            format!(
                "others may read or change the key file {place} (mode {mode:04o}): \
                 run `chmod 600 {place}`"
            )
        );
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("our own file");
    assert!(KeyFile::load(&path).is_ok(), "less than 600 is fine");
}

#[test]
fn a_missing_file_and_a_missing_folder_are_told_apart() {
    let (_folder, path) = place();
    let loaded = KeyFile::load(&path);
    assert!(matches!(loaded, Err(KeystoreError::Missing { .. })), "{loaded:?}");
    let created = file(&protected()).create(&path.join("deeper"));
    assert!(matches!(created, Err(KeystoreError::Io { action: "write", .. })), "{created:?}");
}

proptest! {
    #[test]
    fn a_flipped_bit_never_opens_as_something_else(at: prop::sample::Index, bit in 0_u8..8) {
        let good = file(&protected());
        let mut bytes = good.to_text().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let parsed = std::str::from_utf8(&bytes).ok().map(KeyFile::parse);
        if let Some(Ok(parsed)) = parsed {
            prop_assert_eq!(parsed, good, "byte {} is in a comment or a space", at);
        }
    }

    #[test]
    fn no_text_panics(text: String) {
        prop_assert!(KeyFile::parse(&text).is_err());
    }
}
