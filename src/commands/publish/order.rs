//! The order in which the events of files are delivered.
//!
//! An event of history arrives at the greatest time so far, so a file that is not in the order of its times, such as one
//! sorted by vehicle, would bring most of its rows too late. Where that is so, everything is delivered in the order
//! of `ts` (of clocks: `now`; of edits: `valid_from`, those without one first), equal ones as they are in the files.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};

use watchtower_core::events::{Event, Fix, Limits};
use watchtower_inputs::TemporaryFile;
use watchtower_model::{BEGINNING, Millis};

/// Events of so many bytes are sorted in memory; more of them become sorted temporary files, which are merged.
const RUN_BYTES: usize = 64 << 20;

/// Finds out whether events come in an order in which a daemon accepts them.
#[derive(Debug)]
pub(super) struct OrderCheck {
    limits: Limits,
    /// The greatest ts so far, of all and of each vehicle.
    arrival: Millis,
    newest: HashMap<Box<str>, Millis>,
    /// Positions that would be `horizon` or `late`.
    behind: u64,
}

impl OrderCheck {
    /// Before the first event.
    pub(super) fn new(limits: &Limits) -> Self {
        Self { limits: limits.clone(), arrival: BEGINNING, newest: HashMap::new(), behind: 0 }
    }

    /// Takes the next event into account.
    pub(super) fn observe(&mut self, event: &Event<'_>) {
        let Event::Position(report) = event else { return };
        if report.fix == Fix::Withdrawn {
            return;
        }
        let ts = report.ts;
        self.arrival = self.arrival.max(ts);
        let arrival = report.received_at.unwrap_or(self.arrival);
        let mut newest = ts;
        match self.newest.get_mut(&*report.vehicle_id) {
            Some(known) => {
                *known = ts.max(*known);
                newest = *known;
            }
            None => drop(self.newest.insert((&*report.vehicle_id).into(), ts)),
        }
        let is_late = self.limits.lateness_ms.is_some_and(|most_ms| newest - ts > most_ms);
        self.behind += u64::from(is_late || arrival.saturating_sub(ts) > self.limits.horizon_ms);
    }

    /// Positions that would be refused as `horizon` or `late`.
    pub(super) fn behind(&self) -> u64 {
        self.behind
    }
}

/// Where an event goes in the order of times.
pub(super) fn sort_key(event: &Event<'_>) -> Millis {
    match event {
        Event::Position(report) => report.ts,
        Event::Clock(clock) => clock.now,
        Event::Geofence(change) => change.valid_from.unwrap_or(BEGINNING),
        Event::Vehicle(change) => change.valid_from.unwrap_or(BEGINNING),
        Event::Rule(change) => change.valid_from.unwrap_or(BEGINNING),
    }
}

/// Sorts lines of text by a key, equal ones as they came. What does not fit into memory goes through temporary files.
#[derive(Debug)]
pub(super) struct Sorter {
    run_bytes: usize,
    lines: Vec<(Millis, String)>,
    bytes: usize,
    runs: Vec<TemporaryFile>,
}

impl Sorter {
    /// An order without lines.
    pub(super) fn new() -> Self {
        Self { run_bytes: RUN_BYTES, lines: Vec::new(), bytes: 0, runs: Vec::new() }
    }

    /// Adds a line without a line break.
    ///
    /// # Errors
    /// If a temporary file cannot be written.
    pub(super) fn push(&mut self, key: Millis, line: String) -> io::Result<()> {
        self.bytes += line.len() + size_of::<(Millis, String)>();
        self.lines.push((key, line));
        if self.bytes < self.run_bytes {
            return Ok(());
        }
        self.lines.sort_by_key(|(key, _)| *key); // stable
        let (run, file) = TemporaryFile::create()?;
        let mut file = BufWriter::new(file);
        for (key, line) in self.lines.drain(..) {
            writeln!(file, "{key} {line}")?;
        }
        file.flush()?;
        self.runs.push(run);
        self.bytes = 0;
        Ok(())
    }

