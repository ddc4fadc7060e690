//! Events from Redis Streams.
//!
//! A pipeline named `lagos` has the streams `wt:lagos:events:0` .. and `wt:lagos:control`. They are read
//! with XREAD from cursors of our own ([`reader`]), never as a consumer group: group reads are writes,
//! cannot be repeated in order, and could not be committed together with the tables. A group named
//! `watchtower` is moved along behind the commits all the same, so that `XINFO GROUPS` shows the lag.
//!
//! That one read has a small RESP parser of its own ([`resp`]), thirty times as fast as a client that
//! builds a tree of values; everything else ([`admin`]) goes through the `redis` crate.

pub mod admin;
pub mod durability;
mod reader;
mod resp;
mod server;

pub use reader::Reader;
pub use resp::{Entries, ProtocolError, Reply};
pub use server::{RedisError, Server};

use std::fmt;
use std::str::FromStr;

use watchtower_dataflows::model::Millis;

/// The consumer group that shows how far the tables are.
pub const GROUP: &str = "watchtower";

/// The id of an entry: the milliseconds it was added at, and a number among those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// The keys of a pipeline: its event streams, in order, then its control stream.
pub fn stream_keys(pipeline: &str, streams: u16) -> Vec<String> {
    let events = (0..streams).map(|i| format!("wt:{pipeline}:events:{i}"));
    events.chain([format!("wt:{pipeline}:control")]).collect()
}

/// The hash that tells producers how many streams there are and who says what time it is.
pub fn announcement_key(pipeline: &str) -> String {
    format!("wt:{pipeline}:pipeline")
}
