//! Writes prints of nobody for `goodwatt finger bench`, named as it wants them:
//! `cargo run --example make_prints -- FOLDER FINGERS`, eight impressions of each.

use std::fs::File;
use std::io::{Error, Result};
use std::path::Path;

use goodwatt_fingerprint::synthetic::{Finger, Placement};

const IMPRESSIONS: u64 = 8;
/// The bank of impostors has the fingers below a thousand.
const FIRST: u64 = 5_000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, fingers] = arguments.as_slice() else {
        return Err(Error::other("make_prints FOLDER FINGERS"));
    };
    let fingers: u64 = fingers.parse().map_err(Error::other)?;
    for number in 1..=fingers {
        let finger = Finger::grow(FIRST + number);
        for impression in 1..=IMPRESSIONS {
            let path = Path::new(folder).join(format!("{number:03}_{impression}.png"));
            let image = finger.place(impression, &Placement::usual());
            image.write_png(File::create(path)?).map_err(Error::other)?;
        }
    }
    Ok(())
}
