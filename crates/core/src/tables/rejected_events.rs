//! `rejected_events`.

use crate::events::RejectedEvent;
use crate::tables::{Cell, Class, Column, Kind, Row, Table};

/// The descriptor.
pub const TABLE: Table = Table {
    name: "rejected_events",
    comment: "Events that were refused, and why: nothing that arrives vanishes.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column { name: "stream", kind: Kind::Text, comment: "The stream or file it was read from." },
        Column {
            name: "position",
            kind: Kind::Text,
            comment: "Where in it: the entry's id (and its index in the entry), the line, or the feature's number.",
        },
        Column { name: "reason", kind: Kind::Text, comment: "The rule that refused it." },
        Column { name: "event", kind: Kind::Bytes, comment: "Its first 64 KiB." },
        Column { name: "detail", kind: Kind::Text, comment: "What was wrong and what was expected." },
        Column { name: "size_bytes", kind: Kind::Integer, comment: "Its whole size." },
        Column { name: "sha256", kind: Kind::Text, comment: "Of the whole event, hexadecimal." },
        Column {
            name: "arrived_at",
            kind: Kind::Time,
            comment: "The time in the id of its entry; empty for a file. Rows older than rejected_keep are dropped.",
        },
    ],
};

/// The cells of a row.
pub fn cells(row: &RejectedEvent) -> Row {
    let RejectedEvent { stream, position, reason, detail, event, size_bytes, sha256: _, arrived_at } = row;
    vec![
        Cell::text(stream),
        Cell::text(position),
        Cell::text(reason.as_str()),
        Cell::Bytes(event.as_slice().into()),
        Cell::text(detail),
        Cell::Integer(*size_bytes as i64),
        Cell::text(&row.sha256_hex()),
        Cell::or_empty(*arrived_at, Cell::Time),
    ]
}
