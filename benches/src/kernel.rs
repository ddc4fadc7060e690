//! `bench kernel`: membership alone. Finds the geofences that cover a position, and the enters and exits; without event
//! time and views.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use watchtower_dataflows::catalogue::Catalogue;
use watchtower_dataflows::whereabouts::Whereabouts;
use watchtower_model::{Geofence, Place, PositionEvent, VehicleId};

use super::baseline::{self, Plain};
use super::measure::{Sample, Samples, Scope, Timer, resident_bytes};
use super::report::{Measure, Outcome, Report};
use super::tally::{LastSeen, Tally};
use super::workload::{self, BEGINS, Region, Step, stars};
use super::{BenchError, Context};

/// Parameters of the measurement.
#[derive(Clone, Debug)]
pub struct Options {
    /// Numbers of geofences.
    pub geofences: Vec<u32>,
    /// The folder of real data, for the countries.
    pub data: Option<PathBuf>,
}

/// Number of vehicles: so many that none is in a cache at its next event.
const VEHICLES: u32 = 100_000;
/// Events measured, after each vehicle has been placed.
const EVENTS: usize = 1_000_000;
/// Events measured among countries, where the baseline takes a hundred times as long.
const EVENTS_AMONG_COUNTRIES: usize = 200_000;
/// Events per batch: as in an epoch.
const BATCH: usize = 8192;
/// Mean number of geofences over a point.
const COVER: f64 = 3.0;
/// Region of the geofences: 100 km square.
const REGION: Region = Region { west: 3.0, east: 3.9, south: 6.0, north: 6.9 };
/// Region of the countries.
const EARTH: Region = Region { west: -180.0, east: 180.0, south: -60.0, north: 80.0 };
/// Greatest number of geofences with `--quick`: making more takes longer than measuring.
const QUICK_GEOFENCES: u32 = 100_000;

const SEED: u64 = 20_260_101;

/// The walks, with their names in results.
const WALKS: [(&str, Step); 3] =
    [("10m", Step::Metres(10.0)), ("50m", Step::Metres(50.0)), ("teleport", Step::Teleport)];

/// Runs the benchmark.
///
/// # Errors
/// If Ctrl-C was pressed, countries cannot be read, or the baseline has another result.
pub fn run(options: &Options, context: &mut Context<'_>, report: &mut Report) -> Result<(), BenchError> {
    for &count in &options.geofences {
        if context.settings.quick && count > QUICK_GEOFENCES {
            report.notes.push(format!("left out by --quick: {count} geofences"));
            continue;
        }
        context.step(|| format!("making {count} geofences"))?;
        let geofences = stars(count, REGION, COVER, SEED);
        let events = context.settings.scaled(EVENTS, 10);
        measure(&count.to_string(), &geofences, REGION, events, context, report)?;
    }
    let found = options.data.as_deref().map(workload::countries).transpose()?.flatten();
    match found {
        Some(countries) => {
            let events = context.settings.scaled(EVENTS_AMONG_COUNTRIES, 4);
            measure("countries", &countries, EARTH, events, context, report)?;
        }
        None => report.notes.push(
            "left out: countries; WATCHTOWER_DATA names no folder with geofences/world_countries_50m.geojson.gz"
                .to_owned(),
        ),
    }
    Ok(())
}