    /// All lines in order.
    ///
    /// # Errors
    /// If a temporary file cannot be read.
    pub(super) fn finish(mut self) -> io::Result<Sorted> {
        self.lines.sort_by_key(|(key, _)| *key);
        let mut runs: Vec<Run> = Vec::new();
        for run in self.runs {
            runs.push(Run::File { lines: BufReader::new(run.open()?), _file: run });
        }
        runs.push(Run::Memory(self.lines.into_iter()));
        let mut sorted = Sorted { runs, next: BinaryHeap::new() };
        for run in 0..sorted.runs.len() {
            sorted.refill(run)?;
        }
        Ok(sorted)
    }
}

/// Lines in order, in memory or in a temporary file.
#[derive(Debug)]
enum Run {
    File {
        lines: BufReader<File>,
        /// Removed with this.
        _file: TemporaryFile,
    },
    Memory(std::vec::IntoIter<(Millis, String)>),
}

/// Lines by key, of equal ones those of earlier runs first.
#[derive(Debug)]
pub(super) struct Sorted {
    runs: Vec<Run>,
    /// The next line of each run that has one.
    next: BinaryHeap<Reverse<(Millis, usize, String)>>,
}

impl Sorted {
    /// The next line.
    ///
    /// # Errors
    /// If a temporary file cannot be read.
    pub(super) fn next(&mut self) -> io::Result<Option<String>> {
        let Some(Reverse((_, run, line))) = self.next.pop() else { return Ok(None) };
        self.refill(run)?;
        Ok(Some(line))
    }

    fn refill(&mut self, run: usize) -> io::Result<()> {
        let next = match &mut self.runs[run] {
            Run::Memory(lines) => lines.next(),
            Run::File { lines, .. } => {
                let mut line = String::new();
                lines.read_line(&mut line)?;
                let parts = line.strip_suffix('\n').and_then(|line| line.split_once(' '));
                let parts = parts.and_then(|(key, line)| Some((key.parse().ok()?, line.to_owned())));
                if parts.is_none() && !line.is_empty() {
                    return Err(io::Error::other("a temporary file was changed by another program"));
                }
                parts
            }
        };
        self.next.extend(next.map(|(key, line)| Reverse((key, run, line))));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchtower_core::events::json;
    use watchtower_core::random::SplitMix;

    const T: Millis = 1_795_413_600_000;
    const HOUR: Millis = 3_600_000;

    fn behind(rows: &[(&str, Millis)]) -> u64 {
        let limits = Limits::default();
        let mut check = OrderCheck::new(&limits);
        for (vehicle, hours) in rows {
            let ts = T + hours * HOUR;
            let text = format!(r#"{{"type":"position","vehicle_id":"{vehicle}","ts":{ts},"lon":1,"lat":1}}"#);
            check.observe(&json::decode(text.as_bytes(), &limits).unwrap());
        }
        check.behind()
    }

    #[test]
    fn rows_are_behind_their_vehicle_or_behind_everything() {
        assert_eq!(behind(&[("a", 0), ("a", 6), ("a", 0), ("b", 0)]), 0);
        assert_eq!(behind(&[("a", 0), ("a", 7), ("a", 0), ("a", 7)]), 1, "late");
        assert_eq!(behind(&[("a", 0), ("a", 15 * 24), ("b", 0), ("b", 24)]), 1, "horizon");
    }

    #[test]
    fn lines_are_sorted_stably_through_temporary_files() {
        for (run_bytes, runs) in [(RUN_BYTES, 0), (3_000, 20)] {
            let mut random = SplitMix::new(7);
            let mut sorter = Sorter { run_bytes, ..Sorter::new() };
            let mut expected: Vec<(Millis, String)> = Vec::new();
            for i in 0..2_000 {
                let (key, line) = (random.below(50) as Millis - 25, format!("{i} with spaces"));
                expected.push((key, line.clone()));
                sorter.push(key, line).unwrap();
            }
            assert!(sorter.runs.len() >= runs);
            expected.sort_by_key(|(key, _)| *key);
            let (mut sorted, mut found) = (sorter.finish().unwrap(), Vec::new());
            while let Some(line) = sorted.next().unwrap() {
                found.push(line);
            }
            assert_eq!(found, expected.into_iter().map(|(_, line)| line).collect::<Vec<_>>());
        }
    }
}
