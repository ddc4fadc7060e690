//! What a daemon needs to know: each part is the `Options` of the room that uses it.

use std::time::Duration;

use watchtower_core::events::Limits;
use watchtower_log::{ClockSource, redis};
use watchtower_model::Rules;
use watchtower_store::postgres;

use crate::checkpoint;
use crate::telemetry::{http, log};

/// The configuration of a pipeline.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The pipeline's name: a lower-case letter, then lower-case letters, digits and `_`, at most 40.
    /// Its streams are `wt:<pipeline>:events:0` .. and `wt:<pipeline>:control`.
    pub pipeline: String,
    /// Where events come from.
    pub redis: redis::Options,
    /// Where clock events come from, with servers.
    pub clock: ClockSource,
    /// The one file that is both log and tables.
    pub embedded: Embedded,
    /// Where tables are written.
    pub store: postgres::Options,
    /// What is accepted.
    pub limits: Limits,
    /// The parameters of the tables; `retention_ms` and `horizon_ms` follow from the limits.
    pub rules: Rules,
    /// The cache for a quick restart.
    pub checkpoints: checkpoint::Options,
    /// How the dataflow runs.
    pub engine: Engine,
    /// Health and metrics.
    pub http: http::Options,
    /// The program's own log.
    pub log: log::Options,
}

/// `[embedded]`; what is not set here is as the file was created.
#[derive(Clone, Debug, Default)]
pub struct Embedded {
    /// Number of event streams, 1..=1024; fixed once the file exists.
    pub streams: Option<u16>,
    /// How much of the log is kept although no checkpoint needs it any more; None: all of it.
    pub log_keep: Option<Duration>,
    /// `[clock] source`, if it is set.
    pub clock: Option<ClockSource>,
}

/// The section `[engine]` of the configuration.
#[derive(Clone, Debug)]
pub struct Engine {
    /// Number of worker threads of the dataflow, at least 1.
    pub workers: u16,
    /// How much may be between the log and the tables, in the bytes of the log.
    pub in_flight_bytes: usize,
}

impl Default for Engine {
    fn default() -> Self {
        Self { workers: 1, in_flight_bytes: 256 << 20 }
    }
}
