//! The configuration of a pipeline: one TOML file, overridable by the environment.
//!
//! ```text
//! file ─> document ─┐
//!                   ├─> reader: asks for one key after the other ─> Config, or every problem at once
//! WATCHTOWER_* ─────┘
//! ```
//!
//! * There is no second list of keys: those that `build` asks for are the known ones, and what nobody
//!   asked for is refused, with the nearest known name. The environment overrides the file key by key:
//!   `[redis] url` is `WATCHTOWER_REDIS_URL`.
//! * All problems are reported together ([`ConfigError::Invalid`]), each with its place, what was found
//!   and what was expected. The file's value is checked even where a variable overrides it.
//! * Nothing printed here holds a password: neither `Debug`, nor [`Config::describe`], nor a problem. A URL
//!   passes through [`redacted`] first, and of a line that is no TOML nothing is quoted.

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;
use watchtower_dataflows::model::Rules;

use crate::events::Limits;

mod build;
mod connection;
mod describe;
mod document;
mod environment;
mod error;
mod kinds;
mod nearest;
mod reader;
mod redact;
mod urls;

pub use connection::{SslMode, split_ssl_mode};
pub use environment::environment;
pub use error::{ConfigError, Place, Problem};
pub use redact::redacted;

/// A configuration file in which every key is explained and has its default. It works as it is, with
/// a Redis and a PostgreSQL of one's own machine.
pub const EXAMPLE: &str = include_str!("example.toml");

/// Everything a daemon is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The pipeline's name: a lower-case letter, then lower-case letters, digits and `_`, at most 40.
    /// Its streams are `wt:<pipeline>:events:0` .. and `wt:<pipeline>:control`.
    pub pipeline: String,
    /// Where events come from.
    pub redis: Redis,
    /// Who says what time it is.
    pub clock: Clock,
    /// What matters where events and tables are in one file.
    pub embedded: Embedded,
    /// Where tables go.
    pub store: Store,
    /// What is accepted.
    pub limits: Limits,
    /// What the tables mean; `retention_ms` is the lateness.
    pub rules: Rules,
    /// What is kept for a quick restart.
    pub checkpoints: Checkpoints,
    /// How many threads compute.
    pub engine: Engine,
    /// Where the daemon answers about itself.
    pub http: Http,
    /// What it says while it runs.
    pub log: Log,
}

/// `[redis]`
#[derive(Clone, Debug)]
pub struct Redis {
    /// `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS.
    pub url: SecretString,
    /// Number of event streams, 1..=1024; fixed once the pipeline exists.
    pub streams: u16,
    /// How much of the log is kept although nobody needs it any more. Milliseconds.
    pub log_keep_ms: i64,
    /// PEM file of the authorities to trust with `rediss`, instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Whether a Redis will do that may throw away streams when its memory is full.
    pub allow_eviction: bool,
}

/// `[clock]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The daemon appends a clock event to each stream every second.
    Wall,
    /// Only producers append them.
    Log,
}

/// `[embedded]`, and what is said elsewhere: what nobody says, the file does.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// Number of event streams, 1..=1024; fixed once the file exists.
    pub streams: Option<u16>,
    /// How much of the log is kept although nobody needs it any more; all of it if nothing is said.
    /// Milliseconds.
    pub log_keep_ms: Option<i64>,
    /// `[clock] source`, if it is set.
    pub clock: Option<Clock>,
}

/// `[store]`
#[derive(Clone, Debug)]
pub struct Store {
    /// `postgres://[user[:password]@]host[:port][/database][?sslmode=..]`, or `host=.. user=.. ..`, as
    /// written. `sslmode` may be `verify-full`, which [`split_ssl_mode`] takes out for clients that do
    /// not know it.
    pub url: SecretString,
    /// The schema of the tables; by default the pipeline's name.
    pub schema: String,
    /// Whether the daemon may bring the schema up to date when it starts.
    pub migrate: bool,
    /// Whether every accepted position is kept in `positions_log`.
    pub archive: bool,
    /// The role that may read the tables; made by the migration if it is missing. None: no grants.
    pub reader_role: Option<String>,
    /// How often `vehicle_state` is brought up to date. Milliseconds.
    pub state_every_ms: i64,
    /// How long rejected events are kept. Milliseconds.
    pub rejected_keep_ms: i64,
    /// PEM file of the authorities to trust with TLS, instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Whether a PostgreSQL will do that may lose what it has committed.
    pub allow_unsafe: bool,
}

/// `[checkpoints]`
#[derive(Clone, Debug)]
pub struct Checkpoints {
    /// The folder they are written to; made if it is missing. Each pipeline has one of its own in it.
    pub folder: PathBuf,
    /// How often. Milliseconds.
    pub every_ms: i64,
}

/// `[engine]`
#[derive(Clone, Debug)]
pub struct Engine {
    /// Worker threads.
    pub workers: u16,
    /// How much may be on its way from Redis to PostgreSQL, as Redis has it. Bytes.
    pub in_flight_bytes: usize,
}

/// `[http]`
#[derive(Clone, Debug)]
pub struct Http {
    /// Where `/healthz`, `/readyz` and `/metrics` are served.
    pub listen: SocketAddr,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// How a line is written.
    pub format: LogFormat,
    /// What is said: a level (`info`), or directives (`info,watchtower=debug`).
    pub level: String,
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}
