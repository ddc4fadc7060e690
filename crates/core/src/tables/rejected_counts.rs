//! The table `rejected_counts`: its descriptor and the cells of its rows.

use watchtower_model::Millis;

use crate::events::Reason;
use crate::tables::{Cell, Class, Column, Kind, Row, Table};

/// Columns and comments of `rejected_counts`.
pub const TABLE: Table = Table {
    name: "rejected_counts",
    comment: "Number of rejected events by stream, hour of arrival and reason. It includes those of which there were \
              too many to keep each in rejected_events.",
    class: Class::Transactional,
    key: 3,
    columns: &[
        Column { name: "stream", kind: Kind::Text, comment: "Name of the stream the events were read from." },
        Column {
            name: "hour",
            kind: Kind::Time,
            comment: "First instant of the UTC hour in which the entries arrived.",
        },
        Column {
            name: "reason",
            kind: Kind::Text,
            comment: "Name of the rule that rejected the events (docs/semantics.md lists them).",
        },
        Column { name: "events", kind: Kind::Integer, comment: "Number of events rejected." },
        Column { name: "kept", kind: Kind::Integer, comment: "Number of these that are kept in rejected_events." },
    ],
};

/// The cells of a row, in the order of the columns.
pub fn cells(stream: &str, hour: Millis, reason: Reason, events: u64, kept: u64) -> Row {
    vec![
        Cell::text(stream),
        Cell::Time(hour),
        Cell::text(reason.as_str()),
        Cell::Integer(events as i64),
        Cell::Integer(kept as i64),
    ]
}
