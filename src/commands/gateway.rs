//! `watchtower gateway`: accepts events over HTTP and appends them to the log.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use watchtower_daemon::telemetry::http::Server;
use watchtower_daemon::telemetry::metrics::PrometheusHandle;
use watchtower_daemon::{self as daemon, Places, telemetry};
use watchtower_gateway::{Gateway, GatewayError, Options};
use watchtower_store::tokens::Tokens;

use super::arguments::PlaceArgs;
use super::{END_WITHIN, runtime};
use crate::config::{self, Configuration};
use crate::interrupt;

pub(super) const EXAMPLE: &str = "\
Example:
  watchtower gateway --config watchtower.toml
  curl 'http://127.0.0.1:8420/in/osmand?id=T1&lat=6.44&lon=3.36&timestamp=1795392000&speed=10'

Exit codes: 0 stopped as asked, 1 an error that does not pass by itself, 2 the configuration is wrong.";

/// Interval between two attempts to bind the address of `/metrics`.
const TRY_ADDRESS_EVERY: Duration = Duration::from_secs(1);

/// Arguments of `gateway`.
#[derive(Debug, Args)]
pub struct GatewayArgs {
    /// The pipeline or the file.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Serves until stopped.
///
/// # Errors
/// If the address cannot be bound.
pub fn run(args: &GatewayArgs) -> anyhow::Result<ExitCode> {
    let (Configuration { daemon: options, gateway, .. }, places) = args.place.load_all()?;
    telemetry::log::init(options.log.format, &options.log.level)?;
    tracing::debug!("configuration:\n{}{}", config::describe(&options), config::describe_gateway(&gateway));
    let runtime = runtime()?;
    let stop = {
        let _entered = runtime.enter();
        interrupt::asked_to_stop().context("cannot listen for SIGTERM and Ctrl-C")?
    };
    let recorder = telemetry::metrics::install()?;
    let ended = runtime.block_on(async {
        let listen = gateway.metrics;
        let gateway = bind(gateway, &options, &places).await?;
        if let Some(listen) = listen {
            tokio::spawn(serve_metrics(listen, recorder));
        }
        gateway.run(stop).await;
        anyhow::Ok(())
    });
    runtime.shutdown_timeout(END_WITHIN);
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// Serves `/metrics` once the address is free, until the process ends. Another gateway of this machine may have it.
async fn serve_metrics(listen: SocketAddr, recorder: PrometheusHandle) {
    let mut warned = false;
    let server = loop {
        match Server::bind(listen).await {
            Ok(server) => break server,
            Err(error) if !warned => {
                let error = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                tracing::warn!(%listen, error, "serves without /metrics until the address in [gateway] metrics is free");
                warned = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(TRY_ADDRESS_EVERY).await;
    };
    tracing::info!(address = %server.address(), "serving /metrics");
    if let Err(error) = server.run_metrics(recorder).await {
        tracing::warn!(%error, "stopped serving /metrics");
    }
}

/// Binds a gateway to the log and the tables of a pipeline.
///
/// # Errors
/// If the address cannot be bound, or a file of its TLS or of PostgreSQL's cannot be read.
pub(super) async fn bind(gateway: Options, options: &daemon::Options, places: &Places) -> anyhow::Result<Gateway> {
    let tokens = Tokens::new(&places.store)?;
    let bound: Result<Gateway, GatewayError> =
        Gateway::bind(gateway, options.limits.clone(), places.log.clone(), tokens).await;
    Ok(bound?)
}
