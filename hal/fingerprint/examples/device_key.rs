//! Prints the key that a device secret gives for a purpose, for comparison with other programs:
//! `cargo run --example device_key -- tpm PATH PURPOSE`.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use goodwatt_fingerprint::device::{DeviceSecret, Otp, SecretFile, Tpm};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, path, purpose] = arguments.as_slice() else { return ExitCode::from(2) };
    let path = Path::new(path);
    let secret: Box<dyn DeviceSecret> = match kind.as_str() {
        "file" => Box::new(SecretFile::at(path)),
        "otp" => Box::new(Otp::at(path)),
        "tpm" => Box::new(Tpm::at(path)),
        _ => return ExitCode::from(2),
    };
    let said = match secret.key(purpose) {
        Ok(key) => {
            let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(io::stdout(), "{hex}")
        }
        Err(error) => writeln!(io::stderr(), "{error}").and(Err(io::ErrorKind::Other.into())),
    };
    if said.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
