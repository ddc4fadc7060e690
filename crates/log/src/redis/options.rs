//! Options of the Redis of a pipeline: `[redis]` of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// The section `[redis]` of the configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS. May hold a password: it is never
    /// printed; [`Server::name`](super::Server::name) is.
    pub url: SecretString,
    /// Number of event streams, 1..=1024; fixed once the pipeline exists.
    pub streams: u16,
    /// How much of the log is kept although no checkpoint needs it any more.
    pub log_keep: Duration,
    /// PEM file of the authorities to trust with `rediss`, instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Whether a Redis is accepted that may evict streams when its memory is full.
    pub allow_eviction: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            url: SecretString::from("redis://127.0.0.1:6379"),
            streams: 1,
            log_keep: Duration::from_secs(60 * 60),
            ca_file: None,
            allow_eviction: false,
        }
    }
}
