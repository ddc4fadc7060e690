//! Shows a run in progress: as a screen on a terminal, else as a line every few seconds.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use watchtower_model::Millis;

use super::DemoError;
use super::frame::{Rates, View, frame, trucks};
use super::gauge::{Gauge, Reading};
use super::options::Options;
use super::picture::Picture;
use super::screen::Screen;
use super::tables::Tables;
use super::words::{clock, counted, thousands};
use watchtower_geopackage::GeoPackage;

/// Interval between redraws; longer if reading the tables takes longer.
const DRAW_EVERY: Duration = Duration::from_millis(250);
/// At most one part in this many of the time is spent reading the tables.
const SHARE: u32 = 8;
/// Interval between lines.
const LINE_EVERY: Duration = Duration::from_secs(3);
/// Interval between checks whether the run is over.
const POLL_EVERY: Duration = Duration::from_millis(20);
/// Interval over which speeds are measured.
const MEASURED_OVER: Duration = Duration::from_secs(3);

/// Shows the run until `over` returns true.
///
/// # Errors
/// If the file cannot be read, or the output cannot be written.
pub(super) fn show(
    options: &Options,
    file: &GeoPackage,
    gauge: &Gauge,
    notes: &mut dyn Write,
    mut over: impl FnMut() -> bool,
) -> Result<(), DemoError> {
    let tables = Tables::open(file)?;
    let mut rates = Measured::default();
    rates.of(&gauge.read());
    let screen = if options.headless { None } else { Screen::enter().map_err(DemoError::Output)? };
    match screen {
        Some(mut screen) => {
            let mut due = Instant::now();
            while !over() {
                if Instant::now() < due {
                    std::thread::sleep(POLL_EVERY);
                    continue;
                }
                let begun = Instant::now();
                let (width, height) = screen.size();
                let picture = Picture::of(&tables, trucks(height))?;
                gauge.committed(tables.committed()?);
                let reading = gauge.read();
                let shown = View {
                    picture: picture.as_ref(),
                    rates: rates.of(&reading),
                    reading: &reading,
                    wanted_speedup: options.speedup,
                    vehicles: options.fleet.vehicles,
                    file: file.path(),
                };
                screen.draw(&frame(&shown, width, height)).map_err(DemoError::Output)?;
                due = begun + DRAW_EVERY.max(begun.elapsed() * SHARE);
            }
        }
        None => {
            let (mut due, mut printed) = (Instant::now() + LINE_EVERY / 3, 0);
            while !over() {
                if Instant::now() < due {
                    std::thread::sleep(POLL_EVERY);
                    continue;
                }
                gauge.committed(tables.committed()?);
                let reading = gauge.read();
                print_progress(&reading, &mut printed, &tables, rates.of(&reading), notes)
                    .map_err(DemoError::Output)??;
                due = Instant::now() + LINE_EVERY;
            }
        }
    }
    Ok(())
}

/// Prints a line on the progress, and one for each change of the past since the last line.
fn print_progress(
    reading: &Reading,
    printed: &mut usize,
    tables: &Tables,
    rates: Rates,
    notes: &mut dyn Write,
) -> io::Result<Result<(), DemoError>> {
    for change in &reading.changes[*printed..] {
        writeln!(notes, "{}  {}", clock(change.at), change.text)?;
    }
    *printed = reading.changes.len();
    let picture = match Picture::of(tables, 0) {
        Ok(picture) => picture,
        Err(error) => return Ok(Err(error)),
    };
    let Some(picture) = picture else {
        writeln!(notes, "waiting for the first events")?;
        return Ok(Ok(()));
    };
    let [moving, stopped, offline] = picture.statuses.map(thousands);
    let [visits, trips, turnarounds] = picture.so_far.map(thousands);
    writeln!(
        notes,
        "{}  {moving} moving, {stopped} stopped, {offline} offline; {visits} visits, {trips} trips, {turnarounds} \
         turnarounds; {} events/s, {} behind",
        clock(picture.now),
        thousands(rates.events_per_s.round() as u64),
        counted(reading.behind, "event"),
    )?;
    notes.flush()?;
    Ok(Ok(()))
}

/// Earlier readings, from which speeds are computed.
#[derive(Debug, Default)]
struct Measured {
    /// Instant, events committed by then, simulated time.
    readings: std::collections::VecDeque<(Instant, u64, Millis)>,
}

impl Measured {
    fn of(&mut self, reading: &Reading) -> Rates {
        let now = Instant::now();
        let (events, simulated) = (reading.appended - reading.behind, reading.simulated);
        self.readings.push_back((now, events, simulated));
        while self.readings.len() > 2 && self.readings.front().is_some_and(|(at, ..)| now - *at > MEASURED_OVER) {
            self.readings.pop_front();
        }
        let Some((at, before, from)) = self.readings.front().filter(|(at, ..)| now > *at) else {
            return Rates::default();
        };
        let seconds = (now - *at).as_secs_f64();
        Rates {
            events_per_s: events.saturating_sub(*before) as f64 / seconds,
            speedup: (simulated - from) as f64 / 1000.0 / seconds,
        }
    }
}
