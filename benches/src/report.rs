//! What was measured, for people and for programs.
//!
//! The names of results and of their members are stable: they say what was measured, not how much it came
//! to, and a member that was not measured is absent.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::machine::Machine;
use super::measure::Samples;

/// Something that is measured. One that is added here is in the table and in the JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Events that were measured.
    Events,
    /// Of them by time, the median of all turns.
    EventsPerS,
    /// Processor time of this program for one of them.
    CpuUsPerEvent,
    /// How many times as fast as the baseline: by processor time where both only compute, else by time.
    Ratio,
    /// How far the slowest turn and the fastest are apart, as a share of the median.
    SpreadPercent,
    /// Events a second, as many times as on one worker.
    Scaling,
    /// Vehicles that came to be inside a geofence.
    Enters,
    /// Vehicles that left one.
    Exits,
    /// Enters and exits, of a hundred events.
    ChangesPercent,
    /// Geofences.
    Geofences,
    /// From geofences that are read and valid to an answer.
    BuildMs,
    /// Processor time of the daemon, all of it. Seconds.
    EngineCpuS,
    /// Of Redis. Seconds.
    RedisCpuS,
    /// Of PostgreSQL, all its processes. Seconds.
    PostgresCpuS,
    /// Events that were to be sent in a second.
    RatePerS,
    /// Events that were sent in a second.
    SentPerS,
    /// The median. Milliseconds.
    P50Ms,
    /// Nine of ten are not above. Milliseconds.
    P90Ms,
    /// 99 of 100 are not above. Milliseconds.
    P99Ms,
    /// 999 of 1000 are not above. Milliseconds.
    P999Ms,
    /// The longest. Milliseconds.
    MaxMs,
    /// Commits.
    Commits,
    /// Vehicles.
    Vehicles,
    /// Vehicles whose visits an edit changed, on the mean.
    VehiclesConcerned,
    /// Positions in memory.
    Positions,
    /// A checkpoint on disk.
    CheckpointMib,
    /// Memory of the daemon.
    DaemonMib,
    /// From the start of the process to the first new commit. Milliseconds.
    FirstCommitMs,
    /// How many there are of what is weighed.
    Count,
    /// Bytes of one of them.
    BytesEach,
    /// By how much memory grew in the second half.
    GrowthPercent,
    /// Memory that the index took when it was built, shapes apart.
    IndexMib,
    /// Memory for its cells, after vehicles have been about.
    CellsMib,
}

/// How a number is shown.
enum Shown {
    Whole,
    Decimals(usize),
    Times,
}

impl Measure {
    /// The member in JSON.
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

    /// The heading of its column.
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

    fn shown(self) -> Shown {
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
            | Self::Commits => Shown::Whole,
            Self::EngineCpuS
            | Self::RedisCpuS
            | Self::PostgresCpuS
            | Self::P50Ms
            | Self::P90Ms
            | Self::P99Ms
            | Self::P999Ms
            | Self::MaxMs => Shown::Decimals(2),
            Self::CpuUsPerEvent => Shown::Decimals(3),
            Self::Ratio | Self::Scaling => Shown::Times,
            Self::SpreadPercent
            | Self::ChangesPercent
            | Self::BuildMs
            | Self::IndexMib
            | Self::CellsMib
            | Self::CheckpointMib
            | Self::DaemonMib
            | Self::FirstCommitMs
            | Self::BytesEach
            | Self::GrowthPercent => Shown::Decimals(1),
        }
    }

    fn text(self, value: f64) -> String {
        match self.shown() {
            Shown::Whole => grouped(value),
            Shown::Decimals(decimals) => format!("{value:.decimals$}"),
            Shown::Times => format!("{value:.2} x"),
        }
    }
}

/// 1234567.8 as 1 234 568.
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

/// How long each of many things took.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<u32>);

impl Latencies {
    /// One more. What takes longer than an hour took an hour.
    pub fn push(&mut self, latency: Duration) {
        self.0.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The least of them that so large a share is not above, in milliseconds: the nearest rank.
    fn quantiles_ms<const N: usize>(&self, shares: [f64; N]) -> [f64; N] {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        shares.map(|share| {
            let rank = ((sorted.len() as f64 * share).ceil() as usize).max(1);
            sorted.get(rank - 1).map_or(0.0, |&us| f64::from(us) / 1000.0)
        })
    }
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was measured: parts divided by `/`.
    pub name: String,
    /// What it is compared with, as in the last part of that one's name.
    pub baseline: Option<Cow<'static, str>>,
    values: Vec<(Measure, f64)>,
}

impl Outcome {
    /// Nothing yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), baseline: None, values: Vec::new() }
    }

    /// One more member.
    #[must_use]
    pub fn with(mut self, measure: Measure, value: f64) -> Self {
        self.values.push((measure, value));
        self
    }

    /// How long a number of events took.
    #[must_use]
    pub fn timed(self, samples: &Samples, events: usize) -> Self {
        let events = events as f64;
        self.with(Measure::Events, events)
            .with(Measure::EventsPerS, events / samples.wall_s())
            .with(Measure::CpuUsPerEvent, samples.cpu_s() * 1e6 / events)
            .with(Measure::SpreadPercent, samples.spread_percent())
    }

    /// How long things took.
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

    /// How it compares with a baseline that did the same in the same turns.
    #[must_use]
    pub fn against(mut self, baseline: &'static str, mine: &Samples, theirs: &Samples) -> Self {
        self.baseline = Some(baseline.into());
        self.with(Measure::Ratio, mine.times_less_cpu_than(theirs))
    }

    /// How it compares with a baseline that did part of the same in the same turns, by the clock on the wall.
    #[must_use]
    pub fn as_fast_as(mut self, baseline: &'static str, mine: &Samples, theirs: &Samples) -> Self {
        self.baseline = Some(baseline.into());
        self.with(Measure::Ratio, mine.times_as_fast_as(theirs))
    }

    /// A member, if it was measured.
    pub fn value(&self, measure: Measure) -> Option<f64> {
        self.values.iter().find(|(known, _)| *known == measure).map(|&(_, value)| value)
    }

    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("name".to_owned(), json!(self.name));
        for &(measure, value) in &self.values {
            let value =
                if matches!(measure.shown(), Shown::Whole) { json!(value.round() as i64) } else { json!(value) };
            object.insert(measure.name().to_owned(), value);
        }
        if let Some(baseline) = &self.baseline {
            object.insert("baseline".to_owned(), json!(baseline));
        }
        Value::Object(object)
    }
}

/// All of one benchmark.
#[derive(Clone, Debug)]
pub struct Report {
    /// Which.
    pub bench: &'static str,
    /// Where.
    pub machine: Machine,
    /// What, in the order in which it was measured.
    pub results: Vec<Outcome>,
    /// What must be known to read them, such as what was left out.
    pub notes: Vec<String>,
}

impl Report {
    /// Nothing yet, on this machine.
    pub fn new(bench: &'static str) -> Self {
        Self { bench, machine: Machine::describe(), results: Vec::new(), notes: Vec::new() }
    }

    /// One object.
    pub fn json(&self) -> Value {
        let Self { bench, machine, results, notes } = self;
        let results: Vec<Value> = results.iter().map(Outcome::json).collect();
        json!({ "bench": bench, "machine": machine, "results": results, "notes": notes })
    }

    /// A table with the columns that any of the results has.
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

/// The first and the last column to the left, numbers to the right.
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
