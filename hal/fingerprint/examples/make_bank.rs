//! Writes the bank of impostors anew: `cargo run --release --example make_bank > bank.bin`.

use std::io::{self, Write};

use goodwatt_fingerprint::bank;

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for finger in 0..bank::FINGERS as u64 {
        out.write_all(&bank::make(finger))?;
    }
    out.flush()
}
