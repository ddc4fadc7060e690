//! Results of a benchmark, as a table and as JSON.
//!
//! The names of results and of their members are stable; they name the measurement, never its value. A member that was
//! not measured is absent.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::machine::Machine;
use super::measure::Samples;

/// A measured quantity. Each variant is a column of the table and a member in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Number of events measured.
    Events,
    /// Events per second, the median of all turns.
    EventsPerS,
    /// Processor time of this program per event, microseconds.
    CpuUsPerEvent,
    /// Speed relative to the baseline: by processor time where both only compute, else by elapsed time.
    Ratio,
    /// Difference of the slowest and the fastest turn, as a percentage of the median.
    SpreadPercent,
    /// Events per second relative to one worker.
    Scaling,
    /// Number of enters of vehicles into geofences.
    Enters,
    /// Number of exits of vehicles from geofences.
    Exits,
    /// Enters and exits per hundred events.
    ChangesPercent,
    /// Number of geofences.
    Geofences,
    /// Time to build the index from valid geofences, milliseconds.
    BuildMs,
    /// Processor time of the daemon, seconds.
    EngineCpuS,
    /// Processor time of Redis, seconds.
    RedisCpuS,
    /// Processor time of all processes of PostgreSQL, seconds.
    PostgresCpuS,
    /// Events due per second.
    RatePerS,
    /// Events sent per second.
    SentPerS,
    /// Median latency, milliseconds.
    P50Ms,
    /// 90th percentile of the latency, milliseconds.
    P90Ms,
    /// 99th percentile of the latency, milliseconds.
    P99Ms,
    /// 99.9th percentile of the latency, milliseconds.
    P999Ms,
    /// Greatest latency, milliseconds.
    MaxMs,
    /// Number of commits.
    Commits,
    /// Number of vehicles.
    Vehicles,
    /// Mean number of vehicles whose visits an edit changed.
    VehiclesConcerned,
    /// Number of positions in memory.
    Positions,
    /// Size of a checkpoint on disk, MiB.
    CheckpointMib,
    /// Resident memory of the daemon, MiB.
    DaemonMib,
    /// Time from the start of the process to the first new commit, milliseconds.
    FirstCommitMs,
    /// Number of objects added.
    Count,
    /// Bytes per object.
    BytesEach,
    /// Growth of memory in the second half, percent.
    GrowthPercent,
    /// Memory of the index after it was built, without shapes, MiB.
    IndexMib,
    /// Memory of the index's cells after vehicles have moved, MiB.
    CellsMib,
}

/// Format of a number.
enum NumberFormat {
    Whole,
    Decimals(usize),
    Times,
}

