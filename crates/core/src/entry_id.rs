//! What the entries of a stream are called.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use watchtower_model::Millis;

/// The id of an entry: the milliseconds it was added at, and a number among those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntryId {
    /// Milliseconds since 1970.
    pub ms: u64,
    /// Distinguishes entries of the same millisecond.
    pub seq: u64,
}

impl EntryId {
    /// Before every entry.
    pub const ZERO: Self = Self { ms: 0, seq: 0 };
    /// No entry is after it.
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    /// The instant in it.
    pub fn instant(self) -> Millis {
        Millis::try_from(self.ms).unwrap_or(Millis::MAX)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// The text is no `<ms>-<seq>`.
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
