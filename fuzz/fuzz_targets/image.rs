//! Images from a sensor's wire and from PNG files, down to the minutiae.
#![no_main]

use std::io::Cursor;

use goodwatt_fingerprint::extract::extract;
use goodwatt_fingerprint::image::{Image, SIDE_MAX};
use libfuzzer_sys::fuzz_target;

/// Largest side of which minutiae are read here: larger ones take the time of many.
const SIDE_READ: usize = 96;

fuzz_target!(|input: &[u8]| {
    if let Ok(image) = Image::read_png(Cursor::new(input)) {
        assert!(image.width() <= SIDE_MAX && image.height() <= SIDE_MAX);
        let mut written = Vec::new();
        image.write_png(&mut written).expect("memory takes everything");
        let again = Image::read_png(Cursor::new(written)).expect("what was written is read");
        assert!(again == image);
        read(&image);
    }
    // As it comes from a sensor: here the first byte is the width.
    let Some((width, bytes)) = input.split_first() else { return };
    let width = 2 * usize::from(*width).max(1);
    let height = 2 * bytes.len() / width;
    if let Ok(image) = Image::from_nibbles(width, height, &bytes[..width * height / 2]) {
        assert_eq!(image.to_nibbles(), bytes[..width * height / 2]);
        assert!(image.four_bits() == image);
        read(&image);
    }
});

fn read(image: &Image) {
    if image.width() > SIDE_READ || image.height() > SIDE_READ {
        return;
    }
    for minutia in &extract(image).print.minutiae {
        let numbers = [minutia.x, minutia.y, minutia.angle, minutia.quality];
        assert!(numbers.into_iter().all(f32::is_finite));
    }
}
