//! CRC-32, and where the byte is that broke it.

/// The reflected polynomial of IEEE 802.3, as `crc32fast` uses it.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// CRC-32 of `parts` one after another.
pub(crate) fn crc32(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

/// Where the one changed byte lies in `len` bytes followed by their CRC in little-endian order,
/// when `stored` was read as the CRC and `found` was computed.
///
/// A CRC is linear: the difference depends on the changed bits and their distance from the end
/// alone, so walking the difference backwards from the end must meet a single byte at the changed
/// place. `None` when no place fits, or more than one does: then more than one byte changed.
pub(crate) fn changed_byte(len: usize, stored: u32, found: u32) -> Option<usize> {
    let mut difference = stored ^ found;
    let mut place = changed_in_crc(difference).map(|at| len + at);
    for at in (0..len).rev() {
        difference = step_back(difference);
        // What changed one byte alone has nothing above that byte before it is stepped on.
        if (1..=0xff).contains(&difference) && place.replace(at).is_some() {
            return None;
        }
    }
    place
}

/// The byte of the stored CRC that changed, when the difference lies in one byte.
fn changed_in_crc(difference: u32) -> Option<usize> {
    let bytes = difference.to_le_bytes();
    let at = bytes.iter().position(|byte| *byte != 0)?;
    bytes[at + 1..].iter().all(|byte| *byte == 0).then_some(at)
}

/// Takes a difference one byte nearer to where it came from. Going on, each bit moves down and
/// adds the polynomial where a one falls out; so a one at the top tells that it was added.
const fn step_back(mut value: u32) -> u32 {
    let mut bit = 0;
    while bit < 8 {
        let added = value >> 31 == 1;
        value = if added { ((value ^ POLYNOMIAL) << 1) | 1 } else { value << 1 };
        bit += 1;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_is_found_at_its_place() {
        let good: Vec<u8> = (0..5_000_u32).map(|n| (n * 31 % 251) as u8).collect();
        let stored = crc32(&[&good]);
        for at in (0..good.len()).step_by(97).chain([0, 1, good.len() - 1]) {
            for mask in [1, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= mask;
                assert_eq!(changed_byte(bad.len(), stored, crc32(&[&bad])), Some(at), "{mask}");
            }
        }
    }

    #[test]
    fn a_changed_checksum_is_found_too() {
        let stored = crc32(&[b"good"]);
        assert_eq!(changed_byte(4, stored ^ 0x0004_0000, stored), Some(4 + 2));
        assert_eq!(changed_byte(4, stored ^ 0x0104_0000, stored), None);
    }

    #[test]
    fn two_changed_bytes_are_not_blamed_on_one() {
        let good = vec![7_u8; 4_000];
        let mut bad = good.clone();
        bad[100] ^= 0x55;
        bad[3_000] ^= 0xaa;
        assert_eq!(changed_byte(bad.len(), crc32(&[&good]), crc32(&[&bad])), None);
    }
}
