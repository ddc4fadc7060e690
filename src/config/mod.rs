//! The configuration of a pipeline: one TOML file, overridable by the environment.
//!
//! ```text
//! file ─> document ─┐
//!                   ├─> reader: asks for one key after the other ─> Options, or every problem at once
//! WATCHTOWER_* ─────┘
//! ```
//!
//! * There is no second list of keys: those that `build` asks for are the known ones, and what nobody
//!   asked for is refused, with the nearest known name. The environment overrides the file key by key:
//!   `[redis] url` is `WATCHTOWER_REDIS_URL`.
//! * All problems are reported together ([`ConfigError::Invalid`]), each with its place, what was found
//!   and what was expected. The file's value is checked even where a variable overrides it.
//! * No URL is ever printed: neither by `Debug`, nor by [`describe`], nor in a problem, for it may hold a password.
//!   What is shown of a server is what its client library parsed. Of a line that is no TOML nothing is quoted.
//!
//! The result is [`watchtower_daemon::Options`]: each section is the `Options` of the room that uses it.

mod build;
mod describe;
mod document;
pub mod duration;
mod environment;
mod error;
mod kinds;
mod nearest;
mod reader;
mod urls;

pub use build::{default_for, load, load_embedded, parse};
pub use describe::describe;
pub use environment::environment;
pub use error::{ConfigError, Place, Problem};

/// A configuration file in which every key is explained and has its default. It works as it is, with
/// a Redis and a PostgreSQL of one's own machine.
pub const EXAMPLE: &str = include_str!("example.toml");
