//! The address of a Redis server, and what it may answer.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use redis::{ConnectionAddr, IntoConnectionInfo};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use watchtower_auth::tls;
use watchtower_core::BoxFuture;

use super::answers::{error_answers, is_out_of_memory, passes};
use super::resp::ProtocolError;
use super::{Options, Reader};

/// Time limit for connecting.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit for a command that does not wait for entries.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// A command of Redis failed.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// The address cannot be read; it is not repeated here, for it may hold a password.
    #[error("[redis] url is no Redis address: {0}")]
    Address(String),
    /// The file of certificates cannot be used.
    #[error("cannot read certificates from {}: {fault}", path.display())]
    Certificates {
        /// Path of the file, as it was given.
        path: PathBuf,
        /// Reason why the file cannot be used.
        fault: String,
    },
    /// The connection failed or broke.
    #[error("cannot talk to Redis at {server}: {source}")]
    Io {
        /// Host and port of the Redis.
        server: String,
        /// Error of the system.
        source: io::Error,
    },
    /// It sent a malformed reply.
    #[error("Redis at {server}: {source}")]
    Protocol {
        /// Host and port of the Redis.
        server: String,
        /// Description of the malformed reply.
        source: ProtocolError,
    },
    /// It answered with an error.
    #[error("Redis at {server} refused {command}: {message}")]
    Refused {
        /// Host and port of the Redis.
        server: String,
        /// The command's name.
        command: String,
        /// Error that Redis answered.
        message: String,
    },
    /// It may evict streams while nothing has failed.
    #[error("Redis at {server}: {fault}, or [redis] allow_eviction = true to run all the same")]
    Evicts {
        /// Host and port of the Redis.
        server: String,
        /// The setting of Redis by which it may lose the log.
        fault: String,
    },
    /// A command of the `redis` crate failed.
    #[error("Redis at {server}: cannot {doing}: {source}")]
    Command {
        /// Host and port of the Redis.
        server: String,
        /// The operation, as in `cannot <doing>`.
        doing: String,
        /// Error of the client.
        source: redis::RedisError,
    },
}

impl RedisError {
    /// Whether the server is away, starting or busy, so that the same command will be carried out later: the connection
    /// failed, or every command that was refused got an answer that [passes by itself](super::answers).
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Io { .. } => true,
            Self::Refused { message, .. } => passes(message),
            Self::Command { source, .. } => is_away(source) || is_refused_exec(source) || self.answers_are_all(passes),
            Self::Address(_) | Self::Certificates { .. } | Self::Protocol { .. } | Self::Evicts { .. } => false,
        }
    }

    /// Whether the server is out of memory: commands that only read are carried out all the same, outside of MULTI.
    pub fn is_out_of_memory(&self) -> bool {
        match self {
            Self::Refused { message, .. } => is_out_of_memory(message),
            Self::Command { .. } => self.answers_are_all(is_out_of_memory),
            _ => false,
        }
    }

    /// Whether the connection failed: nothing is known of the server.
    pub fn is_disconnected(&self) -> bool {
        match self {
            Self::Io { .. } => true,
            Self::Command { source, .. } => is_away(source),
            _ => false,
        }
    }

    fn answers_are_all(&self, like: impl Fn(&str) -> bool) -> bool {
        let Self::Command { source, .. } = self else { return false };
        let answers = error_answers(source);
        !answers.is_empty() && answers.iter().all(|answer| like(answer))
    }
}

/// Whether EXEC itself was refused, and not a command before it. Crate redis 1.8.1 then drops the answer, and with it the
/// reason: the attempt that follows gets it from a command of its own.
fn is_refused_exec(error: &redis::RedisError) -> bool {
    error.kind() == redis::ErrorKind::UnexpectedReturnType && error.to_string().contains("multi response")
}

fn is_away(error: &redis::RedisError) -> bool {
    error.is_io_error() || error.is_timeout() || error.is_connection_dropped()
}

/// Host, port and database of a Redis URL as the client parses it; nothing of a URL that it does not understand, which
/// may hold a password.
pub fn address(url: &SecretString) -> String {
    let Ok(info) = url.expose_secret().into_connection_info() else {
        return "a server with an unreadable URL".to_owned();
    };
    match info.redis_settings().db() {
        0 => info.addr().to_string(),
        database => format!("{}/{database}", info.addr()),
    }
}

