//! Bodies of webhooks: our envelope, and the forms of Tile38 and Traccar.
//!
//! A body is a function of the row of the outbox and the configuration, so that every attempt sends the same bytes.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use watchtower_core::outbox::AlertEvent;

use crate::message::Texts;
use crate::notice::Notice;
use crate::options::Format;

/// The body in a format; `None` if the format has no form for the event.
pub(crate) fn body(format: Format, notice: &Notice, texts: &Texts) -> Option<Vec<u8>> {
    let is_raised = notice.event == AlertEvent::Raised;
    let body = match format {
        Format::Native => envelope(notice, texts),
        Format::Tile38 if is_raised => tile38(notice),
        Format::Traccar if is_raised => traccar(notice),
        Format::Tile38 | Format::Traccar => return None,
    };
    Some(body.to_string().into_bytes())
}

/// Our envelope: see [`watchtower_core::outbox::schema`].
pub(crate) fn envelope(notice: &Notice, texts: &Texts) -> Value {
    let mut data = Map::new();
    data.insert("subject".to_owned(), notice.subject.as_str().into());
    if let Some(old) = &notice.old_subject {
        data.insert("old_subject".to_owned(), old.as_str().into());
    }
    data.insert("revision".to_owned(), notice.revision.into());
    data.insert("message".to_owned(), texts.text(notice).into());
    data.insert("alert".to_owned(), notice.alert.clone().unwrap_or_default());
    data.insert("before".to_owned(), notice.before.clone().unwrap_or_default());
    json!({
        "type": format!("alert.{}", notice.event.name()),
        "timestamp": notice.now,
        "pipeline": notice.pipeline,
        "data": data,
    })
}

