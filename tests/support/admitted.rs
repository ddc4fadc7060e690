//! What a log comes to by the book: every entry is decoded and admitted here, stream by stream, and the tables
//! are recomputed from what was accepted. No engine, no epochs, no database.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use watchtower_core::admission::{Accepted, Admission, Stream};
use watchtower_core::events::{Event, Fix, Limits, Measured, Raw, RejectedEvent, Rejection, decode_entry, field_lines};
use watchtower_core::tables::Deltas;
use watchtower_core::tables::{Lookup, Materialized, positions};
use watchtower_dataflows::naive::{self, Edits};
use watchtower_model::{GeofenceEdit, Millis, PositionEvent, RuleEdit, Rules, VehicleEdit, VehicleId, computed_tables};
use watchtower_store::csv;

use crate::support::entries::{Entry, Log};

const HOUR_MS: Millis = 3_600_000;

/// How long a refused event is kept by default.
const KEEP_MS: Millis = 30 * 24 * HOUR_MS;

/// Everything that was decided.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    lookup: Lookup,
    positions: Vec<PositionEvent>,
    /// Of each vehicle and instant the last event: nothing if it withdraws.
    latest: BTreeMap<(VehicleId, Millis), Option<Measured<'static>>>,
    geofences: Vec<GeofenceEdit>,
    vehicles: Vec<VehicleEdit>,
    rules: Vec<RuleEdit>,
    pub(crate) now: Millis,
    pub(crate) events: u64,
    /// The refused events, with the times in the ids of their entries.
    pub(crate) rejected: Vec<(Millis, RejectedEvent)>,
    /// Of each stream the time in the id of its newest entry.
    newest: BTreeMap<String, Millis>,
}

impl Admitted {
    /// Decides on all entries.
    pub(crate) fn new(log: &Log, limits: &Limits) -> Self {
        let streams = (log.keys.len() - 1) as u16;
        let mut admitted = Self { now: Millis::MAX, ..Self::default() };
        for (index, key) in log.keys.iter().enumerate() {
            let stream = match index as u16 {
                index if index < streams => Stream::Positions { index, streams },
                _ => Stream::Control,
            };
            let mut admission = Admission::new(stream, limits.clone());
            for entry in log.entries.iter().filter(|entry| entry.stream == index) {
                admitted.entry(key, entry, limits, &mut admission);
            }
            admitted.now = admitted.now.min(admission.now());
        }
        admitted
    }

    fn entry(&mut self, key: &str, entry: &Entry, limits: &Limits, admission: &mut Admission) {
        let fields: Vec<(&[u8], &[u8])> = entry.fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        admission.begin_epoch();
        let arrived = entry.id.instant();
        self.newest.insert(key.to_owned(), arrived);
        decode_entry(&fields, limits, |decoded| {
            self.events += 1;
            let result = decoded.result.and_then(|event| {
                let accepted = admission.admit(&event, arrived, &mut self.lookup.names)?;
                self.accept(accepted, &event);
                Ok::<(), Rejection>(())
            });
            if let Err(rejection) = result {
                let bytes = if decoded.bytes.is_empty() { field_lines(&fields) } else { decoded.bytes };
                let position = format!("{}:{}", entry.id, decoded.index);
                let row = RejectedEvent::new(key, position, rejection, Raw { bytes: &bytes, whole: decoded.whole });
                self.rejected.push((arrived, row));
            }
        })
        .unwrap();
    }

    fn accept(&mut self, accepted: Accepted, event: &Event<'_>) {
        match accepted {
            Accepted::Position(mut position) => {
                if let Event::Position(report) = event {
                    position.position.mark = Rules::default().mark(report.fix.accuracy_m());
                    let measured = match &report.fix {
                        Fix::Withdrawn => None,
                        Fix::At(measured) => Some(measured.clone().into_owned()),
                    };
                    self.latest.insert((position.vehicle, report.ts), measured);
                }
                self.positions.push(position);
            }
            Accepted::Geofence(edit) => {
                self.lookup.remember_geofence(&edit);
                self.geofences.push(edit);
            }
            Accepted::Vehicle(edit) => {
                self.lookup.remember_vehicle(&edit);
                self.vehicles.push(edit);
            }
            Accepted::Rule(edit) => {
                self.lookup.remember_rule(&edit);
                self.rules.push(edit);
            }
            Accepted::Clock => {}
        }
    }

    /// Writes the tables as CSV.
    pub(crate) fn write(&self, rules: &Rules, folder: &Path) {
        let edits = Edits { geofences: &self.geofences, vehicles: &self.vehicles, rules: &self.rules };
        let tables = naive::recompute_with_alerts(&self.positions, edits, self.now, rules);
        let marked: BTreeMap<_, _> = tables.marks.iter().map(|row| ((row.vehicle, row.ts), row.mark)).collect();
        let mut materialized = Materialized::default();
        materialized.apply(deltas(tables));
        let mut tables = materialized.tables(&self.lookup);
        let at = |((vehicle, ts), measured): (&(VehicleId, Millis), &Option<Measured<'static>>)| {
            let mark = marked.get(&(*vehicle, *ts)).copied().unwrap_or_default();
            Some(positions::cells(*vehicle, *ts, measured.as_ref()?, mark, &self.lookup))
        };
        tables.push((&positions::TABLE, self.latest.iter().filter_map(at).collect()));
        for (table, rows) in tables {
            csv::write(folder, table, rows).unwrap();
        }
    }

    /// The rows of `rejected_events`, but for the words, as psql prints them: stream, position, reason, bytes
    /// that are kept, size, digest.
    pub(crate) fn rejected_lines(&self) -> BTreeSet<String> {
        let line = |(_, row): &(Millis, RejectedEvent)| {
            let RejectedEvent { stream, position, reason, size_bytes, .. } = row;
            format!("{stream}|{position}|{reason}|{}|{size_bytes}|{}", row.event.len(), row.sha256_hex())
        };
        let is_kept = |(arrived, row): &&(Millis, RejectedEvent)| *arrived > self.newest[&row.stream] - KEEP_MS;
        self.rejected.iter().filter(is_kept).map(line).collect()
    }

    /// The rows of `rejected_counts`: stream, hour, reason, how many. None is beyond the cap.
    pub(crate) fn rejected_counts(&self) -> BTreeSet<String> {
        let mut counts = BTreeMap::<(String, Millis, String), u64>::new();
        for (arrived, row) in &self.rejected {
            let hour = arrived.div_euclid(HOUR_MS) * HOUR_MS / 1_000;
            *counts.entry((row.stream.clone(), hour, row.reason.to_string())).or_default() += 1;
        }
        let line = |((stream, hour, reason), events): (&(String, Millis, String), &u64)| {
            format!("{stream}|{hour}|{reason}|{events}|{events}")
        };
        counts.iter().map(line).collect()
    }
}

macro_rules! deltas {
    ($($(#[$doc:meta])* $name:ident: $row:ty,)*) => {
        /// Recomputed tables as the changes of one epoch.
        fn deltas(tables: naive::Tables) -> Deltas {
            let naive::Tables { $($name,)* vehicle_state, towings: _, motions: _, presences: _, spells: _ } = tables;
            let vehicle_state = vehicle_state.into_iter().map(|state| (state.vehicle, Some(state))).collect();
            Deltas { $($name: once($name),)* vehicle_state }
        }
    };
}

computed_tables!(deltas);

fn once<D>(rows: impl IntoIterator<Item = D>) -> Vec<(D, i64)> {
    rows.into_iter().map(|row| (row, 1)).collect()
}
