//! Hexadecimal and base64 text of secrets and signatures.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Base64 with or without padding, as senders differ.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes of base64 text.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    LENIENT.decode(text).ok()
}

/// Base64 text with padding.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The bytes of hexadecimal text of either case.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// Two digits a byte, in lower case.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_with_and_without_padding() {
        for text in ["aGk=", "aGk"] {
            assert_eq!(from_base64(text).unwrap(), b"hi");
        }
        assert_eq!(from_base64("a b"), None);
        assert_eq!(to_base64(b"hi"), "aGk=");
    }

    #[test]
    fn hexadecimal_is_read_in_either_case() {
        assert_eq!(from_hex("00fF").unwrap(), [0, 255]);
        for text in ["0", "+1", "0g", "é"] {
            assert_eq!(from_hex(text), None, "{text}");
        }
        assert_eq!(to_hex(&[0, 255]), "00ff");
    }
}