/// A notification of a geofence, as hooks of Tile38 send it. `object` is there if the place is known; the id of the group
/// is that of the visit.
fn tile38(notice: &Notice) -> Value {
    let values = &notice.latest()["values"];
    let (vehicle, geofence) = (notice.text("vehicle_id"), notice.text("geofence_id"));
    let detect = match notice.text("kind") {
        "dwell" => "inside",
        kind => kind,
    };
    let visit = format!("{vehicle}\n{geofence}\n{}", values["started_at"].as_str().unwrap_or_default());
    let group: String = Sha256::digest(visit)[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    let mut body = json!({
        "command": "set",
        "group": group,
        "detect": detect,
        "hook": notice.text("rule_id"),
        "key": notice.pipeline,
        "time": notice.text("at"),
        "id": vehicle,
        "meta": {"geofence_id": geofence, "severity": notice.text("severity")},
    });
    if let (Some(lon), Some(lat)) = (values["lon"].as_f64(), values["lat"].as_f64()) {
        body["object"] = json!({"type": "Point", "coordinates": [lon, lat]});
    }
    body
}

/// A forwarded event, as Traccar sends it. Its ids are numbers: ours are digests of the texts, which are in `uniqueId` and
/// `name`.
fn traccar(notice: &Notice) -> Value {
    let (vehicle, geofence) = (notice.text("vehicle_id"), notice.text("geofence_id"));
    let (kind, alarm) = match notice.text("kind") {
        "enter" => ("geofenceEnter", None),
        "exit" => ("geofenceExit", None),
        "overspeed" => ("deviceOverspeed", None),
        "stop" => ("deviceStopped", None),
        "trip_started" => ("deviceMoving", None),
        "offline" => ("deviceOffline", None),
        "back_online" => ("deviceOnline", None),
        other => ("alarm", Some(other)),
    };
    let mut attributes = json!({"subject": notice.subject, "rule": notice.text("rule_id")});
    if let Some(alarm) = alarm {
        attributes["alarm"] = alarm.into();
    }
    if let Some(limit) = notice.latest()["values"]["limit_kmh"].as_f64() {
        attributes["speedLimit"] = (limit / 1.852).into(); // knots
    }
    let time = notice.text("at").replace('Z', "+00:00");
    let mut body = json!({
        "event": {
            "id": number(&notice.key),
            "type": kind,
            "eventTime": time,
            "deviceId": number(vehicle),
            "positionId": 0,
            "geofenceId": if geofence.is_empty() { 0 } else { number(geofence) },
            "maintenanceId": 0,
            "attributes": attributes,
        },
        "device": {"id": number(vehicle), "name": vehicle, "uniqueId": vehicle, "attributes": {}},
    });
    if !geofence.is_empty() {
        body["geofence"] = json!({"id": number(geofence), "name": geofence, "attributes": {}});
    }
    body
}

/// A positive number of 31 bits that stands for a text.
fn number(text: &str) -> u32 {
    let digest = Sha256::digest(text);
    (u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) & 0x7fff_ffff).max(1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use watchtower_model::local_time::LocalTime;

    use watchtower_core::outbox::schema;

    use super::*;
    use crate::message::Escape;
    use crate::notice::tests::{alert, row};

    fn body_of(format: Format, event: AlertEvent, kind: &str) -> Option<Value> {
        let values = json!({"started_at": "2026-11-23T06:00:00Z", "limit_kmh": 60.0});
        let (now, before) = match event {
            AlertEvent::Raised => (alert(kind, values), Value::Null),
            AlertEvent::Corrected => (alert(kind, values.clone()), alert(kind, values)),
            AlertEvent::Retracted => (Value::Null, alert(kind, values)),
        };
        let notice = Notice::of(&row(event, now, before, Value::Null), "lagos").unwrap();
        let texts = Texts::new(Arc::new(LocalTime::utc()), Escape::Nothing);
        let bytes = body(format, &notice, &texts)?;
        assert_eq!(Some(&bytes), body(format, &notice, &texts).as_ref(), "the same bytes each time");
        Some(serde_json::from_slice(&bytes).unwrap())
    }

    #[test]
    fn the_envelope_has_what_the_schema_demands() {
        let schema = schema();
        let required = |of: &Value| -> Vec<String> {
            of["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
        };
        for (_, event) in AlertEvent::NAMES {
            let body = body_of(Format::Native, event, "enter").unwrap();
            let names = |of: &Value| -> Vec<String> { of.as_object().unwrap().keys().cloned().collect() };
            assert_eq!(names(&body), required(&schema));
            assert_eq!(names(&body["data"]), required(&schema["properties"]["data"]));
            assert!(schema["properties"]["type"]["enum"].as_array().unwrap().contains(&body["type"]));
            let row = [&body["data"]["alert"], &body["data"]["before"]].into_iter().find(|row| !row.is_null()).unwrap();
            assert_eq!(names(row), required(&schema["$defs"]["alert"]));
        }
    }

    #[test]
    fn tile38_and_traccar_get_raised_alerts_in_their_own_words() {
        let enter = body_of(Format::Tile38, AlertEvent::Raised, "enter").unwrap();
        let exit = body_of(Format::Tile38, AlertEvent::Raised, "exit").unwrap();
        assert_eq!((&enter["detect"], &enter["id"], &enter["hook"]), (&json!("enter"), &json!("T1"), &json!("in")));
        assert_eq!((&enter["group"], enter["group"].as_str().unwrap().len()), (&exit["group"], 24), "of one visit");
        let event = body_of(Format::Traccar, AlertEvent::Raised, "overspeed").unwrap();
        assert_eq!(event["event"]["type"], "deviceOverspeed");
        assert_eq!(event["event"]["eventTime"], "2026-11-23T06:00:00+00:00");
        assert_eq!(event["event"]["deviceId"], event["device"]["id"]);
        assert_eq!(event["device"]["uniqueId"], "T1");
        assert!((event["event"]["attributes"]["speedLimit"].as_f64().unwrap() - 32.397_408).abs() < 1e-6);
        let other = body_of(Format::Traccar, AlertEvent::Raised, "turnaround_completed").unwrap();
        assert_eq!(
            (&other["event"]["type"], &other["event"]["attributes"]["alarm"]),
            (&json!("alarm"), &json!("turnaround_completed"))
        );
        for format in [Format::Tile38, Format::Traccar] {
            assert!(body_of(format, AlertEvent::Corrected, "enter").is_none());
            assert!(body_of(format, AlertEvent::Retracted, "enter").is_none());
        }
    }
}
