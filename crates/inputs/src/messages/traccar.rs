//! What a Traccar server forwards as JSON: `{"position": .., "device": ..}`, the same with an `event`, or a bare
//! position, as its Redis lists hold. Speeds in knots; the vehicle is the device's `uniqueId`.
//!
//! The position of an event has its type in the attribute `event_type`. An event without a position (a device that
//! is offline) has nothing to report: silence is judged by the clock of the log.

use watchtower_core::events::{Event, Reason, Rejection, push_json_string};

use super::Format;
use super::collect::Items;
use super::json;
use super::message::{Item, Message, MessageError, Options};
use super::terms::reading;
use crate::draft::Draft;
use crate::members::{Members, Object};
use crate::notes::Notes;
use crate::reading::SpeedUnit;

/// Reads one envelope or an array of them.
pub(super) fn read(message: &Message<'_>, options: &Options) -> Result<Vec<Item>, MessageError> {
    let mut items = Items::new(message, options);
    let mut members = Members::of_source(&reading(message, options));
    for (index, record) in json::records(Format::Traccar, message.body, options)?.into_iter().enumerate() {
        if let Some(result) = event(record, &mut members, options, index) {
            let vehicle_id = if result.is_err() { vehicle_of(record) } else { None };
            items.push(index, record.as_bytes(), vehicle_id.as_deref(), result)?;
        }
    }
    Ok(items.finish())
}

fn vehicle_of(record: &str) -> Option<String> {
    let object = Object::parse(record).ok()?;
    match object.get("device") {
        Some(device) => json::named(device, &["uniqueId", "id"]),
        None => json::named(record, &["deviceId"]),
    }
}

/// The event of an envelope or a bare position, if it has one.
fn event<'a>(
    record: &'a str,
    members: &mut Members,
    options: &Options,
    index: usize,
) -> Option<Result<Event<'a>, Rejection>> {
    let object = match Object::of_record(record) {
        Ok(object) => object,
        Err(rejection) => return Some(Err(rejection)),
    };
    let number = index as u64 + 1;
    let part = |name: &str| object.get(name).filter(|text| text.starts_with('{'));
    let given = match part("event") {
        Some(event) => event_attributes(event, part("geofence")),
        None => Draft::default(),
    };
    match (part("position"), part("device")) {
        (Some(position), Some(device)) => Some(members.forwarded(position, device, given, &options.limits, number)),
        (None, _) if part("event").is_some() => None,
        (None, None) if object.get("fixTime").is_some() && object.get("deviceId").is_some() => {
            Some(members.completed(&object, given, SpeedUnit::Knots, &options.limits, number))
        }
        (Some(_), None) => Some(Err(Rejection::new(Reason::MissingField, "device is missing"))),
        (None, _) => Some(Err(Rejection::new(Reason::MissingField, "position is missing"))),
    }
}

