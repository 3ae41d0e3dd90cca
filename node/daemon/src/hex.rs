//! Bytes as hexadecimal digits.

/// Two lower-case digits a byte.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The bytes, or `None` where the text is not pairs of digits.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let check = |text: &str, bytes: Option<&[u8]>| {
            assert_eq!(decode(text).as_deref(), bytes, "{text:?}");
        };
        check("", Some(&[]));
        check("00ff7F", Some(&[0, 255, 127]));
        check("0", None);
        check("0g", None);
        check("+1", None);
        assert_eq!(encode(&[0, 255, 127]), "00ff7f");
    }
}
