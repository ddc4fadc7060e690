//! Settings of a pipeline's PostgreSQL: `[store]` of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// Values of `[store]`.
#[derive(Clone, Debug)]
pub struct Options {
    /// `postgres://[user[:password]@]host[:port][/database][?sslmode=..]`, or `host=.. user=.. ..`, as written. It may
    /// hold a password and is never printed; [`Database::server`](super::Database::server) is. `sslmode` may be
    /// `verify-full`, which [`split_ssl_mode`](super::split_ssl_mode) removes for clients that do not know it.
    pub url: SecretString,
    /// The schema of the tables; by default the pipeline's name.
    pub schema: String,
    /// Whether the daemon may bring the schema up to date when it starts.
    pub migrate: bool,
    /// Whether every accepted position is kept in `positions_log`.
    pub archive: bool,
    /// The role that may read the tables; created by the migration if it is missing. None: no grants.
    pub reader_role: Option<String>,
    /// Interval between two updates of `vehicle_state`.
    pub state_every: Duration,
    /// How long rejected events are kept.
    pub rejected_keep: Duration,
    /// PEM file of the authorities to trust with TLS, instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Whether a PostgreSQL that may lose committed data is accepted.
    pub allow_unsafe: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            url: SecretString::from("postgres://watchtower@127.0.0.1:5432/watchtower"),
            schema: String::new(),
            migrate: true,
            archive: true,
            reader_role: Some("watchtower_reader".to_owned()),
            state_every: Duration::from_secs(1),
            rejected_keep: Duration::from_secs(30 * 24 * 60 * 60),
            ca_file: None,
            allow_unsafe: false,
        }
    }
}