/// Type, id and attributes of an event, and the name of its geofence.
fn event_attributes(event: &str, geofence: Option<&str>) -> Draft<'static> {
    let (mut draft, mut notes) = (Draft::default(), Notes::default());
    let named = [
        ("event_type", json::named(event, &["type"])),
        ("event_id", json::named(event, &["id"])),
        ("event_geofence", geofence.and_then(|geofence| json::named(geofence, &["name"]))),
    ];
    for (name, value) in named {
        let mut json = String::new();
        push_json_string(&mut json, &value.unwrap_or_default());
        if json != "\"\"" {
            draft.attribute_json(name, &json, &mut notes, 0);
        }
    }
    let object = Object::parse(event).ok();
    if let Some(attributes) = object.as_ref().and_then(|event| event.get("attributes")).filter(|text| *text != "{}") {
        draft.attribute_json("event_attributes", attributes, &mut notes, 0);
    }
    draft
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use watchtower_core::events::json::encode;

    const POSITION: &str = r#"{"id":0,"attributes":{"batteryLevel":88,"ignition":true,"totalDistance":12.5},"deviceId":7,"protocol":"osmand","serverTime":"2026-11-23T12:00:04.000+00:00","deviceTime":"2026-11-23T12:00:01.000+00:00","fixTime":"2026-11-23T12:00:00.000+00:00","valid":true,"latitude":6.44,"longitude":3.36,"altitude":12.0,"speed":10.0,"course":90.0,"address":null,"accuracy":5.0,"network":null,"geofenceIds":[3]}"#;
    const DEVICE: &str = r#"{"id":7,"attributes":{},"groupId":0,"name":"Truck","uniqueId":"T1","status":"online","lastUpdate":"2026-11-23T12:00:04.000+00:00","positionId":9}"#;
    const EVENT: &str = r#"{"type":"position","vehicle_id":"T1","ts":"2026-11-23T12:00:00Z","lon":3.36,"lat":6.44,"speed_kmh":18.52,"heading_deg":90.0,"accuracy_m":5.0,"altitude_m":12.0,"ignition":true,"attributes":{"batteryLevel":88,"ignition":true,"totalDistance":12.5,"id":0,"deviceId":7,"protocol":"osmand","deviceTime":"2026-11-23T12:00:01.000+00:00","valid":true,"geofenceIds":[3]},"received_at":"2026-11-23T12:00:05Z"}"#;

    fn outcomes(body: &str) -> Vec<Result<String, String>> {
        let message = Message::from_body(body.as_bytes(), 1_795_435_205_000);
        let items = read(&message, &Options::default()).unwrap();
        items
            .into_iter()
            .map(|item| item.result.map(|event| encode(&event)).map_err(|refused| refused.detail))
            .collect()
    }

    #[test]
    fn a_forwarded_position() {
        let envelope = format!(r#"{{"position":{POSITION},"device":{DEVICE}}}"#);
        assert_eq!(outcomes(&envelope), [Ok(EVENT.to_owned())]);
        assert_eq!(outcomes(&format!("[{envelope},{envelope}]")).len(), 2);
        let bare = EVENT.replace(r#""T1""#, r#""7""#).replace(r#","deviceId":7"#, "");
        assert_eq!(outcomes(POSITION), [Ok(bare)]);
    }

    #[test]
    fn a_forwarded_event_is_the_position_where_it_happened() {
        let event = r#"{"id":41,"attributes":{},"deviceId":7,"type":"geofenceEnter","eventTime":"2026-11-23T12:00:00.000+00:00","positionId":9,"geofenceId":3,"maintenanceId":0}"#;
        let envelope = format!(
            r#"{{"event":{event},"position":{POSITION},"device":{DEVICE},"geofence":{{"id":3,"name":"Yard","area":"CIRCLE (6.44 3.36, 150)"}}}}"#
        );
        let expected = EVENT.replace(
            r#""totalDistance":12.5,"#,
            r#""totalDistance":12.5,"event_type":"geofenceEnter","event_id":"41","event_geofence":"Yard","#,
        );
        assert_eq!(outcomes(&envelope), [Ok(expected.clone())]);
        let overspeed = envelope.replacen(r#""attributes":{}"#, r#""attributes":{"speed":44.5,"speedLimit":40}"#, 1);
        let with_attributes = expected.replace(
            r#""event_geofence":"Yard","#,
            r#""event_geofence":"Yard","event_attributes":{"speed":44.5,"speedLimit":40},"#,
        );
        assert_eq!(outcomes(&overspeed), [Ok(with_attributes)]);
        assert_eq!(outcomes(&format!(r#"{{"event":{event},"device":{DEVICE}}}"#)), []);
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        for (body, detail) in [
            ("{}", "position is missing"),
            ("5", "expected a JSON object"),
            (r#"{"position":{},"event":{}}"#, "device is missing"),
            (r#"{"position":{},"device":{"uniqueId":"T1"}}"#, "ts is missing"),
        ] {
            let found = outcomes(body).remove(0).unwrap_err();
            assert!(found.starts_with(detail), "{found}");
        }
    }
}
