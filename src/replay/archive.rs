//! The accepted positions with everything they said, for the table `positions`.

use watchtower_dataflows::model::{Millis, VehicleId};

use crate::events::{Fix, Measured};
use crate::tables::positions::{self, ArchivedFix};
use crate::tables::{Lookup, Row, Table};

/// Position events in the order of the log.
#[derive(Debug, Default)]
pub struct Archive(Vec<(VehicleId, Millis, Option<ArchivedFix>)>);

impl Archive {
    /// Adds the next event of the log.
    pub fn push(&mut self, vehicle: VehicleId, ts: Millis, fix: &Fix<'_>) {
        let fix = match fix {
            Fix::Withdrawn => None,
            Fix::At(Measured { place, speed, heading, accuracy_m, altitude_m, ignition, attributes }) => {
                Some(ArchivedFix {
                    place: *place,
                    speed: *speed,
                    heading: *heading,
                    accuracy_m: *accuracy_m,
                    altitude_m: *altitude_m,
                    ignition: *ignition,
                    attributes: attributes.as_deref().map(Into::into),
                })
            }
        };
        self.0.push((vehicle, ts, fix));
    }

    /// Of several events for the same vehicle and instant the last; withdrawn ones left out.
    pub fn table(mut self, lookup: &Lookup) -> (&'static Table, Vec<Row>) {
        self.0.sort_by_key(|(vehicle, ts, _)| (*vehicle, *ts)); // stable: the order of the log stays
        let same_key = |a: &(VehicleId, Millis, _), b: &(VehicleId, Millis, _)| (a.0, a.1) == (b.0, b.1);
        let latest = self.0.chunk_by(same_key).filter_map(<[_]>::last);
        let rows = latest.filter_map(|(vehicle, ts, fix)| Some(positions::cells(*vehicle, *ts, fix.as_ref()?, lookup)));
        (&positions::TABLE, rows.collect())
    }
}