/// Measures all walks among some geofences.
fn measure(
    name: &str,
    geofences: &[Arc<Geofence>],
    region: Region,
    events: usize,
    context: &mut Context<'_>,
    report: &mut Report,
) -> Result<(), BenchError> {
    context.step(|| format!("{name}: indexing {} geofences", geofences.len()))?;
    let (before, begun) = (resident_bytes(), Instant::now());
    let mut catalogue = Catalogue::default();
    catalogue.prepare(workload::edits(geofences).collect());
    catalogue.commit();
    let build_ms = begun.elapsed().as_secs_f64() * 1e3;
    let index_mib = resident_bytes().saturating_sub(before) as f64 / f64::from(1 << 20);
    let plain = Plain::new(geofences);
    let vehicles = context.settings.vehicles(VEHICLES, 4);
    for (walk, step) in WALKS {
        context.step(|| format!("{name}: making a walk of {walk}"))?;
        let track = workload::walk(vehicles, events, region, step, SEED);
        let places: Vec<_> = track.iter().map(|event| (event.vehicle, event.position.place)).collect();
        let (mut mine, mut theirs) = (Samples::default(), Samples::default());
        // Cells are computed at a vehicle's first visit, which should not be measured.
        context.step(|| format!("{name}/{walk}, warming up"))?;
        let (_, mut tally) = kernel_turn(&catalogue, &places, vehicles);
        let mut expected = None;
        for turn in 1..=context.settings.turns() {
            context.step(|| format!("{name}/{walk}, turn {turn}"))?;
            let (sample, found) = kernel_turn(&catalogue, &places, vehicles);
            mine.push(sample);
            tally = found;
            if let Some(plain) = &plain {
                context.step(|| format!("{name}/{walk}, turn {turn}, baseline"))?;
                let (sample, found) = plain_turn(plain, &track, vehicles);
                theirs.push(sample);
                expected = Some(found);
            }
        }
        let changes = 100.0 * (tally.enters + tally.exits) as f64 / events as f64;
        let mut outcome =
            Outcome::new(format!("{name}/{walk}")).timed(&mine, events).with(Measure::ChangesPercent, changes);
        if let Some(expected) = expected {
            agree(&format!("{name}/{walk}"), tally, expected)?;
            outcome = outcome.against(baseline::NAME, &mine, &theirs);
        }
        report.results.push(outcome);
        if expected.is_some() {
            report.results.push(Outcome::new(format!("{name}/{walk}/{}", baseline::NAME)).timed(&theirs, events));
        }
    }
    report.results.push(
        Outcome::new(format!("{name}/index"))
            .with(Measure::Geofences, geofences.len() as f64)
            .with(Measure::BuildMs, build_ms)
            .with(Measure::IndexMib, index_mib)
            .with(Measure::CellsMib, catalogue.cells().bytes as f64 / f64::from(1 << 20)),
    );
    Ok(())
}

/// One turn over a track, in batches as large as epochs. Placing the vehicles is not measured.
fn kernel_turn(catalogue: &Catalogue, places: &[(VehicleId, Place)], vehicles: u32) -> (Sample, Tally) {
    let (first, rest) = places.split_at(vehicles as usize);
    let mut whereabouts = Whereabouts::default();
    whereabouts.advance(catalogue, BEGINS, first, |_, _, _| {});
    let mut tally = Tally::default();
    let timer = Timer::start(Scope::Thread);
    for batch in rest.chunks(BATCH) {
        whereabouts.advance(catalogue, BEGINS, batch, |_, before, now| tally.record_move(before, now));
    }
    (timer.stop(), tally)
}

/// The same with the baseline.
fn plain_turn(plain: &Plain, track: &[PositionEvent], vehicles: u32) -> (Sample, Tally) {
    let (first, rest) = track.split_at(vehicles as usize);
    let mut seen = LastSeen::new(vehicles);
    plain.advance(&mut seen, first);
    let placed = seen.tally();
    let timer = Timer::start(Scope::Thread);
    plain.advance(&mut seen, rest);
    let sample = timer.stop();
    let Tally { enters, exits } = seen.tally();
    (sample, Tally { enters: enters - placed.enters, exits: exits - placed.exits })
}

/// Fails if the results differ from the baseline's: comparing their speed would be pointless.
pub(super) fn agree(name: &str, found: Tally, expected: Tally) -> Result<(), BenchError> {
    if found == expected {
        return Ok(());
    }
    Err(BenchError::Disagree { name: name.to_owned(), found, baseline: baseline::NAME, expected })
}
