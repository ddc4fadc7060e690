//! `watchtower deliveries`: what waits to be delivered, what was given up, and what was delivered.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use watchtower_model::rfc3339;
use watchtower_store::outbox::{Filter, ListedRow, Outbox, RowState};

use super::arguments::PlaceArgs;
use super::runtime;

const LIST_EXAMPLE: &str = "\
Examples:
  watchtower deliveries list --state dead
  watchtower deliveries list --channel ops --json

Each line: state, channel, event, revision, number of attempts, instant of the next attempt (pending), of the last (dead) or
of the delivery, the subject of the alert, and why the last attempt failed.";

const RETRY_EXAMPLE: &str = "\
Examples:
  watchtower deliveries retry --channel ops      after the receiver was repaired; enables a disabled channel again
  watchtower deliveries retry --all

Messages that the receiver has seen already have the same webhook-id. One that is older than what was delivered since is
dropped.";

const PURGE_EXAMPLE: &str = "\
Examples:
  watchtower deliveries purge --all                            everything that was given up
  watchtower deliveries purge --channel ops --state pending    what still waits for a channel";

/// Rows of a list unless --limit says otherwise.
const LIMIT: usize = 100;

/// What to do with deliveries.
#[derive(Debug, Subcommand)]
pub enum DeliveriesCommand {
    /// List what waits, what was given up, and what was delivered.
    #[command(after_help = LIST_EXAMPLE)]
    List(ListArgs),
    /// Attempt again at once what was given up or waits for its next attempt.
    #[command(after_help = RETRY_EXAMPLE)]
    Retry(ChangeArgs),
    /// Delete what was given up: it is never sent.
    #[command(after_help = PURGE_EXAMPLE)]
    Purge(ChangeArgs),
}

/// Which deliveries a command is about.
#[derive(Debug, Args)]
pub struct FilterArgs {
    /// Only of this channel
    #[arg(long, value_name = "ID")]
    pub channel: Option<String>,
    /// Only of this alert, by its subject
    #[arg(long, value_name = "SUBJECT")]
    pub subject: Option<String>,
    /// Only in this state: pending, dead or delivered
    #[arg(long, value_name = "STATE", value_parser = state)]
    pub state: Option<RowState>,
}

impl FilterArgs {
    fn filter(&self) -> Filter {
        let Self { channel, subject, state } = self;
        Filter { endpoint: channel.clone(), subject: subject.clone(), state: *state }
    }
}

/// Arguments of `deliveries list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Which deliveries
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Greatest number of lines
    #[arg(long, value_name = "NUMBER", default_value_t = LIMIT)]
    pub limit: usize,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
    /// The pipeline or the file.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Arguments of `deliveries retry` and `deliveries purge`.
#[derive(Debug, Args)]
pub struct ChangeArgs {
    /// Which deliveries
    #[command(flatten)]
    pub filter: FilterArgs,
    /// All of them; needed if neither --channel nor --subject is given
    #[arg(long, required_unless_present_any = ["channel", "subject"])]
    pub all: bool,
    /// The pipeline or the file.
    #[command(flatten)]
    pub place: PlaceArgs,
}

fn state(text: &str) -> Result<RowState, String> {
    let found = RowState::NAMES.iter().find(|(name, _)| *name == text);
    found.map(|(_, state)| *state).ok_or_else(|| "expected pending, dead or delivered".to_owned())
}

/// Carries out a command.
///
/// # Errors
/// If the store does not answer.
pub fn run(command: &DeliveriesCommand, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let runtime = runtime()?;
    let open = |place: &PlaceArgs| -> anyhow::Result<Outbox> { Ok(Outbox::new(&place.load()?.1.store)?) };
    match command {
        DeliveriesCommand::List(args) => {
            let outbox = open(&args.place)?;
            let rows = runtime.block_on(outbox.list(&args.filter.filter(), args.limit))?;
            for row in &rows {
                writeln!(out, "{}", if args.json { object(row) } else { line(row) })?;
            }
            if rows.len() == args.limit {
                eprintln!("there may be more: see --limit");
            }
        }
        DeliveriesCommand::Retry(args) => {
            let outbox = open(&args.place)?;
            let rows = runtime.block_on(outbox.retry(&args.filter.filter()))?;
            writeln!(out, "{rows} deliveries are due at once")?;
        }
        DeliveriesCommand::Purge(args) => {
            let outbox = open(&args.place)?;
            let rows = runtime.block_on(outbox.purge(&args.filter.filter()))?;
            writeln!(out, "{rows} deliveries deleted")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(row: &ListedRow) -> String {
    let ListedRow { endpoint, subject, revision, event, state, attempts, at, error } = row;
    let at = at.map_or_else(|| "at once".to_owned(), rfc3339::format);
    let error = error.as_ref().map(|error| format!("  ({error})")).unwrap_or_default();
    let state = state.name();
    format!("{state:<9}  {endpoint:<12}  {event:<9}  {revision:>8}  {attempts:>3}  {at:<24}  {subject}{error}")
}

fn object(row: &ListedRow) -> String {
    let ListedRow { endpoint, subject, revision, event, state, attempts, at, error } = row;
    json!({
        "state": state.name(), "channel": endpoint, "event": event, "revision": revision, "attempts": attempts,
        "at": at.map(rfc3339::format), "subject": subject, "error": error,
    })
    .to_string()
}
