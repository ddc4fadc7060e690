//! What the program makes of a file: its vehicles, its span, and what looks wrong in it.
//!
//! Memory is bounded: the newest position of at most [`MAX_VEHICLES`] vehicles, and a thinned sample of places.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use rustc_hash::FxBuildHasher;
use watchtower_core::events::{Event, Fix, Geometry, Limits, PositionReport};
use watchtower_model::geometry::geodesic::{distance_m, metres_per_degree};
use watchtower_model::{Millis, Place};

use super::days::Days;
use super::reading::Reading;
use super::report::FileReport;
use super::{FileFormat, SourceError, open_with};

/// Vehicles that are told apart; positions of others count for the file alone.
const MAX_VEHICLES: usize = 100_000;
/// Places that are kept for the map; of more, every second is dropped.
const MAX_PLACES: usize = 20_000;
/// Days that are kept for the timeline.
const MAX_DAYS: usize = 40_000;
/// A silence of one vehicle that counts as a gap.
const GAP_MS: Millis = 30 * 60 * 1000;
/// A speed between two positions that no vehicle on a road has, in km/h.
const JUMP_KMH: f64 = 300.0;
/// Distances that may be wrong for other reasons than a jump, in metres.
const JUMP_M: f64 = 500.0;
const HOUR_MS: Millis = 60 * 60 * 1000;
const DAY_MS: Millis = 24 * HOUR_MS;
/// Hours that are kept for the timeline of a short file.
const MAX_HOURS: usize = 100;
/// Vertices of a circle on the map.
const CIRCLE_VERTICES: u32 = 48;

/// What was found in a file.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// What was read and refused.
    pub report: FileReport,
    /// Vehicles, as far as they were told apart.
    pub vehicles: usize,
    /// The first and the last `ts`.
    pub span: Option<(Millis, Millis)>,
    /// Silences of a vehicle of more than half an hour.
    pub gaps: Suspicion,
    /// Rows from which a vehicle would have had to fly.
    pub jumps: Suspicion,
    /// Rows at exactly 0, 0.
    pub zeros: Suspicion,
    /// Rows that lie ahead of now.
    pub future: Suspicion,
    /// Rows older than the one of the same vehicle before them.
    pub backward: Suspicion,
    /// Rows with the vehicle and `ts` of the row before of the same vehicle.
    pub repeated: Suspicion,
    /// Rows on days far from those of nearly all others, which are refused as `isolated_time`.
    pub isolated: u64,
    /// Rows a UTC day, by days since 1970.
    pub days: Vec<(i64, u64)>,
    /// Rows a UTC hour, by hours since 1970; empty if the file has more hours than are kept.
    pub hours: Vec<(i64, u64)>,
    /// A sample of the places but 0, 0; longitude and latitude in degrees.
    pub places: Vec<[f64; 2]>,
    /// Outlines of geofences, as far as they fit.
    pub outlines: Vec<Vec<[f64; 2]>>,
}

/// Rows that look wrong in one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suspicion {
    /// Number of rows.
    pub count: u64,
    /// The line of the first, from 1.
    pub first: u64,
}

impl Suspicion {
    fn note(&mut self, position: u64) {
        if self.count == 0 {
            self.first = position;
        }
        self.count += 1;
    }
}

/// Reads a file as what most of it can be read as, positions or geofences.
///
/// # Errors
/// If it cannot be read as either.
pub fn inspect(path: &Path, reading: &Reading, limits: &Limits) -> Result<Inspection, SourceError> {
    let positions = Looker::look(path, FileFormat::Csv, reading, limits);
    if let Ok(found) = &positions
        && found.report.read() > 0
    {
        return positions;
    }
    match (positions, Looker::look(path, FileFormat::GeoJson, reading, limits)) {
        (Ok(positions), Ok(geofences)) if geofences.report.read() == 0 => Ok(positions),
        (_, Ok(geofences)) => Ok(geofences),
        (positions, Err(_)) => positions,
    }
}

/// The newest of a vehicle so far.
struct Newest {
    ts: Millis,
    place: Place,
}

struct Looker {
    found: Inspection,
    newest: HashMap<String, Newest, FxBuildHasher>,
    days: HashMap<i64, u64, FxBuildHasher>,
    hours: HashMap<i64, u64, FxBuildHasher>,
    /// What the rows are judged by, future ones left out.
    judged: Days,
    now: Millis,
    /// Every so many places are kept.
    stride: u64,
    places: u64,
    vertices: usize,
}

impl Looker {
    fn look(path: &Path, format: FileFormat, reading: &Reading, limits: &Limits) -> Result<Inspection, SourceError> {
        let mut source = open_with(path, format, reading, limits)?;
        let mut looker = Self {
            found: Inspection {
                report: FileReport::new(path, format),
                vehicles: 0,
                span: None,
                gaps: Suspicion::default(),
                jumps: Suspicion::default(),
                zeros: Suspicion::default(),
                future: Suspicion::default(),
                backward: Suspicion::default(),
                repeated: Suspicion::default(),
                isolated: 0,
                days: Vec::new(),
                hours: Vec::new(),
                places: Vec::new(),
                outlines: Vec::new(),
            },
            newest: HashMap::default(),
            days: HashMap::default(),
            hours: HashMap::default(),
            judged: Days::default(),
            now: reading.now_ms(),
            stride: 1,
            places: 0,
            vertices: 0,
        };
        while let Some(record) = source.next_record()? {
            looker.found.report.count(&record);
            let position = record.position;
            match &record.result {
                Ok(Event::Position(report)) => looker.position(report, position),
                Ok(Event::Geofence(change)) => {
                    if let Some(definition) = &change.definition {
                        looker.outline(&definition.geometry);
                    }
                }
                Ok(Event::Vehicle(_) | Event::Rule(_) | Event::Clock(_)) | Err(_) => {}
            }
        }
        looker.found.report.finish(source.as_ref());
        looker.found.vehicles = looker.newest.len();
        looker.found.isolated = looker.judged.judge(looker.now, limits).isolated_rows();
        looker.found.days = looker.days.into_iter().collect();
        looker.found.days.sort_unstable();
        if looker.hours.len() < MAX_HOURS {
            looker.found.hours = looker.hours.into_iter().collect();
            looker.found.hours.sort_unstable();
        }
        Ok(looker.found)
    }

