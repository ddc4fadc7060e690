//! `watchtower check`: reports everything that a daemon needs and lacks, with the remedy for each.

mod gateway;
mod listener;

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use watchtower_core::{Findings, Severity, plan};
use watchtower_daemon::{self as daemon, Places};
use watchtower_store::Store;
use watchtower_store::query::QueryError;

use super::arguments::PlaceArgs;
use super::runtime;
use crate::config::{self, Configuration};

/// Time limit for each of log and tables.
const PATIENCE: Duration = Duration::from_secs(10);

/// Prints the configuration and the findings.
///
/// # Errors
/// If the configuration is wrong.
pub fn run(args: &PlaceArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let (Configuration { daemon: options, gateway, notify, alert_rules: _ }, places) = args.load_all()?;
    let described = [config::describe(&options), config::describe_gateway(&gateway), config::describe_notify(&notify)];
    writeln!(out, "{}", described.concat())?;
    if let watchtower_log::Options::File { file, .. } = &places.log {
        writeln!(
            out,
            "# log and tables are in {}: [redis] and the address in [store] are not used\n",
            file.path().display()
        )?;
    }
    let findings = runtime()?.block_on(async {
        let mut findings = Findings::default();
        check(&options, &places, &mut findings).await;
        gateway::check(&places, &gateway, &mut findings).await;
        for channel in &notify.channels {
            match watchtower_notify::check_channel(channel, &super::notify::context(notify.clone(), &options, &places))
            {
                Ok(()) => findings.good(format!("channel {} can be used", channel.id)),
                Err(error) => findings.wrong(error.to_string()),
            }
        }
        findings
    });
    for finding in &findings.0 {
        writeln!(out, "{finding}")?;
    }
    Ok(match findings.worst() {
        Severity::Good | Severity::Warning => ExitCode::SUCCESS,
        Severity::Wrong => ExitCode::FAILURE,
    })
}

/// Checks everything that a daemon with this configuration needs. Changes nothing.
async fn check(options: &daemon::Options, places: &Places, findings: &mut Findings) {
    let plan = plan::of(&options.limits, &options.rules);
    let (log, store) = match places.log {
        watchtower_log::Options::Redis { .. } => ("Redis", "PostgreSQL"),
        watchtower_log::Options::File { .. } => ("the log in the file", "the file"),
    };
    let log_is_usable = in_time(log, findings, async |findings| places.log.check(findings).await).await;
    // Of a file that cannot be used, one finding is enough.
    if log_is_usable || matches!(places.log, watchtower_log::Options::Redis { .. }) {
        in_time(store, findings, async |findings| tables(places, &plan, findings).await).await;
    }
    match listener::try_bind(options.http.listen).await {
        Ok(()) => findings.good(format!("{} is free for /healthz, /readyz and /metrics", options.http.listen)),
        Err(taken) => findings.warning(format!(
            "[http] listen: cannot listen on {}: {} (it is in use if the daemon runs)",
            options.http.listen, taken.cause
        )),
    }
}

async fn tables(places: &Places, plan: &str, findings: &mut Findings) -> Result<(), QueryError> {
    Store::new(&places.store)?.check(plan, findings).await
}

/// Runs a check within its time limit, and records its error. Returns whether it came to its end.
async fn in_time<E: Display>(
    of: &str,
    findings: &mut Findings,
    check: impl AsyncFnOnce(&mut Findings) -> Result<(), E>,
) -> bool {
    match tokio::time::timeout(PATIENCE, check(findings)).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => findings.wrong(error.to_string()),
        Err(_) => findings.wrong(format!("{of} did not answer within {} s", PATIENCE.as_secs())),
    }
    false
}
