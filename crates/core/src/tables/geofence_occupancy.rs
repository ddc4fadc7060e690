//! The table `geofence_occupancy`: its descriptor and the cells of its rows.

use watchtower_model::Occupancy;

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, TableRow};

/// Columns and comments of `geofence_occupancy`.
pub const TABLE: Table = Table {
    name: "geofence_occupancy",
    comment: "How many vehicles are inside each geofence now. A geofence in force has a row even if it is empty.",
    class: Class::Transactional,
    key: 1,
    columns: &[
        Column { name: "geofence_id", kind: Kind::Text, comment: "Identifier of the geofence." },
        Column {
            name: "vehicles",
            kind: Kind::Integer,
            comment: "Number of vehicles inside now, confirmed visits and others; 0 if the geofence is empty.",
        },
    ],
};

impl TableRow for Occupancy {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, lookup: &Lookup) -> Row {
        let Occupancy { geofence, vehicles } = *self;
        vec![Cell::Text(lookup.names.geofence_id(geofence).clone()), Cell::Integer(vehicles)]
    }
}
