//! The table `rules`: its descriptor and the cells of its rows.

use std::sync::Arc;

use watchtower_model::{AlertRule, END, InForce, RuleId};

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, TableRow};

/// Columns and comments of `rules`.
pub const TABLE: Table = Table {
    name: "rules",
    comment: "The versions of every alert rule: during effective_from <= t < effective_until this one was (or will be) in \
              force. While a rule is deleted it has no row. Versions that never came into force are left out.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column { name: "rule_id", kind: Kind::Text, comment: "Identifier of the rule." },
        Column::EFFECTIVE_FROM,
        Column::EFFECTIVE_UNTIL,
        Column::VALID_FROM,
        Column {
            name: "kind",
            kind: Kind::Text,
            comment: "What the rule is about, as in alerts.kind: enter, exit, dwell, overspeed, idling, stop, offline, \
                      back_online, trip_started, trip_completed, turnaround_completed, occupancy or geofence_changed.",
        },
        Column { name: "severity", kind: Kind::Text, comment: "Severity of its alerts: info, warning or critical." },
        Column {
            name: "definition",
            kind: Kind::Json,
            comment: "The whole rule as its author wrote it, a JSON object: conditions, hours, cooldown, channels and \
                      message.",
        },
    ],
};

impl TableRow for InForce<RuleId> {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, lookup: &Lookup) -> Row {
        let InForce { key, effective_from, effective_until, valid_from, seq } = *self;
        let AlertRule { id, kind, severity, definition, .. } = lookup.rule(key, seq);
        vec![
            Cell::Text(Arc::clone(id)),
            Cell::Time(effective_from),
            Cell::or_empty((effective_until != END).then_some(effective_until), Cell::Time),
            Cell::Time(valid_from),
            Cell::text(kind.name()),
            Cell::text(severity.name()),
            Cell::Json(Arc::clone(definition)),
        ]
    }
}
