//! The accepted positions with all their fields, for the table `positions`.

use watchtower_model::{Millis, VehicleId};

use watchtower_core::events::{Fix, Measured};
use watchtower_core::tables::{Lookup, Row, Table, positions};

/// Position events in the order of the log.
#[derive(Debug, Default)]
pub struct Archive(Vec<(VehicleId, Millis, Option<Measured<'static>>)>);

impl Archive {
    /// Adds the next event of the log.
    pub fn push(&mut self, vehicle: VehicleId, ts: Millis, fix: &Fix<'_>) {
        let at = match fix {
            Fix::Withdrawn => None,
            Fix::At(measured) => Some(measured.clone().into_owned()),
        };
        self.0.push((vehicle, ts, at));
    }

    /// The last of several events for the same vehicle and instant; withdrawn positions are left out.
    pub fn table(mut self, lookup: &Lookup) -> (&'static Table, Vec<Row>) {
        self.0.sort_by_key(|(vehicle, ts, _)| (*vehicle, *ts)); // stable: the order of the log stays
        let same_key = |a: &(VehicleId, Millis, _), b: &(VehicleId, Millis, _)| (a.0, a.1) == (b.0, b.1);
        let latest = self.0.chunk_by(same_key).filter_map(<[_]>::last);
        let rows = latest.filter_map(|(vehicle, ts, at)| Some(positions::cells(*vehicle, *ts, at.as_ref()?, lookup)));
        (&positions::TABLE, rows.collect())
    }
}
