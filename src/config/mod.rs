//! The configuration of a pipeline: one TOML file, overridable by the environment.
//!
//! ```text
//! file ─> document ─┐
//!                   ├─> reader: reads one key after the other ─> Options, or every problem at once
//! WATCHTOWER_* ─────┘
//! ```
//!
//! * There is no second list of keys: those that `build` reads are the known ones; others are refused, with the nearest
//!   known name. The environment overrides the file key by key: `[redis] url` is `WATCHTOWER_REDIS_URL`.
//! * All problems are reported together ([`ConfigError::Invalid`]), each with its place, the value found and the value
//!   expected. The file's value is checked even where a variable overrides it.
//! * No URL is ever printed, because it may hold a password: neither by `Debug`, nor by [`describe`], nor in a problem.
//!   Of a server, output shows what its client library parsed. Lines with syntax errors are not quoted.
//!
//! The result is [`watchtower_daemon::Options`], and with it those of other rooms ([`Configuration`]): each section is the
//! `Options` of the module that uses it.

mod alert_rules;
mod build;
mod channels;
mod describe;
mod document;
pub mod duration;
mod environment;
mod error;
mod feeds;
mod gateway;
mod key;
mod kinds;
mod nearest;
mod notify;
mod reader;
mod source_kinds;
mod urls;

pub use build::{Configuration, default_for, load, load_all, load_all_embedded, load_embedded, parse, parse_all};
pub use describe::describe;
pub use environment::environment;
pub use error::{ConfigError, Place, Problem};
pub use gateway::describe_gateway;
pub use notify::describe_notify;

/// A configuration file that explains every key and has its default. It works unchanged with a Redis and a PostgreSQL
/// on the same machine.
pub const EXAMPLE: &str = include_str!("example.toml");