impl Measure {
    /// Name of the member in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::EventsPerS => "events_per_s",
            Self::CpuUsPerEvent => "cpu_us_per_event",
            Self::Ratio => "ratio",
            Self::SpreadPercent => "spread_percent",
            Self::Scaling => "scaling",
            Self::Enters => "enters",
            Self::Exits => "exits",
            Self::ChangesPercent => "changes_percent",
            Self::Geofences => "geofences",
            Self::BuildMs => "build_ms",
            Self::EngineCpuS => "engine_cpu_s",
            Self::RedisCpuS => "redis_cpu_s",
            Self::PostgresCpuS => "postgres_cpu_s",
            Self::RatePerS => "rate_per_s",
            Self::SentPerS => "sent_per_s",
            Self::P50Ms => "p50_ms",
            Self::P90Ms => "p90_ms",
            Self::P99Ms => "p99_ms",
            Self::P999Ms => "p999_ms",
            Self::MaxMs => "max_ms",
            Self::Commits => "commits",
            Self::Vehicles => "vehicles",
            Self::VehiclesConcerned => "vehicles_concerned",
            Self::Positions => "positions",
            Self::CheckpointMib => "checkpoint_mib",
            Self::DaemonMib => "daemon_mib",
            Self::FirstCommitMs => "first_commit_ms",
            Self::Count => "count",
            Self::BytesEach => "bytes_each",
            Self::GrowthPercent => "growth_percent",
            Self::IndexMib => "index_mib",
            Self::CellsMib => "cells_mib",
        }
    }

    /// Heading of the column.
    fn title(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::EventsPerS => "events/s",
            Self::CpuUsPerEvent => "CPU us/event",
            Self::Ratio => "ratio",
            Self::SpreadPercent => "spread %",
            Self::Scaling => "scaling",
            Self::Enters => "enters",
            Self::Exits => "exits",
            Self::ChangesPercent => "changes %",
            Self::Geofences => "geofences",
            Self::BuildMs => "build ms",
            Self::EngineCpuS => "engine CPU s",
            Self::RedisCpuS => "Redis CPU s",
            Self::PostgresCpuS => "PostgreSQL CPU s",
            Self::RatePerS => "rate/s",
            Self::SentPerS => "sent/s",
            Self::P50Ms => "p50 ms",
            Self::P90Ms => "p90 ms",
            Self::P99Ms => "p99 ms",
            Self::P999Ms => "p99.9 ms",
            Self::MaxMs => "max ms",
            Self::Commits => "commits",
            Self::Vehicles => "vehicles",
            Self::VehiclesConcerned => "concerned",
            Self::Positions => "positions",
            Self::CheckpointMib => "checkpoint MiB",
            Self::DaemonMib => "daemon MiB",
            Self::FirstCommitMs => "first commit ms",
            Self::Count => "count",
            Self::BytesEach => "bytes each",
            Self::GrowthPercent => "growth %",
            Self::IndexMib => "index MiB",
            Self::CellsMib => "cells MiB",
        }
    }

    fn shown(self) -> NumberFormat {
        match self {
            Self::Events
            | Self::EventsPerS
            | Self::Enters
            | Self::Exits
            | Self::Geofences
            | Self::RatePerS
            | Self::SentPerS
            | Self::Vehicles
            | Self::VehiclesConcerned
            | Self::Positions
            | Self::Count
            | Self::Commits => NumberFormat::Whole,
            Self::EngineCpuS
            | Self::RedisCpuS
            | Self::PostgresCpuS
            | Self::P50Ms
            | Self::P90Ms
            | Self::P99Ms
            | Self::P999Ms
            | Self::MaxMs => NumberFormat::Decimals(2),
            Self::CpuUsPerEvent => NumberFormat::Decimals(3),
            Self::Ratio | Self::Scaling => NumberFormat::Times,
            Self::SpreadPercent
            | Self::ChangesPercent
            | Self::BuildMs
            | Self::IndexMib
            | Self::CellsMib
            | Self::CheckpointMib
            | Self::DaemonMib
            | Self::FirstCommitMs
            | Self::BytesEach
            | Self::GrowthPercent => NumberFormat::Decimals(1),
        }
    }

    fn text(self, value: f64) -> String {
        match self.shown() {
            NumberFormat::Whole => grouped(value),
            NumberFormat::Decimals(decimals) => format!("{value:.decimals$}"),
            NumberFormat::Times => format!("{value:.2} x"),
        }
    }
}

/// Formats 1234567.8 as 1 234 568.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Latencies of many events.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<u32>);

impl Latencies {
    /// Adds a latency; longer ones than an hour count as an hour.
    pub fn push(&mut self, latency: Duration) {
        self.0.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    /// Adds the latencies of another measurement.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Number of latencies.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Quantiles at these shares (0..1), in milliseconds, by nearest rank.
    fn quantiles_ms<const N: usize>(&self, shares: [f64; N]) -> [f64; N] {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        shares.map(|share| {
            let rank = ((sorted.len() as f64 * share).ceil() as usize).max(1);
            sorted.get(rank - 1).map_or(0.0, |&us| f64::from(us) / 1000.0)
        })
    }
}

/// One result: a line of the table.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Name of the measurement: parts separated by `/`.
    pub name: String,
    /// Name of the baseline, the last part of the baseline's own result.
    pub baseline: Option<Cow<'static, str>>,
    values: Vec<(Measure, f64)>,
}

impl Outcome {
    /// A result without members.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), baseline: None, values: Vec::new() }
    }

    /// The row with one more measure.
    #[must_use]
    pub fn with(mut self, measure: Measure, value: f64) -> Self {
        self.values.push((measure, value));
        self
    }

    /// Adds the time for a number of events.
    #[must_use]
    pub fn timed(self, samples: &Samples, events: usize) -> Self {
        let events = events as f64;
        self.with(Measure::Events, events)
            .with(Measure::EventsPerS, events / samples.wall_s())
            .with(Measure::CpuUsPerEvent, samples.cpu_s() * 1e6 / events)
            .with(Measure::SpreadPercent, samples.spread_percent())
    }

    /// Adds the quantiles of latencies.
    #[must_use]
    pub fn latencies(self, latencies: &Latencies) -> Self {
        let [p50, p90, p99, p999, max] = latencies.quantiles_ms([0.5, 0.9, 0.99, 0.999, 1.0]);
        self.with(Measure::Count, latencies.len() as f64)
            .with(Measure::P50Ms, p50)
            .with(Measure::P90Ms, p90)
            .with(Measure::P99Ms, p99)
            .with(Measure::P999Ms, p999)
            .with(Measure::MaxMs, max)
    }

    /// Adds the ratio to a baseline that did the same work in the same turns, by processor time.
    #[must_use]
    pub fn against(mut self, baseline: &'static str, mine: &Samples, theirs: &Samples) -> Self {
        self.baseline = Some(baseline.into());
        self.with(Measure::Ratio, mine.times_less_cpu_than(theirs))
    }

    /// Adds the ratio to a baseline that did part of the same work in the same turns, by elapsed time.
    #[must_use]
    pub fn as_fast_as(mut self, baseline: &'static str, mine: &Samples, theirs: &Samples) -> Self {
        self.baseline = Some(baseline.into());
        self.with(Measure::Ratio, mine.times_as_fast_as(theirs))
    }

    /// The value of a member, if it was measured.
    pub fn value(&self, measure: Measure) -> Option<f64> {
        self.values.iter().find(|(known, _)| *known == measure).map(|&(_, value)| value)
    }

    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("name".to_owned(), json!(self.name));
        for &(measure, value) in &self.values {
            let value =
                if matches!(measure.shown(), NumberFormat::Whole) { json!(value.round() as i64) } else { json!(value) };
            object.insert(measure.name().to_owned(), value);
        }
        if let Some(baseline) = &self.baseline {
            object.insert("baseline".to_owned(), json!(baseline));
        }
        Value::Object(object)
    }
}

