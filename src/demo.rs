//! `watchtower demo`: a simulated day of a fleet through the engine, told as it goes.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Instant;

use watchtower_dataflows::model::{Control, Millis, Rules, Status, VehicleId, Visit};

use crate::cli::DemoArgs;
use crate::engine::{Batch, Deltas, Engine};
use crate::events::Limits;
use crate::replay::{Intake, Item};
use crate::sources::simulator::{Fleet, MIDNIGHT as DAY_BEGINS, Simulator};
use crate::tables::{Materialized, time};

const HOUR_MS: Millis = 3_600_000;
const DAY_MS: Millis = 24 * HOUR_MS;

/// How much of the day is one epoch.
const EPOCH_MS: Millis = 10 * 60_000;

/// How many visits of one truck are shown at the end.
const SHOWN_VISITS: usize = 8;

/// Runs the day.
///
/// # Errors
/// If `out` cannot be written.
pub fn run(args: &DemoArgs, out: &mut impl Write) -> std::io::Result<()> {
    let DemoArgs { vehicles, seed, workers } = *args;
    writeln!(
        out,
        "{vehicles} container trucks around Lagos; one day from {}, seed {seed}\n",
        time::format(DAY_BEGINS),
    )?;
    let started = Instant::now();
    let mut day = Day::begin(vehicles, seed, workers.into());
    while day.simulator.now() < DAY_BEGINS + DAY_MS {
        let corrected = day.epoch();
        day.tell(&corrected, out)?;
    }
    let elapsed = started.elapsed().as_secs_f64();
    writeln!(out, "\n{} events in {elapsed:.2} s: {:.0} events/s", day.events, day.events as f64 / elapsed)?;
    writeln!(out, "{} visits, {} of them confirmed", day.tables.visits().count(), day.confirmed())?;
    day.show_visits(out)
}

/// The day so far.
struct Day {
    simulator: Simulator,
    intake: Intake,
    engine: Engine,
    tables: Materialized,
    events: u64,
}

impl Day {
    fn begin(vehicles: u32, seed: u64, workers: usize) -> Self {
        Self {
            simulator: Simulator::new(Fleet { vehicles, seed, begins: DAY_BEGINS }),
            intake: Intake::new(Limits::for_replay()),
            engine: Engine::start(workers, Rules::default()),
            tables: Materialized::default(),
            events: 0,
        }
    }

    /// Ten minutes. Returns the past visits that became different, old and new.
    fn epoch(&mut self) -> Vec<(Visit, i64)> {
        let mut batch = Batch::default();
        let until = self.simulator.now() + EPOCH_MS;
        while self.simulator.now() < until {
            let mut events = Vec::new();
            let corrections = self.simulator.step(&mut events);
            for event in events.iter().chain(corrections.iter().flat_map(|correction| &correction.events)) {
                self.admit(event, &mut batch);
            }
        }
        let past = until - EPOCH_MS;
        let changed = self.commit(batch).visits.into_iter();
        // Before this epoch began, both of its ends were history.
        changed.filter(|(visit, _)| visit.exited_at.is_some_and(|exit| exit < past)).collect()
    }

    fn admit(&mut self, event: &crate::events::Event<'_>, batch: &mut Batch) {
        self.events += 1;
        match self.intake.admit(event).expect("a simulated event is acceptable") {
            Item::Position(mut position) => {
                position.seq = batch.positions.len() as u32;
                batch.positions.push(position);
            }
            Item::Control(control) => batch.control.push(control),
            Item::Clock(_) => {}
        }
    }

    /// Hands the batch to the engine and waits for its answer.
    fn commit(&mut self, mut batch: Batch) -> Deltas {
        batch.control.push(Control::Now(self.intake.now()));
        self.engine.submit(batch);
        let (_, completed) = self.engine.next().expect("an epoch was submitted");
        self.tables.apply(completed.deltas.clone());
        completed.deltas
    }

    /// A line every hour, and one for each correction of the past.
    fn tell(&self, corrected: &[(Visit, i64)], out: &mut impl Write) -> std::io::Result<()> {
        let now = self.simulator.now();
        let clock = clock(now);
        if (now - DAY_BEGINS) % HOUR_MS == 0 {
            let count = |status| self.tables.vehicle_states().filter(|state| state.status == status).count();
            let inside = self.tables.vehicle_states().filter(|state| !state.inside.is_empty()).count();
            writeln!(
                out,
                "{clock}  moving {:>4}  stopped {:>4}  offline {:>3}  inside a geofence {inside:>4}  visits so far {:>5}",
                count(Status::Moving),
                count(Status::Stopped),
                count(Status::Offline),
                self.tables.visits().count(),
            )?;
        }
        if !corrected.is_empty() {
            let names = &self.intake.lookup.names;
            let trucks: BTreeSet<_> = corrected.iter().map(|(visit, _)| names.vehicle_id(visit.vehicle)).collect();
            let who = match (trucks.first(), trucks.len()) {
                (Some(truck), 1) => format!("of {truck}"),
                (_, n) => format!("of {n} trucks"),
            };
            let withdrawn = corrected.iter().filter(|(_, diff)| *diff < 0).count();
            let stated = corrected.len() - withdrawn;
            writeln!(out, "{clock}  the past changed: {withdrawn} visits {who} withdrawn, {stated} stated instead")?;
        }
        Ok(())
    }

    fn confirmed(&self) -> usize {
        self.tables.visits().filter(|visit| visit.confirmed).count()
    }

    /// What the truck that uploads late did, as the tables say.
    fn show_visits(&self, out: &mut impl Write) -> std::io::Result<()> {
        let names = &self.intake.lookup.names;
        let number = 3.min(names.vehicle_ids().len() - 1) as u32;
        let truck = VehicleId(number);
        let mut visits: Vec<_> = self.tables.visits().filter(|visit| visit.vehicle == truck).collect();
        visits.sort();
        visits.sort_by_key(|visit| visit.entered_at);
        writeln!(out, "\nthe first visits of {}:", names.vehicle_id(truck))?;
        for visit in visits.into_iter().take(SHOWN_VISITS) {
            let left = visit.exited_at.map_or("inside".to_owned(), clock);
            let mark = if visit.confirmed { "" } else { "  (not confirmed)" };
            writeln!(out, "  {} - {left:<6}  {}{mark}", clock(visit.entered_at), names.geofence_id(visit.geofence))?;
        }
        Ok(())
    }
}

/// Hours and minutes in Lagos.
fn clock(t: Millis) -> String {
    let minutes = (t - DAY_BEGINS) / 60_000;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}
