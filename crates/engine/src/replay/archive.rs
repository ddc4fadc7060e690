//! The accepted positions with all their fields, for the table `positions`.

use std::collections::HashMap;

use watchtower_model::{Marked, Millis, VehicleId};

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
    /// `marks` are those of the positions that have one.
    pub fn table<'m>(
        mut self,
        marks: impl IntoIterator<Item = &'m Marked>,
        lookup: &Lookup,
    ) -> (&'static Table, Vec<Row>) {
        let marks: HashMap<_, _> = marks.into_iter().map(|marked| ((marked.vehicle, marked.ts), marked.mark)).collect();
        self.0.sort_by_key(|(vehicle, ts, _)| (*vehicle, *ts)); // stable: the order of the log stays
        let same_key = |a: &(VehicleId, Millis, _), b: &(VehicleId, Millis, _)| (a.0, a.1) == (b.0, b.1);
        let latest = self.0.chunk_by(same_key).filter_map(<[_]>::last);
        let rows = latest.filter_map(|(vehicle, ts, at)| {
            let mark = marks.get(&(*vehicle, *ts)).copied().unwrap_or_default();
            Some(positions::cells(*vehicle, *ts, at.as_ref()?, mark, lookup))
        });
        (&positions::TABLE, rows.collect())
    }
}
