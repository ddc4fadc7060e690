//! The table `geofence_membership`: its descriptor and the cells of its rows.

use watchtower_model::Membership;

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, TableRow};

/// Columns and comments of `geofence_membership`.
pub const TABLE: Table = Table {
    name: "geofence_membership",
    comment: "The vehicles that are inside each geofence now: the visits that have not ended, confirmed or not.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column::VEHICLE_ID,
        Column { name: "geofence_id", kind: Kind::Text, comment: "Identifier of the geofence the vehicle is inside." },
        Column { name: "entered_at", kind: Kind::Time, comment: "First instant of the current visit, UTC." },
    ],
};

impl TableRow for Membership {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, lookup: &Lookup) -> Row {
        let Membership { vehicle, geofence, entered_at } = *self;
        vec![
            Cell::Text(lookup.names.vehicle_id(vehicle).clone()),
            Cell::Text(lookup.names.geofence_id(geofence).clone()),
            Cell::Time(entered_at),
        ]
    }
}
