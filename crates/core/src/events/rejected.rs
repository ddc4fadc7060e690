//! Refused events, which are kept in tables with their reason.

use sha2::{Digest, Sha256};
use watchtower_model::Millis;

use super::rejection::{Reason, Rejection};

/// How much of a refused event's bytes is kept.
pub const MAX_KEPT_BYTES: usize = 64 << 10;

/// The bytes an event was read from.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    /// All of them, or as many as were worth holding.
    pub bytes: &'a [u8],
    /// If `bytes` is only the beginning: of the whole.
    pub whole: Option<Whole>,
}

/// Size and digest of bytes that are not held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// How many there were.
    pub size_bytes: u64,
    /// SHA-256 of all bytes of the event, also of those left out.
    pub sha256: [u8; 32],
}

impl<'a> Raw<'a> {
    /// All of the bytes.
    pub fn complete(bytes: &'a [u8]) -> Self {
        Self { bytes, whole: None }
    }

    /// Size and digest of the whole.
    pub fn whole(&self) -> Whole {
        self.whole
            .unwrap_or_else(|| Whole { size_bytes: self.bytes.len() as u64, sha256: Sha256::digest(self.bytes).into() })
    }
}

/// A row of `rejected_events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedEvent {
    /// The stream or file it was read from.
    pub stream: String,
    /// Where in it: a stream id and index, a line or a feature number.
    pub position: String,
    /// The kind of fault.
    pub reason: Reason,
    /// Field, expectation and finding, in plain words.
    pub detail: String,
    /// The event's first [`MAX_KEPT_BYTES`] bytes.
    pub event: Vec<u8>,
    /// Size of the event, bytes, also of those left out.
    pub size_bytes: u64,
    /// SHA-256 of the whole of it.
    pub sha256: [u8; 32],
    /// The time in the id of its entry, if it was one.
    pub arrived_at: Option<Millis>,
}

impl RejectedEvent {
    /// The row for `raw`, refused at `position` of `stream`.
    pub fn new(stream: impl Into<String>, position: impl Into<String>, rejection: Rejection, raw: Raw<'_>) -> Self {
        let Whole { size_bytes, sha256 } = raw.whole();
        Self {
            stream: stream.into(),
            position: position.into(),
            reason: rejection.reason,
            detail: rejection.detail,
            event: raw.bytes[..raw.bytes.len().min(MAX_KEPT_BYTES)].to_vec(),
            size_bytes,
            sha256,
            arrived_at: None,
        }
    }

    /// The digest in hexadecimal.
    pub fn sha256_hex(&self) -> String {
        hexadecimal(&self.sha256)
    }
}

/// Two digits a byte, in lower case.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_beginning_and_the_digest_of_the_whole() {
        let bytes = vec![b'a'; MAX_KEPT_BYTES + 1];
        let row = RejectedEvent::new("file", "7", Rejection::new(Reason::TooLarge, "big"), Raw::complete(&bytes));
        assert_eq!(row.event.len(), MAX_KEPT_BYTES);
        assert_eq!(row.size_bytes, MAX_KEPT_BYTES as u64 + 1);
        assert_eq!(row.sha256, <[u8; 32]>::from(Sha256::digest(&bytes)));
    }

    #[test]
    fn the_digest_of_nothing() {
        let row = RejectedEvent::new("s", "1-0", Rejection::new(Reason::Malformed, ""), Raw::complete(b""));
        assert_eq!(row.sha256_hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
