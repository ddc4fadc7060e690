//! The table `vehicles`: its descriptor and the cells of its rows.

use watchtower_model::{END, InForce, Vehicle, VehicleId};

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, TableRow, seconds};

/// Columns and comments of `vehicles`.
pub const TABLE: Table = Table {
    name: "vehicles",
    comment: "The versions of each vehicle's metadata: during effective_from <= t < effective_until this version was \
              (or will be) in force. A vehicle without metadata has no row and is tracked all the same.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column::VEHICLE_ID,
        Column::EFFECTIVE_FROM,
        Column::EFFECTIVE_UNTIL,
        Column::VALID_FROM,
        Column { name: "name", kind: Kind::Text, comment: "Display name of the vehicle; empty if it has none." },
        Column {
            name: "fleet",
            kind: Kind::Text,
            comment: "Fleet that the vehicle is counted in; empty if it is in none.",
        },
        Column {
            name: "speed_limit_kmh",
            kind: Kind::Real,
            comment: "Speed limit of the vehicle itself, km/h; empty if it has none.",
        },
        Column {
            name: "attributes",
            kind: Kind::Json,
            comment: "Further members of the vehicle event, a JSON object; empty if there were none.",
        },
        Column {
            name: "offline_after_s",
            kind: Kind::Real,
            comment: "Silence after which the vehicle is offline, seconds; empty if offline_after of the pipeline \
                      holds.",
        },
    ],
};

impl TableRow for InForce<VehicleId> {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, lookup: &Lookup) -> Row {
        let InForce { key, effective_from, effective_until, valid_from, seq } = *self;
        let Vehicle { name, fleet, speed_limit, offline_after_ms, attributes } = lookup.vehicle(key, seq);
        vec![
            Cell::Text(lookup.names.vehicle_id(key).clone()),
            Cell::Time(effective_from),
            Cell::or_empty((effective_until != END).then_some(effective_until), Cell::Time),
            Cell::Time(valid_from),
            Cell::or_empty(name.as_deref(), Cell::text),
            Cell::or_empty(fleet.as_deref(), Cell::text),
            Cell::or_empty(speed_limit.kmh(), Cell::Real),
            Cell::or_empty(attributes.as_deref(), |json| Cell::Json(json.into())),
            Cell::or_empty(*offline_after_ms, seconds),
        ]
    }
}
