//! Connections: address, encryption, and the settings of every session.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;
use watchtower_auth::tls;
use watchtower_core::BoxFuture;

use super::connection_string::{self, split_ssl_mode};
use super::error::StoreError;
use super::options::Options;

/// Time limit for establishing a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Settings of every session; they override the role's own. The server ends a session whose client is gone (and
/// releases the locks of a dead writer) within 30 s: idle in a transaction after 15 s, silent on the network after 25
/// s.
const SESSION: &str = "\
    SET TimeZone = 'UTC';\
    SET client_min_messages = 'warning';\
    SET default_transaction_isolation = 'read committed';\
    SET statement_timeout = 0;\
    SET lock_timeout = '10s';\
    SET idle_in_transaction_session_timeout = '15s';\
    SET tcp_keepalives_idle = 10;\
    SET tcp_keepalives_interval = 5;\
    SET tcp_keepalives_count = 3;\
    SET tcp_user_timeout = '25s';";

/// The address of a pipeline's tables.
#[derive(Clone)]
pub struct Database {
    config: tokio_postgres::Config,
    tls: Option<MakeRustlsConnect>,
    /// Name of the pipeline.
    pub pipeline: String,
    /// Schema of its tables: letters, digits and `_` only.
    pub schema: String,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("server", &self.server()).finish_non_exhaustive()
    }
}

/// Host, port, database and user of a PostgreSQL URL as the client parses it; nothing of a URL that it does not
/// understand, which may hold a password.
pub fn address(url: &SecretString) -> String {
    let (address, _) = split_ssl_mode(url.expose_secret());
    address.parse().map_or_else(|_| "a server with an unreadable URL".to_owned(), |config| server(&config))
}

fn server(config: &tokio_postgres::Config) -> String {
    let host = config.get_hosts().first().map_or_else(
        || "localhost".to_owned(),
        |host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        },
    );
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let user = config.get_user().unwrap_or("?");
    format!("{host}:{port}/{} as {user}", config.get_dbname().unwrap_or(user))
}

impl Database {
    /// Parses the address in the options.
    ///
    /// # Errors
    /// If the address is malformed, or the certificates cannot be read.
    pub fn new(pipeline: &str, options: &Options) -> Result<Self, StoreError> {
        let (address, mode) = split_ssl_mode(options.url.expose_secret());
        let mut config: tokio_postgres::Config =
            address.parse().map_err(|error: tokio_postgres::Error| StoreError::Address(error.to_string()))?;
        config.ssl_mode(match mode {
            None | Some(connection_string::SslMode::Disable) => SslMode::Disable,
            Some(connection_string::SslMode::Prefer) => SslMode::Prefer,
            // TLS always verifies the server.
            Some(connection_string::SslMode::Require | connection_string::SslMode::VerifyFull) => SslMode::Require,
        });
        if config.get_application_name().is_none() {
            config.application_name(format!("watchtower {pipeline}"));
        }
        config
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(25));
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(MakeRustlsConnect::new(tls::client_config(options.ca_file.as_deref()).map_err(|fault| {
                StoreError::Certificates { path: options.ca_file.clone().unwrap_or_else(|| PathBuf::from("-")), fault }
            })?)),
        };
        Ok(Self { config, tls, pipeline: pipeline.to_owned(), schema: options.schema.clone() })
    }

    /// Host, port, database and user, as text for people.
    pub fn server(&self) -> String {
        server(&self.config)
    }

    /// Whether the connection crosses a network without encryption.
    pub fn is_unencrypted_over_the_network(&self) -> bool {
        let local = |host: &Host| match host {
            Host::Tcp(name) => matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
            Host::Unix(_) => true,
        };
        self.tls.is_none() && !self.config.get_hosts().iter().all(local)
    }

    /// Opens a session with the settings of `SESSION` and the pipeline's schema first in its search path. Its
    /// connection ends when the client is dropped.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses the login.
    pub fn connect(&self) -> BoxFuture<'_, Result<Client, StoreError>> {
        let session = async {
            let client = self.open().await?;
            self.prepare(&client).await?;
            Ok(client)
        };
        Box::pin(async {
            tokio::time::timeout(CONNECT_TIMEOUT, session)
                .await
                .unwrap_or_else(|_| Err(StoreError::TimedOut { server: self.server(), after: CONNECT_TIMEOUT }))
        })
    }

    async fn open(&self) -> Result<Client, StoreError> {
        let failed = |source| StoreError::Connect { server: self.server(), source };
        // An error of the connection is returned by the statement in progress.
        Ok(match self.tls.clone() {
            None => {
                let (client, connection) = self.config.connect(NoTls).await.map_err(failed)?;
                tokio::spawn(async move { drop(connection.await) });
                client
            }
            Some(tls) => {
                let (client, connection) = self.config.connect(tls).await.map_err(failed)?;
                tokio::spawn(async move { drop(connection.await) });
                client
            }
        })
    }

    async fn prepare(&self, client: &Client) -> Result<(), StoreError> {
        let doing = "set up a session";
        client.batch_execute(SESSION).await.map_err(StoreError::statement(doing))?;
        let postgis = "SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace \
                       WHERE extname = 'postgis'";
        let postgis = first_cell(client, postgis).await.map_err(StoreError::statement(doing))?;
        let postgis = postgis.unwrap_or_else(|| "public".to_owned());
        let path = format!("SET search_path = \"{}\", {postgis}, public", self.schema);
        client.batch_execute(&path).await.map_err(StoreError::statement(doing))
    }

    /// Checks that two connections have two sessions. A pooler in transaction mode assigns the same session to both
    /// while they are idle.
    ///
    /// # Errors
    /// [`StoreError::Pooled`] if they share one.
    pub async fn refuse_transaction_pooling(&self, first: &Client) -> Result<(), StoreError> {
        let second = self.connect().await?;
        let mine = backend(first).await?;
        let other = backend(&second).await?;
        let pooled = || Err(StoreError::Pooled { server: self.server(), backend: other.clone() });
        if mine == other {
            return pooled(); // the pooler may have no second session
        }
        // A connection in a transaction keeps its session, so the other one must get a different session, if pooled.
        second.batch_execute("BEGIN").await.map_err(StoreError::statement("begin a transaction"))?;
        if mine == backend(first).await? { Ok(()) } else { pooled() }
    }
}

async fn backend(client: &Client) -> Result<String, StoreError> {
    let answer = first_cell(client, "SELECT pg_backend_pid()").await;
    Ok(answer.map_err(StoreError::statement("read the session's process id"))?.unwrap_or_default())
}

/// First cell of the first row, without a prepared statement: behind a pooler in transaction mode a prepared statement
/// could collide with one of another process under the same name.
async fn first_cell(client: &Client, sql: &str) -> Result<Option<String>, tokio_postgres::Error> {
    let messages = client.simple_query(sql).await?;
    Ok(messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}
