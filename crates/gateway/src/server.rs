//! The listener: connections of HTTP/1.1 and HTTP/2, with TLS if that is configured, within limits of number and time.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};
use watchtower_core::BoxFuture;
use watchtower_core::events::Limits;
use watchtower_log::ingest::Ingest;
use watchtower_store::tokens::Tokens;

use crate::accounts::Accounts;
use crate::connections::{Connections, Open};
use crate::feeds::Feeds;
use crate::{Context, Options, Shared, files, metrics, routes};

/// A connection without a request is closed after this time, once it has had one.
const IDLE: Duration = Duration::from_secs(75);
/// Time limit for requests in progress once the gateway stops.
const GRACE: Duration = Duration::from_secs(5);
/// After an error of the system, such as too many open files, the listener waits this long.
const AFTER_ERROR: Duration = Duration::from_millis(100);
/// Streams of an HTTP/2 connection at the same time.
const MAX_STREAMS: u32 = 128;
/// Room for the headers of a request, bytes.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// The gateway cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The address cannot be bound.
    #[error("cannot listen on {listen} for the gateway ([gateway] listen)")]
    Bind {
        /// The configured address.
        listen: SocketAddr,
        /// Cause reported by the operating system.
        source: io::Error,
    },
    /// Certificate or key cannot be used.
    #[error("cannot use {} for TLS of the gateway: {fault}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
}

/// A gateway that is bound to its address.
#[derive(Debug)]
pub struct Gateway {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    context: Shared,
    log: watchtower_log::Options,
}

impl Gateway {
    /// Binds the address; port 0 selects a free port. Neither log nor store is connected yet.
    ///
    /// # Errors
    /// If the address cannot be bound, or certificate or key cannot be used.
    pub async fn bind(
        options: Options,
        limits: Limits,
        log: watchtower_log::Options,
        tokens: Tokens,
    ) -> Result<Self, GatewayError> {
        let listen = options.listen;
        let failed = |source| GatewayError::Bind { listen, source };
        let tls = tls(&options)?;
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        info!(%address, tls = tls.is_some(), open = options.is_open(), "the gateway listens");
        if !address.ip().is_loopback() && tls.is_none() {
            warn!(
                "tokens and positions are sent without encryption: set [gateway] tls_certificate and tls_key, or put \
                   a proxy with TLS before the gateway"
            );
        }
        let context = Context {
            options,
            limits,
            ingest: Ingest::start(log.clone()),
            accounts: Accounts::new(tokens),
            rates: crate::limits::Rates::default(),
            ids: crate::ids::Ids::default(),
            vessels: crate::vessels::Vessels::default(),
        };
        Ok(Self { listener, address, tls, context: Arc::new(context), log })
    }

    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` completes; requests in progress may then finish within `GRACE`.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        self.run_until(Box::pin(shutdown)).await;
    }

    fn run_until(self, shutdown: BoxFuture<'_, ()>) -> BoxFuture<'_, ()> {
        Box::pin(self.serve(shutdown))
    }

    async fn serve(self, mut shutdown: BoxFuture<'_, ()>) {
        let Self { listener, address: _, tls, context, log } = self;
        metrics::describe(&context.options);
        let feeds = Feeds::start(&context, &log);
        let connections = Connections::new(files::connections(context.options.max_connections));
        let router = routes::router(Arc::clone(&context));
        let (stopping, stop) = watch::channel(());
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = tasks.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let Some(open) = connections.open() else { continue };
                        let connection = Connection {
                            open: Arc::new(open),
                            router: router.clone(),
                            header_timeout: context.options.header_timeout,
                            tls: tls.clone(),
                            stop: stop.clone(),
                        };
                        tasks.spawn(connection.serve(stream));
                    }
                    Err(error) => {
                        debug!(%error, "a connection was not accepted");
                        tokio::time::sleep(AFTER_ERROR).await;
                    }
                }
            }
        }
        drop((listener, stopping));
        feeds.stop().await;
        let rest = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, rest).await;
    }
}

/// A connection that is to be served.
struct Connection {
    open: Arc<Open>,
    router: Router,
    header_timeout: Duration,
    tls: Option<Arc<ServerConfig>>,
    stop: watch::Receiver<()>,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        match self.tls.clone() {
            None => self.speak(stream).await,
            Some(config) => {
                let handshake = TlsAcceptor::from(config).accept(stream);
                match tokio::time::timeout(self.header_timeout, handshake).await {
                    Ok(Ok(stream)) => self.speak(stream).await,
                    Ok(Err(error)) => debug!(%error, "a TLS handshake failed"),
                    Err(_) => debug!("a TLS handshake took too long"),
                }
            }
        }
    }

    async fn speak(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self { open, router, header_timeout, tls: _, mut stop } = self;
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .max_buf_size(MAX_HEADER_BYTES)
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(MAX_HEADER_BYTES as u32)
            .max_concurrent_streams(MAX_STREAMS);
        let inner = TowerToHyperService::new(router);
        let counted = Arc::clone(&open);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let (inner, in_progress) = (inner.clone(), counted.request());
            async move {
                let response: Result<Response, _> = inner.call(request).await;
                drop(in_progress);
                response
            }
        });
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    debug!(%error, "a connection broke");
                }
                return;
            }
            () = open.until_closed(header_timeout, IDLE) => return,
            // An error means that the sender was dropped, which is the signal to stop.
            _ = stop.changed() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}

/// Whether the gateway speaks TLS.
///
/// # Errors
/// If certificate or key cannot be used.
pub fn check_tls(options: &Options) -> Result<bool, GatewayError> {
    Ok(tls(options)?.is_some())
}

fn tls(options: &Options) -> Result<Option<Arc<ServerConfig>>, GatewayError> {
    let (Some(certificate), Some(key)) = (&options.tls_certificate, &options.tls_key) else { return Ok(None) };
    let fault = |path: &PathBuf, fault: String| GatewayError::Tls { path: path.clone(), fault };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain = chain.map_err(|error| fault(certificate, error.to_string()))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| fault(key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports TLS 1.2 and 1.3")
        .with_no_client_auth();
    let mut config = builder.with_single_cert(chain, private).map_err(|error| fault(certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}
