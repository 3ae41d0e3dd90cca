//! Grey images of a finger: as a sensor sends them, and as files hold them.

use std::io::{BufRead, Seek, Write};

use zeroize::Zeroize;

/// Widest or highest image that is read; sensors of this family have at most 508 pixels a side.
pub const SIDE_MAX: usize = 1024;

/// Size of the images of R307, AS608 and ZFM sensors.
pub const R307: (usize, usize) = (256, 288);

/// A grey image, 0 is black (a ridge), 255 white; wiped when dropped.
#[derive(Clone, Eq, PartialEq)]
pub struct Image {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Image {
    /// An image of `pixels`, row by row.
    ///
    /// # Errors
    /// Where a side is nothing or above [`SIDE_MAX`], or the pixels are not width times height.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Result<Self, ImageError> {
        let sides = 1..=SIDE_MAX;
        if !sides.contains(&width) || !sides.contains(&height) || pixels.len() != width * height {
            return Err(ImageError::Size { width, height, pixels: pixels.len() });
        }
        Ok(Self { width, height, pixels })
    }

    /// The image in what a sensor of the `EF 01` family sends: two pixels a byte, the left one in
    /// the high nibble.
    ///
    /// # Errors
    /// Where there are not half as many bytes as pixels.
    pub fn from_nibbles(width: usize, height: usize, bytes: &[u8]) -> Result<Self, ImageError> {
        let pixels = bytes.iter().flat_map(|byte| [(byte >> 4) * 17, (byte & 15) * 17]).collect();
        Self::new(width, height, pixels)
    }

    /// What a sensor would send for this image: four bits a pixel.
    #[must_use]
    pub fn to_nibbles(&self) -> Vec<u8> {
        let nibble = |pixel: u8| (u16::from(pixel) * 15 + 127) / 255;
        let pair =
            |pair: &[u8]| (nibble(pair[0]) << 4 | pair.get(1).map_or(0, |p| nibble(*p))) as u8;
        self.pixels.chunks(2).map(pair).collect()
    }

    /// The same with only sixteen greys, as a sensor would have given it.
    #[must_use]
    pub fn four_bits(&self) -> Self {
        let grey = |pixel: &u8| (((u16::from(*pixel) * 15 + 127) / 255) * 17) as u8;
        Self { pixels: self.pixels.iter().map(grey).collect(), ..*self }
    }

    /// The middle of the image at the size given; what it lacks is filled with white.
    #[must_use]
    pub fn centre(&self, width: usize, height: usize) -> Self {
        let from = |outer: usize, inner: usize, at: usize| {
            (at + outer / 2).checked_sub(inner / 2).filter(|place| *place < outer)
        };
        let pixel = |x: usize, y: usize| -> Option<u8> {
            self.row(from(self.height, height, y)?).get(from(self.width, width, x)?).copied()
        };
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let pixels = places.map(|(x, y)| pixel(x, y).unwrap_or(u8::MAX)).collect();
        Self { width, height, pixels }
    }

    /// Pixels in a row.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub const fn height(&self) -> usize {
        self.height
    }

    /// All pixels, row by row.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// One row, empty beyond the last.
    #[must_use]
    pub fn row(&self, y: usize) -> &[u8] {
        self.pixels.chunks_exact(self.width).nth(y).unwrap_or(&[])
    }

    /// Reads a PNG file, colours turned into greys.
    ///
    /// # Errors
    /// Where it is no PNG file or too large.
    pub fn read_png(source: impl BufRead + Seek) -> Result<Self, ImageError> {
        let limits = png::Limits { bytes: 4 * SIDE_MAX * SIDE_MAX };
        let mut decoder = png::Decoder::new_with_limits(source, limits);
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info()?;
        let (width, height) = (reader.info().width as usize, reader.info().height as usize);
        if width > SIDE_MAX || height > SIDE_MAX {
            return Err(ImageError::Size { width, height, pixels: width.saturating_mul(height) });
        }
        let mut bytes = vec![0; reader.output_buffer_size().unwrap_or(0)];
        let frame = reader.next_frame(&mut bytes)?;
        let samples = frame.color_type.samples();
        bytes.truncate(frame.buffer_size());
        let grey = |pixel: &[u8]| match *pixel {
            // The weights of ITU-R BT.601, in 1/256.
            [red, green, blue] | [red, green, blue, _] => {
                ((u32::from(red) * 77 + u32::from(green) * 150 + u32::from(blue) * 29) >> 8) as u8
            }
            _ => pixel[0],
        };
        Self::new(width, height, bytes.chunks_exact(samples).map(grey).collect())
    }

    /// Writes a PNG file of eight bits a pixel.
    ///
    /// # Errors
    /// Where writing fails.
    pub fn write_png(&self, target: impl Write) -> Result<(), ImageError> {
        let mut encoder = png::Encoder::new(target, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        Ok(writer.finish()?)
    }
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Image({} x {}, hidden)", self.width, self.height)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        self.pixels.zeroize();
    }
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// Sides and pixels do not go together, or are beyond what a sensor has.
    #[error(
        "an image of {width} x {height} with {pixels} pixels cannot be: sides are 1 to {SIDE_MAX}"
    )]
    Size {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// Pixels that were there.
        pixels: usize,
    },
    /// The file is no PNG image.
    #[error("this is no PNG image that can be read: {0}")]
    Decode(#[from] png::DecodingError),
    /// The file could not be written.
    #[error("the PNG image could not be written: {0}")]
    Encode(#[from] png::EncodingError),
}
