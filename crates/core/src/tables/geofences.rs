//! The table `geofences`: its descriptor and the cells of its rows.

use std::sync::Arc;

use watchtower_model::{BEGINNING, END, Geofence, GeofenceId, InForce};

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, TableRow};

/// Columns and comments of `geofences`.
pub const TABLE: Table = Table {
    name: "geofences",
    comment: "The versions of every geofence: during effective_from <= t < effective_until this one was (or will be) \
              in force. While a geofence is deleted it has no row. Versions that never came into force are left out.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column { name: "geofence_id", kind: Kind::Text, comment: "Identifier of the geofence." },
        Column::EFFECTIVE_FROM,
        Column::EFFECTIVE_UNTIL,
        Column::VALID_FROM,
        Column { name: "name", kind: Kind::Text, comment: "Display name of the geofence; empty if it has none." },
        Column {
            name: "kind",
            kind: Kind::Text,
            comment: "terminal, client, depot, or any other word its author chose; empty if it has none.",
        },
        Column {
            name: "anchor",
            kind: Kind::Boolean,
            comment: "True if trips begin and end here: as its author set it, else true for the kinds terminal, client \
                      and depot.",
        },
        Column { name: "tags", kind: Kind::Texts, comment: "Labels its author gave; an empty list if there are none." },
        Column {
            name: "min_dwell_s",
            kind: Kind::Real,
            comment: "Time that a visit must last to be confirmed, seconds.",
        },
        Column {
            name: "exit_buffer_m",
            kind: Kind::Real,
            comment: "Distance from the geometry, metres, up to which a vehicle inside still counts as inside.",
        },
        Column {
            name: "speed_limit_kmh",
            kind: Kind::Real,
            comment: "Speed limit inside, km/h; empty if there is none.",
        },
        Column { name: "radius_m", kind: Kind::Real, comment: "Radius of a circle, metres; empty for polygons." },
        Column {
            name: "geometry",
            kind: Kind::Geometry,
            comment: "Area of the geofence, or the centre of a circle; degrees, WGS84.",
        },
        Column {
            name: "cut_off",
            kind: Kind::Boolean,
            comment: "True if its author wanted this version earlier than it could still change anything: it is in \
                      force from effective_from, not from valid_from.",
        },
    ],
};

impl TableRow for InForce<GeofenceId> {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, lookup: &Lookup) -> Row {
        let InForce { key, effective_from, effective_until, valid_from, seq } = *self;
        let definition = lookup.geofence(key, seq);
        let Geofence { id, name, kind, anchor: _, tags, min_dwell_ms, exit_buffer_m, speed_limit, shape } = definition;
        vec![
            Cell::Text(Arc::clone(id)),
            Cell::Time(effective_from),
            Cell::or_empty((effective_until != END).then_some(effective_until), Cell::Time),
            Cell::Time(valid_from),
            Cell::or_empty(name.as_deref(), Cell::text),
            Cell::or_empty(kind.as_deref(), Cell::text),
            Cell::Boolean(definition.is_anchor()),
            Cell::Texts(tags.iter().map(|tag| tag.as_str().into()).collect()),
            Cell::Real(*min_dwell_ms as f64 / 1000.0),
            Cell::Real(*exit_buffer_m),
            Cell::or_empty(speed_limit.kmh(), Cell::Real),
            Cell::or_empty(shape.radius_m(), Cell::Real),
            Cell::Geometry(Arc::clone(shape)),
            Cell::Boolean(valid_from != BEGINNING && valid_from < effective_from),
        ]
    }
}
