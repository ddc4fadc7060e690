//! Where others ask: `/healthz`, `/readyz`, `/metrics`.
//!
//! `/healthz` says that the process lives and answers, and nothing more: whoever restarts what is
//! not healthy should not restart a daemon that has halted because entries are lost. `/readyz` says
//! whether the tables follow the streams, and why not.
//!
//! An address in use never keeps a daemon from its work, for tables that stand still cost more than pages that do not
//! answer: it begins without them, warns once, and serves them when the address is free. So it goes beside a
//! predecessor that hangs, after one that was killed, and where another program has the port. A second daemon of the
//! same pipeline is refused by the claim on the tables, which names the first. An address that can never be had, as
//! one of another machine, ends the start.

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

/// `[http]`
#[derive(Clone, Debug)]
pub struct Options {
    /// Where `/healthz`, `/readyz` and `/metrics` are served.
    pub listen: SocketAddr,
}

impl Default for Options {
    /// This machine alone, at the port of Prometheus exporters.
    fn default() -> Self {
        Self { listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464) }
    }
}

/// The format of Prometheus.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How long a request may go on once the daemon ends.
const GRACE: Duration = Duration::from_secs(2);

/// A predecessor that was killed may hold the address until the system has cleared it away: no warning before.
const ADDRESS_IS_FREE_WITHIN: Duration = Duration::from_secs(2);
/// Between two attempts to take the address, until then.
const TRY_ADDRESS_EVERY: Duration = Duration::from_millis(50);
/// Between two attempts after that.
const TRY_HELD_ADDRESS_EVERY: Duration = Duration::from_secs(1);

/// Histograms keep what was observed until it is summed up this often, or rendered.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

const INDEX: &str = "\
watchtower
  /healthz  the process lives
  /readyz   whether the tables follow the streams, and why not
  /metrics  for Prometheus
";

/// The server does not run.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be had.
    #[error("cannot listen on {listen} for http (does another daemon run here? [http] listen is the address)")]
    Bind {
        /// Which.
        listen: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// It stopped by itself.
    #[error("cannot go on serving http on {address}")]
    Serve {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

impl HttpError {
    /// Whether another process has the address, which it may give up.
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse)
    }
}

/// A server that has its address but does not answer yet.
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

/// Answers on `listen` until `shutdown`.
///
/// # Errors
/// If the address cannot be had.
pub async fn serve(
    listen: SocketAddr,
    health: Health,
    metrics: PrometheusHandle,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), HttpError> {
    Server::bind(listen).await?.run(health, metrics, shutdown).await
}

impl Server {
    /// Takes the address; port 0 is any that is free.
    ///
    /// # Errors
    /// If it cannot be had.
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

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown`; requests that are under way then have a moment to end.
    ///
    /// # Errors
    /// If the system does not let it go on.
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
            // Fails once the other end is gone, which is what is waited for.
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
