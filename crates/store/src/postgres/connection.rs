//! Connections: the address, encryption, and what every session of ours is set to.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;
use watchtower_auth::tls;

use super::connection_string::{self, split_ssl_mode};
use super::error::StoreError;
use super::options::Options;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What every session is set to, whatever the role's own settings. The server gives up a session whose client is gone (and with it the
/// locks of a dead writer) within 30 s: idle in a transaction after 15, silent on the network after 25.
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

/// Where the tables of a pipeline are.
#[derive(Clone)]
pub struct Database {
    config: tokio_postgres::Config,
    tls: Option<MakeRustlsConnect>,
    /// The pipeline they belong to.
    pub pipeline: String,
    /// The schema they are in: letters, digits and `_` only.
    pub schema: String,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("server", &self.server()).finish_non_exhaustive()
    }
}

impl Database {
    /// Reads the address.
    ///
    /// # Errors
    /// If it is none, or the certificates cannot be read.
    pub fn new(pipeline: &str, options: &Options) -> Result<Self, StoreError> {
        let (address, mode) = split_ssl_mode(options.url.expose_secret());
        let mut config: tokio_postgres::Config =
            address.parse().map_err(|error: tokio_postgres::Error| StoreError::Address(error.to_string()))?;
        config.ssl_mode(match mode {
            None | Some(connection_string::SslMode::Disable) => SslMode::Disable,
            Some(connection_string::SslMode::Prefer) => SslMode::Prefer,
            // Whoever asks for TLS gets a verified server.
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

    /// Host, port, database and user, for people.
    pub fn server(&self) -> String {
        let host = self.config.get_hosts().first().map_or_else(
            || "localhost".to_owned(),
            |host| match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            },
        );
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let user = self.config.get_user().unwrap_or("?");
        format!("{host}:{port}/{} as {user}", self.config.get_dbname().unwrap_or(user))
    }

    /// Whether what we send can be read on the way.
    pub fn is_unencrypted_over_the_network(&self) -> bool {
        let local = |host: &Host| match host {
            Host::Tcp(name) => matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
            Host::Unix(_) => true,
        };
        self.tls.is_none() && !self.config.get_hosts().iter().all(local)
    }

    /// A new session, set up, with the pipeline's schema first in its search path. Its connection ends
    /// when the client is dropped.
    ///
    /// # Errors
    /// If the server cannot be reached or does not let us in.
    pub async fn connect(&self) -> Result<Client, StoreError> {
        let session = async {
            let client = self.open().await?;
            self.prepare(&client).await?;
            Ok(client)
        };
        tokio::time::timeout(CONNECT_TIMEOUT, session)
            .await
            .unwrap_or_else(|_| Err(StoreError::TimedOut { server: self.server(), after: CONNECT_TIMEOUT }))
    }

    async fn open(&self) -> Result<Client, StoreError> {
        let failed = |source| StoreError::Connect { server: self.server(), source };
        // The connection's own error comes with that of the statement under way.
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
        let postgis = ask(client, postgis).await.map_err(StoreError::statement(doing))?;
        let postgis = postgis.unwrap_or_else(|| "public".to_owned());
        let path = format!("SET search_path = \"{}\", {postgis}, public", self.schema);
        client.batch_execute(&path).await.map_err(StoreError::statement(doing))
    }

    /// Makes sure that two connections are two sessions. A pooler in transaction mode lends one and the
    /// same to both while they do nothing.
    ///
    /// # Errors
    /// [`StoreError::Pooled`] if they are one.
    pub async fn refuse_transaction_pooling(&self, first: &Client) -> Result<(), StoreError> {
        let second = self.connect().await?;
        let mine = backend(first).await?;
        let other = backend(&second).await?;
        let pooled = || Err(StoreError::Pooled { server: self.server(), backend: other.clone() });
        if mine == other {
            return pooled(); // there may be no further session to be lent
        }
        // While the other is in a transaction it holds what it was lent; a session of ours stays ours.
        second.batch_execute("BEGIN").await.map_err(StoreError::statement("begin a transaction"))?;
        if mine == backend(first).await? { Ok(()) } else { pooled() }
    }
}

async fn backend(client: &Client) -> Result<String, StoreError> {
    let answer = ask(client, "SELECT pg_backend_pid()").await;
    Ok(answer.map_err(StoreError::statement("ask for the session's process"))?.unwrap_or_default())
}

/// The first cell of the first row. Nothing is prepared for it: behind a pooler that lends sessions by the
/// transaction, a prepared statement may meet another process's of the same name.
async fn ask(client: &Client, sql: &str) -> Result<Option<String>, tokio_postgres::Error> {
    let messages = client.simple_query(sql).await?;
    Ok(messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}
