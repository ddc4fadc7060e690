//! Effects of a correction: compares the rows before and after it.

use std::collections::{BTreeMap, BTreeSet};

use super::DemoError;
use super::tables::{Tables, text};
use super::words::{clock, counted};
use watchtower_core::events::Event;
use watchtower_core::tables::{
    Column, Table, fleet_daily, idlings, offlines, overspeeds, stops, trips, turnarounds, vehicle_daily, visits,
};
use watchtower_simulator::{Correction, CorrectionKind};

/// The rows that a correction may affect: tables, each with a condition on its rows.
#[derive(Debug)]
pub(super) struct Watched {
    subject: String,
    tables: Vec<(&'static Table, &'static str, &'static str)>,
}

/// For each table, its rows by key.
type Rows = Vec<BTreeMap<Vec<String>, Vec<String>>>;

const OF_VEHICLE: &str = "vehicle_id = ?1";

impl Watched {
    pub(super) fn of(correction: &Correction) -> Self {
        let tables = match correction.kind {
            CorrectionKind::LateUpload | CorrectionKind::Withdrawn => vec![
                (&visits::TABLE, OF_VEHICLE, "visit"),
                (&trips::TABLE, OF_VEHICLE, "trip"),
                (&turnarounds::TABLE, OF_VEHICLE, "turnaround"),
                (&stops::TABLE, OF_VEHICLE, "stop"),
                (&idlings::TABLE, OF_VEHICLE, "idling"),
                (&overspeeds::TABLE, OF_VEHICLE, "overspeed"),
                (&offlines::TABLE, OF_VEHICLE, "silence"),
                (&vehicle_daily::TABLE, OF_VEHICLE, "day"),
            ],
            CorrectionKind::Redrawn => vec![
                (&visits::TABLE, "geofence_id = ?1", "visit"),
                (&trips::TABLE, "?1 IN (origin_id, destination_id)", "trip"),
                (&turnarounds::TABLE, "?1 IN (terminal_left_id, terminal_reached_id)", "turnaround"),
            ],
            CorrectionKind::FleetChanged => vec![(&fleet_daily::TABLE, "?1 <> ''", "day")],
        };
        Self { subject: correction.subject.clone(), tables }
    }

    /// Reads these rows.
    pub(super) fn read(&self, tables: &Tables) -> Result<Rows, DemoError> {
        let rows = self.tables.iter().map(|(table, condition, _)| {
            let columns: Vec<String> = table.columns.iter().map(Column::quoted).collect();
            let sql = format!("SELECT {} FROM {} WHERE {condition}", columns.join(", "), table.name);
            let rows = tables.rows(&sql, [&self.subject], |row| {
                let mut cells = Vec::with_capacity(columns.len());
                for index in 0..columns.len() {
                    cells.push(text(row.get_ref(index)?));
                }
                let rest = cells.split_off(table.key);
                Ok((cells, rest))
            })?;
            Ok(rows.into_iter().collect())
        });
        rows.collect()
    }

    /// Describes the correction and the numbers of rows that it changed.
    pub(super) fn describe(&self, correction: &Correction, before: &Rows, after: &Rows) -> String {
        let changed = self.tables.iter().zip(before.iter().zip(after)).map(|((table, _, noun), (before, after))| {
            let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
            let changed: Vec<_> = keys.into_iter().filter(|key| before.get(*key) != after.get(*key)).collect();
            // The number of vehicles or fleets concerned, where it can be more than one.
            let vehicles: BTreeSet<_> = changed.iter().filter_map(|key| key.first()).collect();
            let of = match correction.kind {
                CorrectionKind::Redrawn if table.name == visits::TABLE.name => {
                    format!(" of {}", counted(vehicles.len() as u64, "truck"))
                }
                CorrectionKind::FleetChanged => format!(" of {}", counted(vehicles.len() as u64, "fleet")),
                CorrectionKind::Redrawn | CorrectionKind::LateUpload | CorrectionKind::Withdrawn => String::new(),
            };
            (changed.len() as u64, noun, of)
        });
        let changed: Vec<String> = changed
            .filter(|(count, ..)| *count > 0)
            .map(|(count, noun, of)| format!("{}{of}", counted(count, noun)))
            .collect();
        let (what, more) = what(correction);
        let changed = if changed.is_empty() { "nothing".to_owned() } else { changed.join(", ") };
        format!("{what} changed {changed}{more}")
    }
}

/// Describes a correction. The second text is a detail that may be left out.
fn what(correction: &Correction) -> (String, String) {
    let Correction { kind, subject, events } = correction;
    let since = events.iter().find_map(|event| match event {
        Event::Position(report) => Some(report.ts),
        Event::Geofence(change) => change.valid_from,
        Event::Vehicle(change) => change.valid_from,
        Event::Rule(change) => change.valid_from,
        Event::Clock(_) => None,
    });
    let since = since.map_or_else(String::new, clock);
    let what = match kind {
        CorrectionKind::LateUpload => {
            let more = format!(" ({} since {since})", counted(events.len() as u64, "position"));
            return (format!("late upload of {subject}"), more);
        }
        CorrectionKind::Redrawn => format!("{subject} redrawn as of {since}"),
        CorrectionKind::Withdrawn => format!("position of {subject} at {since} withdrawn:"),
        CorrectionKind::FleetChanged => format!("{subject} in another fleet as of {since}"),
    };
    (what, String::new())
}
