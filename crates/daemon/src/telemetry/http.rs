//! The HTTP server of `/healthz`, `/readyz` and `/metrics`.
//!
//! `/healthz` is `ok` as long as the process answers at all: a supervisor that restarts unhealthy processes must not
//! restart a daemon that has halted because entries are lost. `/readyz` reports whether the tables follow the streams,
//! and the reason if they do not.
//!
//! An address in use never keeps a daemon from its work: tables that stand still cost more than pages that do not answer.
//! The daemon starts without them, warns once, and serves them when the address is free. So it starts beside a
//! predecessor that hangs, after one that was killed, and where another program has the port. A second daemon of the same
//! pipeline is refused by the claim on the tables, which names the first. An address that can never be bound, such as one
//! of another machine, ends the start.

use std::future::{Future, IntoFuture};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::health::Health;
use watchtower_core::BoxFuture;

/// Values of `[http]`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address of `/healthz`, `/readyz` and `/metrics`.
    pub listen: SocketAddr,
}

impl Default for Options {
    /// The loopback address, with the port of Prometheus exporters.
    fn default() -> Self {
        Self { listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464) }
    }
}

/// Content type of Prometheus's text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Time limit for requests in progress once the daemon stops.
const GRACE: Duration = Duration::from_secs(2);

/// How long an address in use is retried without a warning: the system may hold that of a killed predecessor.
const ADDRESS_IS_FREE_WITHIN: Duration = Duration::from_secs(2);
/// Between two attempts to take the address, until then.
const TRY_ADDRESS_EVERY: Duration = Duration::from_millis(50);
/// Between two attempts after that.
const TRY_HELD_ADDRESS_EVERY: Duration = Duration::from_secs(1);

/// Interval at which histograms are summarized, if they are not rendered; until then they keep all observations.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

const INDEX: &str = "\
watchtower
  /healthz  the process lives
  /readyz   whether the tables follow the streams, and why not
  /metrics  for Prometheus
";

/// The server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be bound.
    #[error("cannot listen on {listen} for http (does another daemon run here? [http] listen is the address)")]
    Bind {
        /// The address in the configuration.
        listen: SocketAddr,
        /// Cause reported by the operating system.
        source: io::Error,
    },
    /// The running server failed.
    #[error("the http server on {address} failed")]
    Serve {
        /// Address of the server.
        address: SocketAddr,
        /// Cause reported by the operating system.
        source: io::Error,
    },
}

impl HttpError {
    /// Whether another process has the address, which it may give up.
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse)
    }
}

/// A server that is bound to its address and does not serve yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

#[derive(Clone)]
struct Pages {
    health: Health,
    metrics: PrometheusHandle,
}

/// Serves on `listen` until `shutdown` completes.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve(
    listen: SocketAddr,
    health: Health,
    metrics: PrometheusHandle,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), HttpError> {
    Server::bind(listen).await?.run(health, metrics, shutdown).await
}

impl Server {
    /// Binds the address; port 0 selects a free port.
    ///
    /// # Errors
    /// If it cannot be bound.
    pub async fn bind(listen: SocketAddr) -> Result<Self, HttpError> {
        let bound = TcpListener::bind(listen).await.and_then(|listener| Ok((listener.local_addr()?, listener)));
        match bound {
            Ok((address, listener)) => Ok(Self { listener, address }),
            Err(source) => Err(HttpError::Bind { listen, source }),
        }
    }

    /// Takes the address once it is free, however long that takes; warns once if it is not free soon.
    pub async fn bind_when_free(listen: SocketAddr) -> Self {
        let begun = Instant::now();
        let mut warned = false;
        loop {
            match Self::bind(listen).await {
                Ok(server) => return server,
                Err(_) if warned => sleep(TRY_HELD_ADDRESS_EVERY).await,
                Err(_) if begun.elapsed() < ADDRESS_IS_FREE_WITHIN => sleep(TRY_ADDRESS_EVERY).await,
                Err(error) => {
                    warn!(%error, "goes on without /healthz, /readyz and /metrics until the address is free");
                    warned = true;
                }
            }
        }
    }

    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` completes; requests in progress may then finish within `GRACE`.
    ///
    /// # Errors
    /// If the system refuses to accept connections.
    pub async fn run(
        self,
        health: Health,
        metrics: PrometheusHandle,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), HttpError> {
        self.serve_boxed(router(Pages { health, metrics: metrics.clone() }), metrics, Box::pin(shutdown)).await
    }

    /// Serves `/metrics` alone until the returned future is dropped.
    ///
    /// # Errors
    /// If the system refuses to accept connections.
    pub async fn run_metrics(self, metrics: PrometheusHandle) -> Result<(), HttpError> {
        let render = metrics.clone();
        let page = get(move || async move { rendered(&render) });
        self.serve_boxed(Router::new().route("/metrics", page), metrics, Box::pin(std::future::pending())).await
    }

    fn serve_boxed(
        self,
        router: Router,
        metrics: PrometheusHandle,
        shutdown: BoxFuture<'static, ()>,
    ) -> BoxFuture<'static, Result<(), HttpError>> {
        Box::pin(self.serve(router, metrics, shutdown))
    }

    async fn serve(
        self,
        router: Router,
        metrics: PrometheusHandle,
        shutdown: BoxFuture<'static, ()>,
    ) -> Result<(), HttpError> {
        let Self { listener, address } = self;
        let (ending, mut ended) = watch::channel(());
        let shutdown = async move {
            shutdown.await;
            drop(ending);
        };
        let server = axum::serve(listener, router).with_graceful_shutdown(shutdown).into_future();
        let overdue = async {
            // An error means that the sender was dropped, which is the signal to stop.
            let _ = ended.changed().await;
            sleep(GRACE).await;
        };
        let served = tokio::select! {
            served = server => served,
            () = overdue => Ok(()),
            () = keep_up(metrics) => Ok(()),
        };
        served.map_err(|source| HttpError::Serve { address, source })
    }
}

async fn keep_up(metrics: PrometheusHandle) {
    loop {
        sleep(UPKEEP_EVERY).await;
        metrics.run_upkeep();
    }
}

fn router(pages: Pages) -> Router {
    Router::new()
        .route("/", get(INDEX))
        .route("/healthz", get("ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(pages)
}

async fn ready(State(pages): State<Pages>) -> impl IntoResponse {
    let state = pages.health.state();
    let status = if pages.health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, format!("{state}\n"))
}

async fn metrics(State(pages): State<Pages>) -> impl IntoResponse {
    rendered(&pages.metrics)
}

fn rendered(metrics: &PrometheusHandle) -> impl IntoResponse + use<> {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], metrics.render())
}
