//! What a daemon needs to know: each part is the `Options` of the room that uses it.

use std::time::Duration;

use watchtower_core::events::Limits;
use watchtower_geopackage::GeoPackage;
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

/// The log and the tables of a pipeline: on servers, or in a file.
#[derive(Clone, Debug)]
pub struct Places {
    /// The log that is read.
    pub log: watchtower_log::Options,
    /// The tables that are written.
    pub store: watchtower_store::Options,
}

impl Options {
    /// Both in a file; without one, on the servers.
    pub fn places(&self, file: Option<&GeoPackage>) -> Places {
        let Self { pipeline, redis, clock, embedded, store, .. } = self;
        match file {
            Some(file) => Places {
                log: watchtower_log::Options::File {
                    file: file.clone(),
                    streams: embedded.streams,
                    keep: embedded.log_keep,
                    clock: embedded.clock,
                },
                store: watchtower_store::Options::File(file.clone()),
            },
            None => Places {
                log: watchtower_log::Options::Redis { pipeline: pipeline.clone(), redis: redis.clone(), clock: *clock },
                store: watchtower_store::Options::Postgres {
                    pipeline: pipeline.clone(),
                    postgres: store.clone(),
                    streams: redis.streams,
                },
            },
        }
    }
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
