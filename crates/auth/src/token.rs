//! Tokens: random texts that are shown once and stored as digests.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::encoding::{from_hex, to_hex};

/// What every token begins with, so that scanners of repositories find a leaked one.
const PREFIX: &str = "wt_";
/// Random bytes of a token. 256 bits cannot be guessed, so that a fast digest is enough.
const RANDOM_BYTES: usize = 32;

/// A token in clear. It has no `Display`, and its `Debug` does not show it.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// A new token.
    ///
    /// # Errors
    /// Text of the system's error, if it gives no random numbers.
    pub fn generate() -> Result<Self, String> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| format!("the system gives no random numbers: {error}"))?;
        Ok(Self(format!("{PREFIX}{}", to_hex(&bytes))))
    }

    /// The token as its holder sends it: to be shown once.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The digest (SHA-256) of a token. Looked up as it is: time that depends on a digest reveals nothing of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The digest of what somebody presents as a token.
    pub fn of(presented: &str) -> Self {
        Self(Sha256::digest(presented).into())
    }

    /// The digest of 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        Some(Self(from_hex(text)?.try_into().ok()?))
    }

    /// 64 hexadecimal digits.
    pub fn to_hex(self) -> String {
        to_hex(&self.0)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// Whether two secrets are equal, in a time that depends on their lengths alone.
pub fn equal(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_are_not_printed() {
        let (one, other) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert_ne!(one.expose(), other.expose());
        assert_eq!(one.expose().len(), PREFIX.len() + 2 * RANDOM_BYTES);
        assert_eq!(format!("{one:?} {:?}", one.hash()), "Token(..) TokenHash(..)");
    }

    #[test]
    fn a_digest_is_stored_as_text() {
        let hash = TokenHash::of("wt_1");
        assert_eq!(TokenHash::from_hex(&hash.to_hex()), Some(hash));
        assert_ne!(TokenHash::of("wt_2"), hash);
        assert_eq!(TokenHash::from_hex("00"), None);
    }

    #[test]
    fn secrets_are_compared() {
        assert!(equal(b"a", b"a") && !equal(b"a", b"b") && !equal(b"a", b"ab"));
    }
}
