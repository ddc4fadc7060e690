//! `vehicles`.

use watchtower_model::{END, InForce, Vehicle, VehicleId};

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table};

/// The descriptor.
pub const TABLE: Table = Table {
    name: "vehicles",
    comment: "What is known of vehicles besides their positions: during effective_from <= t < effective_until this \
              version was (or will be) in force. A vehicle nobody described has no row, and is tracked all the same.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column { name: "vehicle_id", kind: Kind::Text, comment: "Which vehicle." },
        Column {
            name: "effective_from",
            kind: Kind::Time,
            comment: "First instant in force: valid_from, or later if the edit arrived too late to change the past \
                      that far back; -infinity if it always was.",
        },
        Column {
            name: "effective_until",
            kind: Kind::Time,
            comment: "First instant no longer in force; empty if nothing replaces it.",
        },
        Column { name: "valid_from", kind: Kind::Time, comment: "From when its author wanted it." },
        Column { name: "name", kind: Kind::Text, comment: "For people." },
        Column { name: "fleet", kind: Kind::Text, comment: "The group it is counted in." },
        Column { name: "speed_limit_kmh", kind: Kind::Real, comment: "Its own speed limit; empty if it has none." },
        Column { name: "attributes", kind: Kind::Json, comment: "Anything else its author said." },
    ],
};

/// The cells of a row.
pub fn cells(row: &InForce<VehicleId>, lookup: &Lookup) -> Row {
    let InForce { key, effective_from, effective_until, valid_from, seq } = *row;
    let Vehicle { name, fleet, speed_limit, attributes } = lookup.vehicle(key, seq);
    vec![
        Cell::Text(lookup.names.vehicle_id(key).clone()),
        Cell::Time(effective_from),
        Cell::or_empty((effective_until != END).then_some(effective_until), Cell::Time),
        Cell::Time(valid_from),
        Cell::or_empty(name.as_deref(), Cell::text),
        Cell::or_empty(fleet.as_deref(), Cell::text),
        Cell::or_empty(speed_limit.kmh(), Cell::Real),
        Cell::or_empty(attributes.as_deref(), |json| Cell::Json(json.into())),
    ]
}
