//! The JSON of Traccar Client: `{"device_id": .., "location": {"timestamp": .., "coords": {..}, ..}}`, speeds in m/s;
//! `location` may be an array. A speed, course or battery level of -1 is unknown.

use watchtower_core::events::{Event, Reason, Rejection, quoted};

use super::Format;
use super::collect::Items;
use super::form;
use super::json;
use super::message::{Item, Message, MessageError, Options};
use super::terms::terms;
use crate::aliases::Slot;
use crate::draft::{Draft, Terms};
use crate::members::{Object, as_text};
use crate::notes::Notes;
use crate::reading::SpeedUnit;

/// Members of `coords` and the fields that they are; what follows the name: whether a negative value is none.
const COORDS: [(&str, Slot, bool); 6] = [
    ("latitude", Slot::Lat, false),
    ("longitude", Slot::Lon, false),
    ("accuracy", Slot::Accuracy, true),
    ("speed", Slot::Speed, true),
    ("heading", Slot::Heading, true),
    ("altitude", Slot::Altitude, false),
];

/// Reads one object or an array of them, each with one or several locations.
pub(super) fn read(message: &Message<'_>, options: &Options) -> Result<Vec<Item>, MessageError> {
    let mut items = Items::new(message, options);
    let terms = terms(message, options, SpeedUnit::MetresPerSecond);
    let of_query = form::value(message.query, "id");
    let mut index = 0;
    for record in json::records(Format::OsmAnd, message.body, options)? {
        let object = Object::parse(record).ok();
        let named = object.as_ref().and_then(|object| object.get("device_id")).and_then(as_text);
        let named = named.map(String::from).or_else(|| of_query.clone()).or_else(|| options.vehicle_id.clone());
        let Some(vehicle_id) = named.filter(|id| !id.is_empty() && id != "null") else {
            return Err(MessageError::unreadable(Format::OsmAnd, "body", "device_id is missing"));
        };
        let locations = object.as_ref().and_then(|object| object.get("location")).unwrap_or("null");
        let locations = if locations.starts_with('[') {
            json::records(Format::OsmAnd, locations.as_bytes(), options)?
        } else {
            vec![locations]
        };
        for location in locations {
            let result = position(location, &vehicle_id, &terms, options);
            items.push(index, record.as_bytes(), Some(&vehicle_id), result)?;
            index += 1;
        }
    }
    Ok(items.finish())
}

fn position(location: &str, vehicle_id: &str, terms: &Terms, options: &Options) -> Result<Event<'static>, Rejection> {
    let part = |object: &Object<'_>, name: &str| -> Option<String> { object.get(name).map(str::to_owned) };
    let location = Object::parse(location).map_err(|_| {
        Rejection::new(Reason::Malformed, format!("location: expected an object, found {}", quoted(location)))
    })?;
    let mut notes = Notes::default();
    let mut draft = Draft::default();
    draft.set(Slot::VehicleId, vehicle_id.to_owned());
    draft.set(Slot::Ts, location.get("timestamp").and_then(as_text).unwrap_or_default().into_owned());
    let coords = part(&location, "coords").unwrap_or_default();
    let coords = Object::parse(&coords)
        .map_err(|_| Rejection::new(Reason::MissingField, "location.coords is missing".to_owned()))?;
    for (name, slot, negative_is_none) in COORDS {
        let text = coords.get(name).and_then(as_text).filter(|text| text != "null").unwrap_or_default();
        if !(negative_is_none && text.starts_with('-')) {
            draft.set(slot, text.into_owned());
        }
    }
    for (name, value) in &location.0 {
        match name.as_ref() {
            "timestamp" | "coords" => {}
            "battery" => battery(value, &mut draft, &mut notes),
            other => draft.attribute_json(other, value, &mut notes, 0),
        }
    }
    draft.finish(terms, &options.limits, &mut notes, 0)
}

/// Level, from 0 to 1, and whether it is charged.
fn battery(json: &str, draft: &mut Draft<'_>, notes: &mut Notes) {
    let Ok(battery) = Object::parse(json) else { return };
    if let Some(level) = battery.get("level").filter(|level| !level.starts_with('-')) {
        draft.attribute_json("battery_level", level, notes, 0);
    }
    draft.attribute_json("is_charging", battery.get("is_charging").unwrap_or("null"), notes, 0);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use watchtower_core::events::json::encode;

    const BODY: &str = r#"{"location":{"timestamp":"2026-11-23T12:00:00.000Z","coords":{"latitude":6.44,"longitude":3.36,"accuracy":5,"speed":10,"heading":90,"altitude":12},"is_moving":true,"odometer":120.5,"event":"motionchange","mock":false,"battery":{"level":0.88,"is_charging":false},"activity":{"type":"in_vehicle"},"alarm":null,"extras":{}},"device_id":"T1"}"#;
    const EVENT: &str = r#"{"type":"position","vehicle_id":"T1","ts":"2026-11-23T12:00:00Z","lon":3.36,"lat":6.44,"speed_kmh":36.0,"heading_deg":90.0,"accuracy_m":5.0,"altitude_m":12.0,"attributes":{"is_moving":true,"odometer":120.5,"event":"motionchange","mock":false,"battery_level":0.88,"is_charging":false,"activity":{"type":"in_vehicle"},"extras":{}},"received_at":"2026-11-23T12:00:05Z"}"#;

    fn outcomes(body: &str) -> Vec<Result<String, String>> {
        let items = read(&Message::from_body(body.as_bytes(), 1_795_435_205_000), &Options::default()).unwrap();
        items
            .into_iter()
            .map(|item| item.result.map(|event| encode(&event)).map_err(|refused| refused.detail))
            .collect()
    }

    #[test]
    fn a_location_is_a_position() {
        assert_eq!(outcomes(BODY), [Ok(EVENT.to_owned())]);
        let location = &BODY[12..BODY.len() - 18];
        let two = BODY.replace(location, &format!("[{location},{location}]"));
        assert_eq!(outcomes(&two), [Ok(EVENT.to_owned()), Ok(EVENT.to_owned())]);
    }

    #[test]
    fn minus_one_is_none() {
        let unknown = BODY.replace(r#""speed":10,"heading":90"#, r#""speed":-1,"heading":-1"#).replace("0.88", "-1");
        let expected =
            EVENT.replace(r#""speed_kmh":36.0,"heading_deg":90.0,"#, "").replace(r#""battery_level":0.88,"#, "");
        assert_eq!(outcomes(&unknown), [Ok(expected)]);
    }

    #[test]
    fn what_is_missing_is_refused() {
        for (body, detail) in [
            (r#"{"device_id":"T1"}"#, "location: expected an object"),
            (r#"{"device_id":"T1","location":{"timestamp":"2026-11-23T12:00:00Z"}}"#, "location.coords is missing"),
            (r#"{"device_id":"T1","location":{"coords":{"latitude":1,"longitude":2}}}"#, "ts is missing"),
        ] {
            let refused = outcomes(body).remove(0).unwrap_err();
            assert!(refused.starts_with(detail), "{refused}");
        }
        let nameless = Message::from_body(b"{}", 0);
        assert!(read(&nameless, &Options::default()).unwrap_err().to_string().contains("device_id is missing"));
    }
}
