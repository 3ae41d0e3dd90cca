//! What is said to a TPM, byte for byte, and what becomes of answers that are none. One in software
//! is asked by `tests/steps/39-tpm`.

use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Answers one connection with what is given, and gives what was asked.
fn serve(answers: Vec<Vec<u8>>) -> (tempfile::TempDir, Tpm, JoinHandle<Vec<Vec<u8>>>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tpm");
    let listener = UnixListener::bind(&path).expect("a new socket");
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut asked = Vec::new();
        for answer in answers {
            let mut buffer = [0; 512];
            let count = stream.read(&mut buffer).unwrap_or(0);
            asked.push(buffer[..count].to_vec());
            if stream.write_all(&answer).is_err() {
                break;
            }
        }
        // Whoever waits for more need not wait for long.
        stream.shutdown(Shutdown::Write).ok();
        asked
    });
    (folder, Tpm::at(&path), served)
}

/// An answer with a code and content.
fn answer(code: u32, content: &[u8]) -> Vec<u8> {
    let length = (HEAD + content.len()) as u32;
    [&[0x80, 2], length.to_be_bytes().as_slice(), &code.to_be_bytes(), content].concat()
}

/// What `TPM2_CreatePrimary` gives, as far as it is read: a handle and more.
fn made() -> Vec<u8> {
    answer(0, &[&[0x80, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3], PASSWORD[4..].as_ref()].concat())
}

/// What `TPM2_HMAC` gives: lengths, MAC, session.
fn mac(byte: u8) -> Vec<u8> {
    answer(0, &[[0, 0, 0, 34, 0, 32].as_slice(), &[byte; 32], &[0, 0, 1, 0, 0]].concat())
}

#[test]
fn three_commands_are_said_as_the_library_specification_writes_them() {
    let (_folder, tpm, served) = serve(vec![made(), mac(7), answer(0, &[])]);
    assert_eq!(*tpm.key("abc").expect("a key"), [7; 32]);
    let asked = served.join().expect("it served");
    let hex = |bytes: &Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(
        asked.iter().map(hex).collect::<Vec<_>>(),
        [
            "80020000003900000131400000010000000940000009000000000000040000000000100008000b00040472\
             00000005000b0000000000000000",
            "8002000000220000015580000000000000094000000900000000000003616263000b",
            "80010000000e0000016580000000",
        ]
    );
}

#[test]
fn what_a_tpm_refuses_is_named_and_the_key_is_taken_out_again() {
    let (_folder, tpm, _) = serve(vec![answer(0x9A2, &[])]);
    let error = tpm.key("x").expect_err("it has a password").to_string();
    assert!(error.contains("TPM2_CreatePrimary") && error.contains("password"), "{error}");
    let (_folder, tpm, served) = serve(vec![made(), answer(0x143, &[]), answer(0, &[])]);
    let error = tpm.key("x").expect_err("it has no such command");
    assert!(matches!(error, DeviceError::Refused { command: "TPM2_HMAC", code: 0x143 }), "{error}");
    assert_eq!(served.join().expect("it served").len(), 3, "the handle was flushed");
}

#[test]
fn a_device_that_is_no_tpm_is_named() {
    let error = Tpm::at(Path::new("/dev/no-such-tpm")).key("x").expect_err("it is not there");
    assert!(matches!(error, DeviceError::Missing { .. }), "{error}");
    let error = Tpm::at(Path::new("/dev/null")).key("x").expect_err("it says nothing");
    assert!(matches!(error, DeviceError::Nonsense { .. }), "{error}");
    let error = Tpm::at(Path::new("/dev/zero")).key("x").expect_err("it says zeros");
    assert!(matches!(error, DeviceError::Nonsense { .. }), "{error}");
}

#[test]
fn answers_of_every_wrong_length_are_refused() {
    for length in 0..mac(7).len() {
        let (_folder, tpm, _) = serve(vec![made(), mac(7)[..length].to_vec()]);
        assert!(tpm.key("x").is_err(), "{length} bytes");
    }
    for wrong in [31, 33] {
        let mut bytes = mac(7);
        bytes[HEAD + 5] = wrong;
        let (_folder, tpm, _) = serve(vec![made(), bytes, answer(0, &[])]);
        let error = tpm.key("x").expect_err("no MAC of SHA-256");
        assert!(matches!(error, DeviceError::Nonsense { .. }), "{error}");
    }
}

proptest! {
    #[test]
    fn no_answer_makes_a_panic(content in vec(any::<u8>(), 0..64), raw in vec(any::<u8>(), 1..64)) {
        for answers in [vec![raw.clone()], vec![answer(0, &content), raw.clone()]] {
            let (_folder, tpm, _) = serve(answers);
            prop_assert!(tpm.key("x").is_err());
        }
    }
}
