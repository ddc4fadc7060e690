//! The producer: appends the events of a simulated fleet to the log of the file.
//!
//! History, the time before the demo begins, is appended as fast as the daemon reads it; later events at their time. To
//! measure the effect of a correction, everything before it is committed first, then the correction alone, and the rows
//! before and after are compared. So the reported effect does not depend on the speed of the machine.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use watchtower_model::Millis;

use super::DemoError;
use super::changes::Watched;
use super::entries::{Entries, STREAMS};
use super::gauge::{Change, Gauge};
use super::tables::Tables;
use watchtower_core::events::Event;
use watchtower_geopackage::GeoPackage;
use watchtower_log::file::Appender;
use watchtower_simulator::{Correction, Simulator};

/// Simulated time after which entries end.
const CUT_EVERY_MS: Millis = 10_000;
/// Events per append while history is appended.
const APPENDED_AT_ONCE: u64 = 8_192;
/// Limit of events that are appended but not committed; one append may exceed it.
const MAX_BEHIND: u64 = 65_536;
/// Interval between checks of the commit.
const POLL_EVERY: Duration = Duration::from_millis(2);
/// Longest sleep of a wait before it checks whether the demo was stopped.
const MAX_SLEEP: Duration = Duration::from_millis(50);
/// Simulated time between two corrections whose effects are measured.
const MEASURE_EVERY_MS: Millis = 60_000;

/// Simulated times of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// The end of history.
    pub(super) live: Millis,
    /// The end of the run; `None` runs until stopped.
    pub(super) ends: Option<Millis>,
    /// Simulated seconds per second; `None` runs without pauses.
    pub(super) speedup: Option<f64>,
}

/// The producer of the demo.
#[derive(Debug)]
pub(super) struct Feed {
    simulator: Simulator,
    entries: Entries,
    appender: Appender,
    tables: Tables,
    gauge: Arc<Gauge>,
    /// Number of the last entry.
    position: u64,
    last_measured: Option<Millis>,
    events: Vec<Event<'static>>,
}

impl Feed {
    /// A producer for a file whose log is empty.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub(super) fn new(simulator: Simulator, file: &GeoPackage, gauge: Arc<Gauge>) -> Result<Self, DemoError> {
        let appender = Appender::open(file, Some(STREAMS))?;
        let tables = Tables::open(file)?;
        Ok(Self {
            simulator,
            entries: Entries::default(),
            appender,
            tables,
            gauge,
            position: 0,
            last_measured: None,
            events: Vec::new(),
        })
    }

    /// Simulates until the end or a stop. All simulated events are in the log afterwards.
    ///
    /// # Errors
    /// If the file cannot be written or read.
    pub(super) fn run(mut self, schedule: Schedule) -> Result<Simulator, DemoError> {
        let Schedule { live, ends, speedup } = schedule;
        let ends = ends.unwrap_or(Millis::MAX);
        let mut began: Option<(Instant, Millis)> = None;
        while self.simulator.now() < ends && !self.gauge.is_stopped() {
            let now = self.simulator.now();
            if now >= live && self.gauge.read().history.is_none() {
                self.append()?;
                self.wait_until_committed()?;
                self.gauge.live();
            }
            let until = (now + CUT_EVERY_MS).min(ends).min(if now < live { live } else { ends });
            self.simulate(until)?;
            match speedup {
                Some(speedup) if until > live => {
                    let (began_at, from) = *began.get_or_insert_with(|| (Instant::now(), now));
                    let due = began_at + Duration::from_secs_f64((until - from) as f64 / 1000.0 / speedup);
                    if due.elapsed() > Duration::from_secs(1) {
                        began = None; // behind schedule: the lost time is not made up for
                    }
                    self.wait_for(due);
                    self.append()?;
                }
                Some(_) | None if self.entries.events() >= APPENDED_AT_ONCE => self.append()?,
                Some(_) | None => {}
            }
        }
        self.append()?;
        self.wait_until_committed()?;
        Ok(self.simulator)
    }

    fn simulate(&mut self, until: Millis) -> Result<(), DemoError> {
        let mut events = std::mem::take(&mut self.events);
        while self.simulator.now() < until {
            let now = self.simulator.now();
            let corrections = self.simulator.step(&mut events);
            for event in events.drain(..) {
                self.entries.push(&event, now);
            }
            for correction in corrections {
                self.correct(&correction, now)?;
            }
        }
        self.entries.flush(until);
        self.events = events;
        Ok(())
    }

    /// Appends a correction, and measures its effect unless another was measured shortly before.
    fn correct(&mut self, correction: &Correction, now: Millis) -> Result<(), DemoError> {
        let measures = self.last_measured.is_none_or(|last| now - last >= MEASURE_EVERY_MS);
        // The entries end here in both cases, so that the log is the same.
        self.entries.flush(now);
        if !measures {
            self.gauge.count_unmeasured();
            correction.events.iter().for_each(|event| self.entries.push(event, now));
            self.entries.flush(now);
            return Ok(());
        }
        self.last_measured = Some(now);
        let watched = Watched::of(correction);
        self.append()?;
        self.wait_until_committed()?;
        let before = watched.read(&self.tables)?;
        correction.events.iter().for_each(|event| self.entries.push(event, now));
        self.entries.flush(now);
        self.append()?;
        self.wait_until_committed()?;
        let after = watched.read(&self.tables)?;
        self.gauge.record_change(Change { at: now, text: watched.describe(correction, &before, &after) });
        Ok(())
    }

    /// Appends the ended entries, and waits while too many events are not committed.
    fn append(&mut self) -> Result<(), DemoError> {
        let (batch, events) = self.entries.take();
        if batch.is_empty() {
            return Ok(());
        }
        self.appender.append(&batch)?;
        self.position += batch.len() as u64;
        self.gauge.appended(self.position, events, self.simulator.now());
        self.wait_while(|behind, _| behind > MAX_BEHIND)
    }

    fn wait_until_committed(&self) -> Result<(), DemoError> {
        self.wait_while(|_, committed| committed < self.position)
    }

    /// Polls the number of missing events and the committed entry until `goes_on` returns false.
    fn wait_while(&self, goes_on: impl Fn(u64, u64) -> bool) -> Result<(), DemoError> {
        loop {
            let committed = self.tables.committed()?;
            let behind = self.gauge.committed(committed);
            if !goes_on(behind, committed) || self.gauge.has_ended() {
                return Ok(());
            }
            sleep(POLL_EVERY);
        }
    }

    fn wait_for(&self, due: Instant) {
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() || self.gauge.is_stopped() {
                return;
            }
            sleep(left.min(MAX_SLEEP));
        }
    }
}
