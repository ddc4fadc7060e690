//! The producer: a simulated fleet, appended to the log of the file.
//!
//! What has happened before the demo begins is appended as fast as the daemon takes it, the rest when its time
//! comes. A correction of the past is looked at closely: everything before it is committed first, then it alone,
//! and the rows before and after are compared. So what is told of it does not depend on how fast anything was.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use watchtower_model::Millis;

use super::DemoError;
use super::changes::Watched;
use super::entries::{Entries, STREAMS};
use super::gauge::{Gauge, Told};
use super::tables::Tables;
use watchtower_core::events::Event;
use watchtower_geopackage::GeoPackage;
use watchtower_log::file::Appender;
use watchtower_simulator::{Correction, Simulator};

/// Entries end whenever so much simulated time has passed.
const CUT_EVERY_MS: Millis = 10_000;
/// Events that are appended together, where nobody waits for them.
const APPENDED_AT_ONCE: u64 = 8_192;
/// The tables are never farther behind than so many events and one append.
const MAX_BEHIND: u64 = 65_536;
/// How often it is looked whether something is committed.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How often somebody who waits looks whether he should go on waiting.
const NAP: Duration = Duration::from_millis(50);
/// Of corrections that come in quick succession, one in so much simulated time is looked at.
const LOOK_CLOSELY_EVERY_MS: Millis = 60_000;

/// When the fleet does what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// Until then it is history.
    pub(super) live: Millis,
    /// There is nothing after that.
    pub(super) ends: Option<Millis>,
    /// How many times as fast as it happens; as fast as it can be, if nothing is said.
    pub(super) speedup: Option<f64>,
}

/// The producer.
#[derive(Debug)]
pub(super) struct Feed {
    simulator: Simulator,
    entries: Entries,
    appender: Appender,
    tables: Tables,
    gauge: Arc<Gauge>,
    /// The number of the last entry.
    position: u64,
    looked_closely: Option<Millis>,
    events: Vec<Event<'static>>,
}

impl Feed {
    /// Appends to a file whose log is empty.
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
            looked_closely: None,
            events: Vec::new(),
        })
    }

    /// Simulates until the end, or until somebody says stop; what was simulated is in the log then.
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
                        began = None; // too slow by now: the time that is lost is not made up for
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

    /// Appends a correction; if there is leisure, looks at what it changes.
    fn correct(&mut self, correction: &Correction, now: Millis) -> Result<(), DemoError> {
        let leisure = self.looked_closely.is_none_or(|last| now - last >= LOOK_CLOSELY_EVERY_MS);
        // The entries end here in any case, so that the log is the same.
        self.entries.flush(now);
        if !leisure {
            self.gauge.untold();
            correction.events.iter().for_each(|event| self.entries.push(event, now));
            self.entries.flush(now);
            return Ok(());
        }
        self.looked_closely = Some(now);
        let watched = Watched::of(correction);
        self.append()?;
        self.wait_until_committed()?;
        let before = watched.look(&self.tables)?;
        correction.events.iter().for_each(|event| self.entries.push(event, now));
        self.entries.flush(now);
        self.append()?;
        self.wait_until_committed()?;
        let after = watched.look(&self.tables)?;
        self.gauge.tell(Told { at: now, text: watched.tell(correction, &before, &after) });
        Ok(())
    }

    /// Appends what is ready, and waits if the tables are far behind.
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

    /// Looks again and again at how many events are missing and which entry is committed.
    fn wait_while(&self, goes_on: impl Fn(u64, u64) -> bool) -> Result<(), DemoError> {
        loop {
            let committed = self.tables.committed()?;
            let behind = self.gauge.committed(committed);
            if !goes_on(behind, committed) || self.gauge.has_ended() {
                return Ok(());
            }
            sleep(LOOK_EVERY);
        }
    }

    fn wait_for(&self, due: Instant) {
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() || self.gauge.is_stopped() {
                return;
            }
            sleep(left.min(NAP));
        }
    }
}
