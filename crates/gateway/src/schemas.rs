//! The schemas of `/openapi.json`: what requests and answers hold.
//!
//! They say what every accepted request has. More is demanded of values that a schema cannot describe, such as rings that
//! do not cross themselves.

use serde_json::{Value, json};
use watchtower_inputs::messages::Format;

/// All that are referred to by name.
pub(crate) fn all() -> Value {
    json!({
        "Received": received(),
        "Failure": failure(),
        "Position": position(),
        "Geofence": event("geofence", "geofence_id"),
        "Vehicle": event("vehicle", "vehicle_id"),
        "Clock": {"type": "object", "required": ["type", "now"], "properties": {"type": {"const": "clock"}, "now": time()}},
        "Event": {"anyOf": [named("Position"), named("Geofence"), named("Vehicle"), named("Clock")]},
        "Feature": feature(),
    })
}

fn named(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Of a name in braces in a path.
pub(crate) fn of_parameter(name: &str) -> Value {
    match name {
        "source" => json!({"anyOf": [
            {"enum": Format::ALL.map(Format::name), "description": "A format, while the gateway is open to this machine."},
            {"type": "string", "pattern": "^[a-z0-9_-]{1,40}$", "description": "A configured source."},
        ]}),
        "id" => json!({"type": "string", "minLength": 1, "maxLength": 128}),
        _ => json!({"type": "string", "minLength": 1}),
    }
}

/// Of the body of an address.
pub(crate) fn of_body(path: &str, media_type: &str) -> Value {
    match (path, media_type) {
        ("/v1/events", "application/json") => {
            json!({"anyOf": [named("Event"), {"type": "array", "items": named("Event")}]})
        }
        ("/v1/geofences", _) => json!({"anyOf": [named("Feature"), {
            "type": "object",
            "required": ["type", "features"],
            "properties": {"type": {"const": "FeatureCollection"}, "features": {"type": "array", "items": named("Feature")}},
        }]}),
        ("/v1/geofences/{id}", _) => json!({"anyOf": [named("Feature"), edit("geometry")]}),
        ("/v1/vehicles/{id}", _) => edit("name"),
        (_, "application/x-www-form-urlencoded") => message(),
        (_, "application/json") => json!({}),
        _ => json!({"type": "string"}),
    }
}

/// A time: RFC 3339 with its offset, or epoch milliseconds.
pub(crate) fn time() -> Value {
    json!({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer"}]})
}

/// Names and values, as those of OsmAnd.
pub(crate) fn message() -> Value {
    json!({
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "timestamp": time(),
            "lat": {"type": "number"},
            "lon": {"type": "number"},
            "speed": {"type": "number"},
        },
    })
}

/// What a source is answered: OwnTracks an empty array.
pub(crate) fn of_source_answer() -> Value {
    json!({"anyOf": [named("Received"), {"type": "array", "maxItems": 0}]})
}

fn position() -> Value {
    json!({
        "type": "object",
        "required": ["type", "vehicle_id", "ts"],
        "properties": {
            "type": {"const": "position"},
            "vehicle_id": {"type": "string", "minLength": 1, "maxLength": 128},
            "ts": time(),
            "lon": {"type": "number", "minimum": -180, "maximum": 180},
            "lat": {"type": "number", "minimum": -90, "maximum": 90},
            "speed_kmh": {"type": "number"},
            "deleted": {"type": "boolean"},
            "attributes": {"type": "object"},
        },
    })
}

fn event(kind: &str, id: &str) -> Value {
    json!({
        "type": "object",
        "required": ["type", id],
        "properties": {
            "type": {"const": kind},
            id: {"type": "string", "minLength": 1, "maxLength": 128},
            "valid_from": time(),
            "deleted": {"type": "boolean"},
            "geometry": {"type": "object"},
        },
    })
}

/// An event without type and identifier, which the address has.
fn edit(property: &str) -> Value {
    let mut properties = json!({"valid_from": time(), "attributes": {"type": "object"}});
    properties[property] = json!({"type": if property == "geometry" { "object" } else { "string" }});
    json!({"type": "object", "properties": properties})
}

fn feature() -> Value {
    json!({
        "type": "object",
        "required": ["type", "geometry"],
        "properties": {
            "type": {"const": "Feature"},
            "id": {"type": ["string", "integer"]},
            "properties": {"type": ["object", "null"]},
            "geometry": {
                "type": "object",
                "required": ["type", "coordinates"],
                "properties": {
                    "type": {"enum": ["Point", "Polygon", "MultiPolygon"]},
                    "coordinates": {"type": "array"},
                },
            },
        },
    })
}

fn received() -> Value {
    json!({
        "type": "object",
        "required": ["accepted", "refused"],
        "properties": {
            "accepted": {"type": "integer", "description": "Number of events that are in the log."},
            "refused": {
                "type": "array",
                "description": "The refused events; they are kept in rejected_events.",
                "items": {
                    "type": "object",
                    "required": ["index", "reason", "detail"],
                    "properties": {
                        "index": {"type": "integer"},
                        "reason": {"type": "string"},
                        "detail": {"type": "string"},
                    },
                },
            },
            "repeated": {"type": "boolean", "description": "The delivery was acknowledged before; nothing was added."},
            "cut_at_antimeridian": {"type": "array", "items": {"type": "string"}},
            "cut_off": {"type": "array", "items": {"type": "string"}},
        },
    })
}

fn failure() -> Value {
    json!({
        "type": "object",
        "required": ["error", "detail"],
        "properties": {
            "error": {"type": "string"},
            "detail": {"type": "string"},
            "events": {"type": "array", "items": {"type": "integer"}, "description": "Indices of forbidden events."},
        },
    })
}
