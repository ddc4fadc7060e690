//! The HTTP server of `/healthz`, `/readyz` and `/metrics`.
//!
//! `/healthz` is `ok` as long as the process answers at all: a supervisor that restarts unhealthy processes must not
//! restart a daemon that has halted because entries are lost. `/readyz` reports whether the tables follow the streams,
//! and the reason if they do not.

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

use super::health::Health;

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

/// How long binding is retried: the system may hold the address of a killed predecessor for a moment.
const ADDRESS_IS_FREE_WITHIN: Duration = Duration::from_secs(2);
const TRY_ADDRESS_EVERY: Duration = Duration::from_millis(50);

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
    /// Binds the address, retrying for `ADDRESS_IS_FREE_WITHIN`; port 0 selects a free port.
    ///
    /// # Errors
    /// If it cannot be bound.
    pub async fn bind(listen: SocketAddr) -> Result<Self, HttpError> {
        let until = Instant::now() + ADDRESS_IS_FREE_WITHIN;
        loop {
            let bound = TcpListener::bind(listen).await.and_then(|listener| Ok((listener.local_addr()?, listener)));
            match bound {
                Ok((address, listener)) => return Ok(Self { listener, address }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                    sleep(TRY_ADDRESS_EVERY).await;
                }
                Err(source) => return Err(HttpError::Bind { listen, source }),
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
        let Self { listener, address } = self;
        let (ending, mut ended) = watch::channel(());
        let shutdown = async move {
            shutdown.await;
            drop(ending);
        };
        let router = router(Pages { health, metrics: metrics.clone() });
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
    ([(header::CONTENT_TYPE, METRICS_TYPE)], pages.metrics.render())
}