/// A two-way stream of bytes.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A server with its address, TLS and credentials.
#[derive(Clone)]
pub struct Server {
    client: redis::Client,
    tls: Option<Arc<rustls::ClientConfig>>,
    name: String,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Server {
    /// Reads the address.
    ///
    /// # Errors
    /// If it is none, or the certificates cannot be read.
    pub fn new(options: &Options) -> Result<Self, RedisError> {
        Self::open(&options.url, options.ca_file.as_ref())
    }

    /// Reads an address; `ca_file` holds the authorities to trust.
    ///
    /// # Errors
    /// If it is none, or the certificates cannot be read.
    pub fn open(url: &SecretString, ca_file: Option<&PathBuf>) -> Result<Self, RedisError> {
        let bad = |error: redis::RedisError| RedisError::Address(error.to_string());
        let info = url.expose_secret().into_connection_info().map_err(bad)?;
        let name = info.addr().to_string();
        let unreadable = |path: &PathBuf, fault: String| RedisError::Certificates { path: path.clone(), fault };
        let (tls, root_cert) = match info.addr() {
            ConnectionAddr::TcpTls { .. } => {
                let path = ca_file.cloned().unwrap_or_default();
                let config =
                    tls::client_config(ca_file.map(PathBuf::as_path)).map_err(|fault| unreadable(&path, fault))?;
                let pem =
                    ca_file.map(std::fs::read).transpose().map_err(|error| unreadable(&path, error.to_string()))?;
                (Some(Arc::new(config)), pem)
            }
            _ => (None, None),
        };
        let client = match root_cert {
            Some(root_cert) => redis::Client::build_with_tls(
                info,
                redis::TlsCertificates { client_tls: None, root_cert: Some(root_cert) },
            ),
            None => redis::Client::open(info),
        };
        Ok(Self { client: client.map_err(bad)?, tls, name })
    }

    /// The client that connects to it.
    pub(crate) fn client(&self) -> &redis::Client {
        &self.client
    }

    /// Host and port, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection for short commands.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses us.
    pub fn connect(&self) -> BoxFuture<'_, Result<redis::aio::MultiplexedConnection, RedisError>> {
        Box::pin(self.connect_or_explain())
    }

    async fn connect_or_explain(&self) -> Result<redis::aio::MultiplexedConnection, RedisError> {
        let error = match self.connect_once().await {
            Err(error) if !is_away(&error) => error,
            connected => return connected.map_err(self.failed("connect")),
        };
        // The crate hides the reply to a refused AUTH or SELECT, which shows whether the refusal passes by itself.
        match Reader::connect(self).await {
            Err(refused) => Err(refused),
            Ok(_) => Err(self.broken(io::Error::other(error))), // it did pass
        }
    }

    async fn connect_once(&self) -> redis::RedisResult<redis::aio::MultiplexedConnection> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Wraps an error of the `redis` crate; `doing` is the operation.
    pub fn failed(&self, doing: impl Into<String>) -> impl FnOnce(redis::RedisError) -> RedisError {
        let server = self.name.clone();
        move |source| RedisError::Command { server, doing: doing.into(), source }
    }

    /// An error of the connection.
    pub(super) fn broken(&self, source: io::Error) -> RedisError {
        RedisError::Io { server: self.name.clone(), source }
    }

    /// The commands that open a session: password, database.
    pub(super) fn greeting(&self) -> Vec<Vec<String>> {
        let settings = self.client.get_connection_info().redis_settings();
        let mut commands = Vec::new();
        if let Some(password) = settings.password() {
            let user = settings.username().map(str::to_owned);
            commands.push(["AUTH".to_owned()].into_iter().chain(user).chain([password.to_owned()]).collect());
        }
        if settings.db() != 0 {
            commands.push(vec!["SELECT".to_owned(), settings.db().to_string()]);
        }
        commands
    }

    /// A bare connection.
    pub(super) async fn dial(&self) -> Result<Box<dyn Stream>, RedisError> {
        let dialled = tokio::time::timeout(CONNECT_TIMEOUT, self.dial_without_limit()).await;
        dialled.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut))).map_err(|error| self.broken(error))
    }

    async fn dial_without_limit(&self) -> io::Result<Box<dyn Stream>> {
        match self.client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, port) => Ok(Box::new(tcp(host, *port).await?)),
            ConnectionAddr::TcpTls { host, port, .. } => {
                let config = self.tls.clone().ok_or_else(|| io::Error::other("TLS without a configuration"))?;
                let name = rustls::pki_types::ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                Ok(Box::new(TlsConnector::from(config).connect(name, tcp(host, *port).await?).await?))
            }
            ConnectionAddr::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            other => Err(io::Error::other(format!("no way to reach {other}"))),
        }
    }
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
