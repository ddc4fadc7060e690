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
mod answers;
pub(crate) mod check;
pub mod durability;
mod options;
mod reader;
mod resp;
mod server;
mod tail;
pub mod url;

pub use options::Options;
pub use reader::Reader;
pub use resp::{Entries, ProtocolError, Reply, StreamEntries};
pub use server::{RedisError, Server, address};
pub use tail::{Tail, from_where, unreplayable};

/// Name of the consumer group that shows how far the tables are.
pub const GROUP: &str = "watchtower";

/// Keys of a pipeline's streams: event streams in order, then the control stream.
pub fn stream_keys(pipeline: &str, streams: u16) -> Vec<String> {
    let events = (0..streams).map(|i| format!("wt:{pipeline}:events:{i}"));
    events.chain([format!("wt:{pipeline}:control")]).collect()
}

/// What keys of remembered deliveries begin with; their digest follows.
pub fn delivery_prefix(pipeline: &str) -> String {
    format!("wt:{pipeline}:delivery:")
}

/// Key of the hash that holds the lease and the cursor of a source that is fetched.
pub fn source_key(pipeline: &str, source: &str) -> String {
    format!("wt:{pipeline}:source:{source}")
}

/// Key of the hash from which producers read the number of streams and the source of clock events.
pub fn announcement_key(pipeline: &str) -> String {
    format!("wt:{pipeline}:pipeline")
}
