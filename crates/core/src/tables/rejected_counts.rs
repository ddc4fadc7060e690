//! `rejected_counts`.

use watchtower_model::Millis;

use crate::events::Reason;
use crate::tables::{Cell, Class, Column, Kind, Row, Table};

/// The descriptor.
pub const TABLE: Table = Table {
    name: "rejected_counts",
    comment: "How many events were refused, by stream, hour of arrival and reason: also those of which there were too \
              many to keep each in rejected_events.",
    class: Class::Transactional,
    key: 3,
    columns: &[
        Column { name: "stream", kind: Kind::Text, comment: "The stream it was read from." },
        Column { name: "hour", kind: Kind::Time, comment: "Beginning of the hour in which the entry arrived, UTC." },
        Column { name: "reason", kind: Kind::Text, comment: "The rule that refused it." },
        Column { name: "events", kind: Kind::Integer, comment: "Refused." },
        Column { name: "kept", kind: Kind::Integer, comment: "Of those, kept in rejected_events." },
    ],
};

/// The cells of a row.
pub fn cells(stream: &str, hour: Millis, reason: Reason, events: u64, kept: u64) -> Row {
    vec![
        Cell::text(stream),
        Cell::Time(hour),
        Cell::text(reason.as_str()),
        Cell::Integer(events as i64),
        Cell::Integer(kept as i64),
    ]
}
