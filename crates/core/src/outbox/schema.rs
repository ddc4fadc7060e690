//! The JSON Schema of what webhooks carry.

use serde_json::{Value, json};
use watchtower_model::AlertKind;

use super::AlertEvent;
use crate::tables::alerts;

/// The JSON Schema of the envelope, as `/schemas/alert.json` has it.
pub fn schema() -> Value {
    let events: Vec<String> = AlertEvent::NAMES.iter().map(|(name, _)| format!("alert.{name}")).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Alert of Watch Tower",
        "description": "Body of a webhook. Deliveries are repeated until they are answered with 2xx, with the same \
                        webhook-id and the same bytes; of one subject they come in order of revision.",
        "type": "object",
        "required": ["type", "timestamp", "pipeline", "data"],
        "properties": {
            "type": {"enum": events},
            "timestamp": {"type": "string", "format": "date-time", "description": "The log's time after the commit."},
            "pipeline": {"type": "string"},
            "data": {
                "type": "object",
                "required": ["subject", "revision", "message", "alert", "before"],
                "properties": {
                    "subject": {"type": "string", "description": comment("subject")},
                    "old_subject": {
                        "type": "string",
                        "description": "Subject of the same alert in earlier deliveries: the start of its fact has moved.",
                    },
                    "revision": {"type": "integer", "description": "Greater with each event of a subject."},
                    "message": {"type": "string", "description": "The alert in words."},
                    "alert": {
                        "description": "What holds now; null if the alert is retracted.",
                        "anyOf": [{"$ref": "#/$defs/alert"}, {"type": "null"}],
                    },
                    "before": {
                        "description": "What was said before; null if the alert is raised.",
                        "anyOf": [{"$ref": "#/$defs/alert"}, {"type": "null"}],
                    },
                },
            },
        },
        "$defs": {"alert": alert()},
    })
}

/// The schema of a row of `alerts`.
fn alert() -> Value {
    let time = || json!({"type": "string", "format": "date-time"});
    let text_or_null = |description: &str| json!({"type": ["string", "null"], "description": description});
    let kinds: Vec<&str> = AlertKind::NAMES.iter().map(|(name, _)| *name).chain(["endpoint_disabled"]).collect();
    json!({
        "type": "object",
        "required": ["rule_id", "subject", "at", "kind", "vehicle_id", "geofence_id", "severity", "values"],
        "properties": {
            "rule_id": {"type": "string"},
            "subject": {"type": "string"},
            "at": time(),
            "kind": {"enum": kinds},
            "vehicle_id": text_or_null(comment("vehicle_id")),
            "geofence_id": text_or_null(comment("geofence_id")),
            "severity": {"enum": ["info", "warning", "critical"]},
            "values": {
                "type": "object",
                "description": comment("values"),
                "properties": {
                    "started_at": time(),
                    "ended_at": time(),
                    "duration_s": {"type": "number"},
                    "limit_kmh": {"type": "number"},
                    "lon": {"type": "number"},
                    "lat": {"type": "number"},
                    "origin_id": {"type": "string"},
                    "distance_m": {"type": "number"},
                    "vehicles": {"type": "integer"},
                    "opening": {"const": true},
                    "deleted": {"const": true},
                },
            },
        },
    })
}

/// The comment of a column of `alerts`.
fn comment(name: &str) -> &'static str {
    let column = alerts::TABLE.column(name).map(|index| alerts::TABLE.columns[index].comment);
    column.expect("the table has this column")
}
