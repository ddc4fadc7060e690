//! `watchtower run`: keeps the tables of a pipeline up to date until it is stopped.

use std::pin::Pin;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use watchtower_daemon::{self as daemon, telemetry};
use watchtower_gateway::Gateway;
use watchtower_notify::Notifier;

use super::arguments::PlaceArgs;
use super::{END_WITHIN, announce, gateway, notify as notifier, runtime};
use crate::config::{self, Configuration};
use crate::interrupt;

pub(super) const RUN: &str = "\
Example:
  watchtower example > watchtower.toml       every key, explained, with its default
  watchtower check                           checks servers and permissions
  watchtower run                             until Ctrl-C or SIGTERM

  watchtower run --embedded fleet.gpkg       the same with everything in one file, without servers

With a [[rule]] or a [[channel]] it also delivers alerts, as `watchtower notify` does.

With [gateway] enabled = true it also accepts events over HTTP, as `watchtower gateway` does.

Exit codes: 0 stopped as asked, 1 an error that does not pass by itself, 2 the configuration
is wrong, 3 another daemon has taken over.";

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The pipeline or the file.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Take over from a daemon that still runs: it is fenced, writes nothing more, and ends with exit code 3
    #[arg(long)]
    pub takeover: bool,
}

/// Completes when a service is to stop.
type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A service beside the daemon.
struct Beside {
    stopping: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Beside {
    /// Starts a service, which gets the future that completes when it is to stop.
    fn start<S: Future<Output = ()> + Send + 'static>(service: impl FnOnce(Stop) -> S) -> Self {
        let (stopping, stop) = oneshot::channel();
        // An error means that the sender was dropped: the daemon has ended.
        let task = tokio::spawn(service(Box::pin(async { drop(stop.await) })));
        Self { stopping, task }
    }

    async fn stop(self) {
        let _ = self.stopping.send(());
        let _ = self.task.await;
    }
}

fn serve(gateway: Gateway) -> Beside {
    Beside::start(|stop| gateway.run(stop))
}

fn deliver(notifier: Notifier) -> Beside {
    Beside::start(|stop| notifier.run(stop))
}

/// Runs the daemon.
///
/// # Errors
/// If an error does not pass by itself.
pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let (Configuration { daemon: options, gateway, notify, alert_rules }, places) = args.place.load_all()?;
    telemetry::log::init(options.log.format, &options.log.level)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), pipeline = places.log.pipeline(), "watchtower starts");
    tracing::debug!("configuration:\n{}{}", config::describe(&options), config::describe_gateway(&gateway));
    tracing::debug!("{}", config::describe_notify(&notify));
    let runtime = runtime()?;
    let stop = {
        let _entered = runtime.enter();
        interrupt::asked_to_stop().context("cannot listen for SIGTERM and Ctrl-C")?
    };
    if gateway.enabled {
        // The gateway describes its metrics before the daemon starts.
        telemetry::metrics::install()?;
    }
    let ended = runtime.block_on(async {
        let delivering = match notify.is_enabled(!alert_rules.is_empty()) {
            true => Some(deliver(Notifier::new(&notifier::context(notify, &options, &places))?)),
            false => None,
        };
        let serving = match gateway.enabled {
            true => Some(serve(gateway::bind(gateway, &options, &places).await?)),
            false => None,
        };
        // The gateway stops first, so that the daemon commits all that was acknowledged.
        let stop = async {
            stop.await;
            if let Some(serving) = serving {
                serving.stop().await;
            }
        };
        let announcing = tokio::spawn(announce::announce(alert_rules, options.limits.clone(), places.clone()));
        let ended = daemon::run(options, &places, args.takeover, stop).await;
        announcing.abort();
        // Last, so that what the last commit has to say may leave.
        if let Some(delivering) = delivering {
            delivering.stop().await;
        }
        ended?;
        anyhow::Ok(())
    });
    runtime.shutdown_timeout(END_WITHIN);
    ended?;
    Ok(ExitCode::SUCCESS)
}
