//! Lower-case hexadecimal, the one spelling a key file uses.

/// The bytes as two lower-case digits each.
pub(super) fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads exactly `2 * N` lower-case digits.
pub(super) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// The value of one lower-case digit.
fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_is_read() {
        let check = |text, want| assert_eq!(decode::<2>(text), want, "{text:?}");
        check("00ff", Some([0, 255]));
        check("00FF", None);
        check("00f", None);
        check("00ff0", None);
        check("0é0", None);
        assert_eq!(encode(&[0, 0x1f, 0xff]), "001fff");
    }
}
