//! Ids of the entries of a stream.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use watchtower_model::Millis;

/// Id of an entry: the instant at which it was added, and a number within that millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntryId {
    /// Milliseconds since 1970.
    pub ms: u64,
    /// Distinguishes entries of the same millisecond.
    pub seq: u64,
}

impl EntryId {
    /// Smaller than the id of any entry.
    pub const ZERO: Self = Self { ms: 0, seq: 0 };
    /// At least as great as the id of any entry.
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    /// The instant in the id.
    pub fn instant(self) -> Millis {
        Millis::try_from(self.ms).unwrap_or(Millis::MAX)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// The text does not have the form `<ms>-<seq>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a stream entry")]
pub struct NoEntryId;

impl FromStr for EntryId {
    type Err = NoEntryId;

    fn from_str(text: &str) -> Result<Self, NoEntryId> {
        let (ms, seq) = text.split_once('-').ok_or(NoEntryId)?;
        Ok(Self { ms: ms.parse().map_err(|_| NoEntryId)?, seq: seq.parse().map_err(|_| NoEntryId)? })
    }
}
