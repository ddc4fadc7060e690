//! `watchtower alerts tail`: follows the table of alerts.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use watchtower_core::outbox::AlertEvent;
use watchtower_core::tables::{Cell, Key, Row, alerts, key};
use watchtower_model::Millis;
use watchtower_store::Store;
use watchtower_store::query::{Condition, Query};

use super::test::{line, object};
use crate::commands::arguments::PlaceArgs;
use crate::commands::{interrupt_flag, runtime};

pub(super) const EXAMPLE: &str = "\
Examples:
  watchtower alerts tail                           alerts from now on, of the pipeline of watchtower.toml
  watchtower alerts tail --embedded fleet.gpkg --since 24h --rule in --json

Each line says what happened (raised, corrected or retracted), then what `watchtower alerts test` prints. A line is printed
when the table changes, whether or not the alert is delivered anywhere. Ctrl-C ends it.";

/// Interval between two looks at the table.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Interval at which Ctrl-C is noticed.
const NOTICE_EVERY: Duration = Duration::from_millis(50);

/// Arguments of `alerts tail`.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// Only alerts of this rule
    #[arg(long, value_name = "RULE")]
    pub rule: Option<String>,
    /// Print alerts since this long ago first, as in 24h [default: only new ones]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub since: Option<Duration>,
    /// Print what --since selects, and end
    #[arg(long, requires = "since")]
    pub once: bool,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
    /// The pipeline or the file.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Prints alerts as they are raised, corrected and retracted, until Ctrl-C.
///
/// # Errors
/// If the tables cannot be read.
pub(super) fn run(args: &TailArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let (_, places) = args.place.load()?;
    let store = Store::new(&places.store)?;
    let stop = interrupt_flag()?;
    runtime()?.block_on(follow(args, &store, &stop, out))?;
    Ok(ExitCode::SUCCESS)
}

/// Alerts that are followed: those at or after an instant. Rows that were there at the start are not printed, unless the
/// instant was given.
async fn follow(args: &TailArgs, store: &Store, stop: &AtomicBool, out: &mut impl Write) -> anyhow::Result<()> {
    let now = Timestamp::now().as_millisecond();
    let ago = args.since.unwrap_or(Duration::from_secs(24 * 3600));
    let from = now.saturating_sub(Millis::try_from(ago.as_millis()).unwrap_or(Millis::MAX));
    let mut query = Query::all(&alerts::TABLE).filter("at", Condition::From(Cell::Time(from)))?;
    if let Some(rule) = &args.rule {
        query = query.filter("rule_id", Condition::Equals(Cell::Text(rule.as_str().into())))?;
    }
    let mut known: BTreeMap<Key, Row> = BTreeMap::new();
    let mut as_of = None;
    while !stop.load(Ordering::Relaxed) {
        let mut reader = store.reader().await?;
        let [answer] = reader.read([&query]).await?;
        if as_of != Some(answer.as_of) {
            let rows: BTreeMap<Key, Row> =
                answer.rows.into_iter().map(|row| (key(&alerts::TABLE, &row), row)).collect();
            if as_of.is_some() || args.since.is_some() {
                for (event, row) in changes(&known, &rows) {
                    print(args, event, row, out)?;
                }
                out.flush()?;
            }
            (known, as_of) = (rows, Some(answer.as_of));
        }
        if args.once {
            return Ok(());
        }
        wait(stop).await;
    }
    Ok(())
}

/// Waits for the next look, or until `stop` is set.
async fn wait(stop: &AtomicBool) {
    let mut left = LOOK_EVERY;
    while !left.is_zero() && !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(NOTICE_EVERY).await;
        left = left.saturating_sub(NOTICE_EVERY);
    }
}

/// What changed between two contents of the table, by the instants of the alerts; of a retracted one the row before.
fn changes<'a>(before: &'a BTreeMap<Key, Row>, after: &'a BTreeMap<Key, Row>) -> Vec<(AlertEvent, &'a Row)> {
    let changed = after.iter().filter_map(|(key, row)| match before.get(key) {
        None => Some((AlertEvent::Raised, row)),
        Some(old) if old != row => Some((AlertEvent::Corrected, row)),
        Some(_) => None,
    });
    let gone = before.iter().filter(|(key, _)| !after.contains_key(*key)).map(|(_, row)| (AlertEvent::Retracted, row));
    let mut changes: Vec<_> = changed.chain(gone).collect();
    let at = alerts::TABLE.column("at").expect("a column of the descriptor");
    changes.sort_by_key(|(_, row)| row[at].as_time());
    changes
}

fn print(args: &TailArgs, event: AlertEvent, row: &Row, out: &mut impl Write) -> std::io::Result<()> {
    if !args.json {
        return writeln!(out, "{:<9}  {}", event.name(), line(row));
    }
    let mut members: Value = json!({"event": event.name()});
    if let (Some(members), Value::Object(columns)) = (members.as_object_mut(), object(row)) {
        members.extend(columns);
    }
    writeln!(out, "{members}")
}
