//! The table `rejected_events`: its descriptor and the cells of its rows.

use crate::events::RejectedEvent;
use crate::tables::{Cell, Class, Column, Kind, Row, Table};

/// Columns and comments of `rejected_events`.
pub const TABLE: Table = Table {
    name: "rejected_events",
    comment: "Events that were rejected, with the reason. Beyond a limit per minute and stream they are only counted, \
              in rejected_counts.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column { name: "stream", kind: Kind::Text, comment: "Name of the stream or file the event was read from." },
        Column {
            name: "position",
            kind: Kind::Text,
            comment: "Place in the stream or file: the entry's id (and the event's index in the entry), the line, or \
                      the feature's number.",
        },
        Column {
            name: "reason",
            kind: Kind::Text,
            comment: "Name of the rule that rejected the event (docs/semantics.md lists them).",
        },
        Column { name: "event", kind: Kind::Bytes, comment: "First 64 KiB of the event, as bytes." },
        Column {
            name: "detail",
            kind: Kind::Text,
            comment: "Explanation: the field, the value found, and the value expected.",
        },
        Column { name: "size_bytes", kind: Kind::Integer, comment: "Size of the whole event, bytes." },
        Column { name: "sha256", kind: Kind::Text, comment: "SHA-256 of the whole event, hexadecimal." },
        Column {
            name: "arrived_at",
            kind: Kind::Time,
            comment: "Instant in the id of its entry, UTC; empty for a file. Rows older than rejected_keep are \
                      deleted.",
        },
    ],
};

/// The cells of a row, in the order of the columns.
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