/// All results of one benchmark.
#[derive(Clone, Debug)]
pub struct Report {
    /// Name of the benchmark.
    pub bench: &'static str,
    /// The machine it ran on.
    pub machine: Machine,
    /// The results, in the order of measurement.
    pub results: Vec<Outcome>,
    /// Remarks needed to interpret the results, such as parts left out.
    pub notes: Vec<String>,
}

impl Report {
    /// A report without results, for the current machine.
    pub fn new(bench: &'static str) -> Self {
        Self { bench, machine: Machine::describe(), results: Vec::new(), notes: Vec::new() }
    }

    /// The report as one JSON object.
    pub fn json(&self) -> Value {
        let Self { bench, machine, results, notes } = self;
        let results: Vec<Value> = results.iter().map(Outcome::json).collect();
        json!({ "bench": bench, "machine": machine, "results": results, "notes": notes })
    }

    /// The report as a table, with the columns that any result has.
    pub fn table(&self) -> String {
        let mut columns: Vec<Measure> = Vec::new();
        for (measure, _) in self.results.iter().flat_map(|outcome| &outcome.values) {
            if !columns.contains(measure) {
                columns.push(*measure);
            }
        }
        let header = ["name"].into_iter().chain(columns.iter().map(|column| column.title())).chain(["baseline"]);
        let mut rows = vec![header.map(str::to_owned).collect::<Vec<_>>()];
        for outcome in &self.results {
            let cells =
                columns.iter().map(|&column| outcome.value(column).map_or_else(String::new, |v| column.text(v)));
            let ends = (outcome.name.clone(), outcome.baseline.clone().unwrap_or_default().into_owned());
            rows.push([ends.0].into_iter().chain(cells).chain([ends.1]).collect());
        }
        let mut text = format!("{}: {}\n\n", self.bench, self.machine);
        text.push_str(&aligned(&rows));
        for note in &self.notes {
            let _ = write!(text, "\n{note}");
        }
        if !self.notes.is_empty() {
            text.push('\n');
        }
        text
    }
}

/// Aligns cells: the first and the last column to the left, numbers to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(line, "{cell:width$}"),
                _ if column + 1 == columns => write!(line, "  {cell}"),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let machine = Machine {
            cpu: "C".to_owned(),
            cores: 2,
            memory_gib: 24.0,
            system: "S".to_owned(),
            load: 0.5,
            watchtower: "1".to_owned(),
        };
        let one = Outcome::new("w/one").with(Measure::EventsPerS, 1_234_567.8).with(Measure::Ratio, 2.51259);
        let two = Outcome::new("w/rstar+geo").with(Measure::EventsPerS, 999.0);
        let results = vec![Outcome { baseline: Some("rstar+geo".into()), ..one }, two];
        Report { bench: "engine", machine, results, notes: vec!["left out: the moon".to_owned()] }
    }

    #[test]
    fn a_table_has_the_columns_that_are_there() {
        let expected = "engine: 2 x C, 24 GiB, S, load 0.5; watchtower 1\n\n\
                        name          events/s   ratio  baseline\n\
                        w/one        1 234 568  2.51 x  rstar+geo\n\
                        w/rstar+geo        999\n\
                        \nleft out: the moon\n";
        assert_eq!(report().table(), expected);
    }

    #[test]
    fn json_has_stable_names_and_no_member_that_was_not_measured() {
        let expected = r#"{"name":"w/one","events_per_s":1234568,"ratio":2.51259,"baseline":"rstar+geo"}"#;
        let json = report().json();
        assert_eq!(json["results"][0].to_string(), expected);
        assert_eq!(json["results"][1].to_string(), r#"{"name":"w/rstar+geo","events_per_s":999}"#);
        assert_eq!(json["bench"], "engine");
        assert_eq!(json["machine"]["cores"], 2);
    }
}
