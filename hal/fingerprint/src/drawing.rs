//! What was read from an image, as a picture for people who would rather look than read.

use std::fmt::{self, Write};

use crate::extract::Reading;
use crate::image::Image;
use crate::minutia::Kind;

/// Pixels of the picture for one of the image.
const SCALE: usize = 3;

/// An SVG picture: the finger in grey, ridges as lines, endings as red and forks as blue circles
/// with a tail along the ridge, and the quality with its advice below.
#[must_use]
pub fn svg(image: &Image, reading: &Reading) -> String {
    let mut page = String::new();
    // Writing to a string cannot fail.
    draw(&mut page, image, reading).unwrap_or_default();
    page
}

fn draw(page: &mut String, image: &Image, reading: &Reading) -> fmt::Result {
    let (width, height) = (image.width(), image.height());
    writeln!(
        page,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {}" width="{}" height="{}">"#,
        height + 14,
        width * SCALE,
        (height + 14) * SCALE
    )?;
    writeln!(page, r##"<rect width="{width}" height="{}" fill="#fff"/>"##, height + 14)?;
    greys(page, image, reading)?;
    page.push_str(r##"<path stroke="#000" stroke-width="1" d=""##);
    for (x, y) in &reading.ridges {
        write!(page, "M{x} {y}.5h1")?;
    }
    page.push_str("\"/>\n");
    for minutia in &reading.print.minutiae {
        let colour = match minutia.kind {
            Kind::Ending => "#d00000",
            Kind::Fork => "#0040d0",
        };
        let (x, y) = (minutia.x + 0.5, minutia.y + 0.5);
        let (tx, ty) = (x + 9.0 * minutia.angle.cos(), y + 9.0 * minutia.angle.sin());
        writeln!(
            page,
            r#"<g stroke="{colour}" fill="none" opacity="{:.2}"><circle cx="{x:.1}" cy="{y:.1}" r="3"/><path d="M{x:.1} {y:.1}L{tx:.1} {ty:.1}"/></g>"#,
            0.4 + 0.6 * minutia.quality
        )?;
    }
    writeln!(
        page,
        r#"<text x="3" y="{}" font-family="sans-serif" font-size="8">{} minutiae, quality {} of 100: {}</text>"#,
        height + 10,
        reading.print.minutiae.len(),
        reading.quality.score,
        reading.quality.advice
    )?;
    page.push_str("</svg>\n");
    Ok(())
}

/// Where the finger was seen, in light greys; runs of one grey become one rectangle.
fn greys(page: &mut String, image: &Image, reading: &Reading) -> fmt::Result {
    for y in 0..image.height() {
        let shade = |x: usize, pixel: u8| {
            let covered = reading.print.covers(x as f32, y as f32);
            if covered { 120 + (u16::from(pixel) >> 5) * 17 } else { 255 }
        };
        let shades: Vec<u16> =
            image.row(y).iter().enumerate().map(|(x, pixel)| shade(x, *pixel)).collect();
        let mut x = 0;
        for run in shades.chunk_by(|a, b| a == b) {
            if run[0] < 255 {
                let (grey, length) = (run[0], run.len());
                writeln!(
                    page,
                    r#"<path stroke="rgb({grey},{grey},{grey})" d="M{x} {y}.5h{length}"/>"#
                )?;
            }
            x += run.len();
        }
    }
    Ok(())
}
