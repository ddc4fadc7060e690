//! `watchtower notify`: delivers alerts until stopped.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use watchtower_daemon::{self as daemon, Places, telemetry};
use watchtower_notify::{Clock, Context, Notifier, Options};

use super::arguments::PlaceArgs;
use super::{END_WITHIN, runtime};
use crate::config::{self, Configuration};
use crate::interrupt;

pub(super) const EXAMPLE: &str = "\
Example, with a file watchtower.toml that holds

  [[channel]]
  id = \"ops\"
  kind = \"webhook\"
  url = \"https://example.org/alerts\"
  secrets = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]

  [[rule]]
  id = \"in\"
  on = \"enter\"
  to = [\"ops\", \"log\"]

  watchtower notify                          delivers what the daemon writes
  watchtower deliveries list                 what waits, what was given up, and what was delivered

`watchtower run` delivers, too, unless [notify] enabled = false. Any number of processes may deliver for one pipeline:
each message is sent by one of them at a time.

Exit codes: 0 stopped as asked, 1 an error that does not pass by itself, 2 the configuration is wrong.";

/// Arguments of `notify`.
#[derive(Debug, Args)]
pub struct NotifyArgs {
    /// The pipeline or the file.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Delivers until stopped.
///
/// # Errors
/// If a channel or the store cannot be used.
pub fn run(args: &NotifyArgs) -> anyhow::Result<ExitCode> {
    let (Configuration { daemon: options, notify, .. }, places) = args.place.load_all()?;
    telemetry::log::init(options.log.format, &options.log.level)?;
    tracing::debug!("configuration:\n{}{}", config::describe(&options), config::describe_notify(&notify));
    let runtime = runtime()?;
    let stop = {
        let _entered = runtime.enter();
        interrupt::asked_to_stop().context("cannot listen for SIGTERM and Ctrl-C")?
    };
    let notifier = Notifier::new(&context(notify, &options, &places))?;
    // Spawned, because files are read on threads of the runtime.
    let ended = runtime.block_on(async { tokio::spawn(notifier.run(stop)).await });
    runtime.shutdown_timeout(END_WITHIN);
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// What a notifier of the pipeline needs.
pub(super) fn context(notify: Options, options: &daemon::Options, places: &Places) -> Context {
    Context {
        options: notify,
        tables: places.store.clone(),
        pipeline: places.log.pipeline(),
        zone: options.rules.local_time.clone(),
        clock: Clock::machine(),
    }
}