    fn position(&mut self, report: &PositionReport<'_>, position: u64) {
        let ts = report.ts;
        let found = &mut self.found;
        found.span = Some(found.span.map_or((ts, ts), |(first, last)| (first.min(ts), last.max(ts))));
        let day = ts.div_euclid(DAY_MS);
        if self.days.len() < MAX_DAYS || self.days.contains_key(&day) {
            *self.days.entry(day).or_default() += 1;
        }
        if self.hours.len() < MAX_HOURS {
            *self.hours.entry(ts.div_euclid(HOUR_MS)).or_default() += 1;
        }
        if ts > self.now + 60_000 {
            found.future.note(position);
        } else {
            self.judged.add(ts);
        }
        let Fix::At(measured) = &report.fix else { return };
        let place = measured.place;
        if place.lon_degrees() == 0.0 && place.lat_degrees() == 0.0 {
            found.zeros.note(position);
        }
        if let Some(newest) = self.newest.get_mut(report.vehicle_id.as_ref()) {
            let elapsed = ts - newest.ts;
            if elapsed < 0 {
                found.backward.note(position);
                return;
            }
            let metres = distance_m(newest.place, place);
            if elapsed == 0 {
                found.repeated.note(position);
            } else if metres > JUMP_M && metres / elapsed as f64 * 3600.0 > JUMP_KMH {
                found.jumps.note(position);
            }
            if elapsed > GAP_MS {
                found.gaps.note(position);
            }
            *newest = Newest { ts, place };
        } else if self.newest.len() < MAX_VEHICLES {
            self.newest.insert(report.vehicle_id.to_string(), Newest { ts, place });
        }
        self.keep(place);
    }

    fn keep(&mut self, place: Place) {
        if (place.lon_degrees(), place.lat_degrees()) == (0.0, 0.0) {
            return;
        }
        if self.places.is_multiple_of(self.stride) {
            self.found.places.push([place.lon_degrees(), place.lat_degrees()]);
        }
        self.places += 1;
        if self.found.places.len() >= MAX_PLACES {
            let mut index = 0usize;
            self.found.places.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride *= 2;
        }
    }

    fn outline(&mut self, geometry: &Geometry) {
        let mut ring = |ring: &[[f64; 2]]| {
            if self.vertices + ring.len() <= MAX_PLACES {
                self.vertices += ring.len();
                self.found.outlines.push(ring.to_vec());
            }
        };
        match geometry {
            Geometry::Polygon(rings) => rings.iter().for_each(|each| ring(each)),
            Geometry::MultiPolygon(polygons) => polygons.iter().flatten().for_each(|each| ring(each)),
            Geometry::Circle { center: [lon, lat], radius_m } => {
                let (lon_m, lat_m) = metres_per_degree(*lat);
                let vertex = |step: u32| {
                    let (sin, cos) = (f64::from(step) / f64::from(CIRCLE_VERTICES) * std::f64::consts::TAU).sin_cos();
                    [lon + radius_m * cos / lon_m, lat + radius_m * sin / lat_m]
                };
                ring(&(0..CIRCLE_VERTICES).map(vertex).collect::<Vec<_>>());
            }
        }
    }
}

/// An instant as RFC 3339, or a number where no date can say it.
fn time(ms: Millis) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |instant| instant.to_string())
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.report.fmt(f)?;
        if let Some((first, last)) = self.span {
            let vehicles = if self.vehicles == 1 { "vehicle" } else { "vehicles" };
            writeln!(f, "  {} {vehicles}, from {} to {}", self.vehicles, time(first), time(last))?;
        }
        let suspicions = [
            (self.gaps, "silence", "silences", "of a vehicle of more than 30 min"),
            (self.jumps, "jump", "jumps", "of more than 300 km/h from the row before of the same vehicle"),
            (self.zeros, "row", "rows", "at exactly 0, 0: a receiver without a fix"),
            (self.future, "row", "rows", "ahead of now"),
            (self.backward, "row", "rows", "older than the one before of the same vehicle"),
            (self.repeated, "row", "rows", "with the same vehicle and ts as the one before"),
        ];
        for (Suspicion { count, first }, one, several, what) in suspicions {
            match count {
                0 => {}
                1 => writeln!(f, "  1 {one} {what}, at line {first}")?,
                _ => writeln!(f, "  {count} {several} {what}, first at line {first}")?,
            }
        }
        if self.isolated > 0 {
            let rows = if self.isolated == 1 { "row" } else { "rows" };
            writeln!(f, "  {} {rows} on days far from those of nearly all others: isolated_time", self.isolated)?;
        }
        Ok(())
    }
}
