//! `watchtower alerts test`: one rule against a history.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value};
use watchtower_core::events::{Limits, RuleText};
use watchtower_core::tables::{Cell, Row, alerts};
use watchtower_model::rfc3339;

use crate::commands::arguments::InputArgs;
use crate::commands::files::outcome;
use crate::commands::replay::{Options, Summary, replay};
use crate::config::{self, Configuration, environment};
use crate::progress;

pub(super) const EXAMPLE: &str = "\
Example, with a file fleet.toml that holds

  [[rule]]
  id = \"in\"
  on = \"enter\"
  to = [\"log\"]

  watchtower alerts test in --config fleet.toml --positions track.csv.gz --geofences depots.geojson

Each alert is a line: instant, severity, kind, vehicle, geofence, what else is known, and its subject, which names the
fact. With --json each line is an object with the columns of the table `alerts`.

The exit code is 1 if any event of the files was refused, 2 if all were.";

/// Arguments of `alerts test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Id of the rule, as in [[rule]] id
    #[arg(value_name = "RULE")]
    pub rule: String,
    /// Configuration with the rule; its [rules] and time zone count, too
    #[arg(long, value_name = "FILE", default_value = "watchtower.toml")]
    pub config: PathBuf,
    /// The history
    #[command(flatten)]
    pub input: InputArgs,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// Replays the history and prints the alerts of the rule.
///
/// # Errors
/// If a file cannot be read, the configuration is wrong, or has no such rule.
pub(super) fn run(args: &TestArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let configured = config::load_all_embedded(Some(&args.config), environment())?;
    let rule = find(&configured, &args.rule)?;
    let Limits { refuse_zero, isolated_after_ms, .. } = configured.daemon.limits;
    let options = Options {
        geofences: args.input.geofences.clone(),
        positions: args.input.positions.clone(),
        events: args.input.events.clone(),
        shuffle: None,
        workers: 1,
        reading: args.input.reading(),
        limits: Limits { refuse_zero, isolated_after_ms, ..Limits::for_replay() },
        present: args.input.present(),
        rules: watchtower_model::Rules { retention_ms: None, horizon_ms: None, ..configured.daemon.rules },
        alert_rules: vec![RuleText { valid_from: None, ..rule }],
        has_rule_events: false,
    };
    let mut bar = progress::FileBar::new(io::stderr().is_terminal());
    let (tables, summary) = replay(&options, &mut |path, progress| bar.show(path, progress))?;
    bar.finish();
    let mut rows: Vec<Row> =
        tables.into_iter().filter(|(table, _)| table.name == alerts::TABLE.name).flat_map(|(_, rows)| rows).collect();
    let column = |name: &str| alerts::TABLE.column(name).expect("a column of the descriptor");
    let (at, subject) = (column("at"), column("subject"));
    rows.sort_by_key(|row| (row[at].as_time(), row[subject].as_text().map(str::to_owned)));
    for row in &rows {
        if args.json { writeln!(out, "{}", object(row))? } else { writeln!(out, "{}", line(row))? }
    }
    if !args.json {
        writeln!(out, "{}", count(&args.rule, rows.len(), &summary))?;
    }
    Ok(outcome(summary.events, summary.refused.values().sum()))
}

/// The rule of this id.
fn find(configured: &Configuration, id: &str) -> anyhow::Result<RuleText> {
    if let Some(rule) = configured.alert_rules.iter().find(|rule| rule.rule_id == id) {
        return Ok(rule.clone());
    }
    let known: Vec<&str> = configured.alert_rules.iter().map(|rule| rule.rule_id.as_str()).collect();
    match known.as_slice() {
        [] => anyhow::bail!("there is no rule {id:?}: the configuration has no [[rule]] at all"),
        known => anyhow::bail!("there is no rule {id:?}: the configuration has {}", known.join(", ")),
    }
}

fn count(rule: &str, alerts: usize, summary: &Summary) -> String {
    let refused: u64 = summary.refused.values().sum();
    let of = format!("rule {rule}: {alerts} alert{}", if alerts == 1 { "" } else { "s" });
    match refused {
        0 => format!("{of} in {} events", summary.events),
        refused => format!("{of} in {} events, of which {refused} were refused", summary.events),
    }
}

/// The columns of a row as members.
pub(super) fn object(row: &Row) -> Value {
    let members = alerts::TABLE.columns.iter().zip(row).map(|(column, cell)| (column.name.to_owned(), json(cell)));
    Value::Object(members.collect::<Map<_, _>>())
}

fn json(cell: &Cell) -> Value {
    match cell {
        Cell::Text(text) => Value::from(&**text),
        Cell::Time(t) => Value::from(rfc3339::format(*t)),
        Cell::Json(text) => serde_json::from_str(text).unwrap_or(Value::Null),
        _ => Value::Null,
    }
}

/// A row for people.
pub(super) fn line(row: &Row) -> String {
    let text = |name: &str| {
        let cell = alerts::TABLE.column(name).map(|index| &row[index]);
        match cell {
            Some(Cell::Text(text)) => text.to_string(),
            Some(Cell::Time(t)) => rfc3339::format(*t),
            Some(Cell::Json(text)) => text.to_string(),
            _ => "-".to_owned(),
        }
    };
    let columns = ["at", "severity", "kind", "vehicle_id", "geofence_id", "values", "subject"];
    columns.map(text).join("  ")
}
