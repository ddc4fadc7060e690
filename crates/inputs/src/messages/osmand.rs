//! What OsmAnd, Traccar Client and many phone apps send: a query or a form, speeds in knots; or JSON, speeds in m/s.
//!
//! A time is epoch seconds or milliseconds by its size, or RFC 3339; without one the position is of its arrival. Names
//! that are not known become attributes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use watchtower_core::events::{Event, Rejection, push_json_string};

use super::Format;
use super::collect::Items;
use super::form;
use super::message::{Item, Message, MessageError, Options};
use super::osmand_json;
use super::terms::terms;
use crate::aliases::Slot;
use crate::draft::Draft;
use crate::notes::Notes;
use crate::reading::SpeedUnit;

/// What a position looks like, in refusals.
const EXAMPLE: &str = "as in id=T1&lat=6.44&lon=3.36&timestamp=1795435200&speed=10";

/// Reads a query, a form or JSON.
pub(super) fn read(message: &Message<'_>, options: &Options) -> Result<Vec<Item>, MessageError> {
    if message.media_type() == "application/json" || message.body.trim_ascii_start().starts_with(b"{") {
        return osmand_json::read(message, options);
    }
    let parameters = Parameters::read(message)?;
    if parameters.0.is_empty() {
        return Err(unreadable("query", format!("it is empty; expected a position, {EXAMPLE}")));
    }
    let vehicle_id = parameters.vehicle_id().map(str::to_owned).or_else(|| options.vehicle_id.clone());
    let Some(vehicle_id) = vehicle_id else {
        return Err(unreadable("query", format!("id is missing; expected a position, {EXAMPLE}")));
    };
    let mut items = Items::new(message, options);
    let result = parameters.position(&vehicle_id, message, options);
    items.push(0, &parameters.bytes(message), Some(&vehicle_id), result)?;
    Ok(items.finish())
}

fn unreadable(place: &str, fault: String) -> MessageError {
    MessageError::Unreadable { format: Format::OsmAnd, place: place.to_owned(), fault }
}

/// Decoded names and values, of the query first.
struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Parameters<'a> {
    fn read(message: &Message<'a>) -> Result<Self, MessageError> {
        let form = std::str::from_utf8(message.body).map_err(|fault| {
            unreadable("body", format!("expected a form in UTF-8, found another byte at {}", fault.valid_up_to()))
        })?;
        let mut parameters = Vec::new();
        for (place, text) in [("query", message.query.unwrap_or_default()), ("body", form.trim())] {
            for (name, value) in form::pairs(text) {
                // The plus of "2026-11-23T06:00:00+01:00" is a plus to whoever did not encode it.
                let plus_is_space = !(name == "timestamp" && value.contains('T'));
                let decode = |text, plus| form::decoded(text, plus).map_err(|fault| unreadable(place, fault));
                parameters.push((decode(name, true)?, decode(value, plus_is_space)?));
            }
        }
        Ok(Self(parameters))
    }

    fn vehicle_id(&self) -> Option<&str> {
        let named = |wanted: &str| self.0.iter().find(|(name, value)| name == wanted && !value.is_empty());
        named("id").or_else(|| named("deviceid")).map(|(_, value)| value.as_ref())
    }

    /// What is kept of a position that is refused: query and body as they came.
    fn bytes(&self, message: &Message<'_>) -> Vec<u8> {
        match message.query {
            Some(query) if message.body.is_empty() => query.as_bytes().to_vec(),
            Some(query) if !query.is_empty() => [query.as_bytes(), b"\n", message.body].concat(),
            Some(_) | None => message.body.to_vec(),
        }
    }

    fn position(
        &self,
        vehicle_id: &str,
        message: &Message<'_>,
        options: &Options,
    ) -> Result<Event<'static>, Rejection> {
        let mut draft = Draft::default();
        draft.set(Slot::VehicleId, vehicle_id.to_owned());
        let mut attributes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in &self.0 {
            match (slot(name), name.as_ref()) {
                (Some(slot), _) if !draft.has(slot) => draft.set(slot, value.to_string()),
                // The last is a secret of the phone: whoever has it can notify its owner.
                (None, "id" | "deviceid" | "notificationToken") => {}
                (None, "location") => {
                    if let Some((lat, lon)) = value.split_once(',') {
                        draft.set(Slot::Lat, lat.trim().to_owned());
                        draft.set(Slot::Lon, lon.trim().to_owned());
                    }
                }
                (_, other) => attributes.entry(other).or_default().push(value.as_ref()),
            }
        }
        if !draft.has(Slot::Ts) {
            draft.set(Slot::Ts, watchtower_model::rfc3339::format(message.received_at));
        }
        let mut notes = Notes::default();
        for (name, values) in &attributes {
            draft.attribute_json(name, &attribute(values), &mut notes, 0);
        }
        let terms = terms(message, options, options.speed_unit.unwrap_or(SpeedUnit::Knots));
        draft.finish(&terms, &options.limits, &mut notes, 0)
    }
}

/// The field that a name stands for. Only these: whatever else an app sends is an attribute.
fn slot(name: &str) -> Option<Slot> {
    match name {
        "timestamp" => Some(Slot::Ts),
        "lat" => Some(Slot::Lat),
        "lon" => Some(Slot::Lon),
        "speed" => Some(Slot::Speed),
        "bearing" | "heading" => Some(Slot::Heading),
        "altitude" => Some(Slot::Altitude),
        "accuracy" => Some(Slot::Accuracy),
        "ignition" => Some(Slot::Ignition),
        _ => None,
    }
}

/// An attribute as JSON: a number or truth value as itself, any other text as a string, several as an array.
fn attribute(values: &[&str]) -> String {
    let json = |text: &str| {
        let is_plain = matches!(text, "true" | "false") || is_number(text);
        if is_plain {
            return text.to_owned();
        }
        let mut quoted = String::new();
        push_json_string(&mut quoted, text);
        quoted
    };
    match values {
        [""] | [] => "null".to_owned(),
        [one] => json(one),
        several => format!("[{}]", several.iter().map(|text| json(text)).collect::<Vec<_>>().join(",")),
    }
}

/// Whether a text is a number that reads the same as JSON: 007 and 49170123456789012345 are labels.
fn is_number(text: &str) -> bool {
    text.len() <= 15
        && text.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
        && serde_json::from_str::<serde_json::Number>(text).is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use watchtower_core::events::{Reason, json};

    const ARRIVAL: i64 = 1_795_435_205_000;

    fn read_query(query: &str) -> Result<Vec<Item>, MessageError> {
        let message = Message { query: Some(query), ..Message::from_body(b"", ARRIVAL) };
        read(&message, &Options::default())
    }

    /// The only event of these items, as JSON without its arrival.
    fn event(items: Result<Vec<Item>, MessageError>) -> String {
        let items = items.unwrap();
        let [Item { index: 0, result: Ok(event) }] = items.as_slice() else { panic!("{items:?}") };
        assert_eq!(event.received_at(), Some(ARRIVAL));
        json::encode(event).replace(r#","received_at":"2026-11-23T12:00:05Z""#, "")
    }

    const REST: &str =
        "lat=6.44&lon=3.36&speed=10&bearing=90&accuracy=5&altitude=12&batt=88&hdop=0.9&valid=true&note=&driver=007";
    const EVENT: &str = r#"{"type":"position","vehicle_id":"T1","ts":"2026-11-23T12:00:00Z","lon":3.36,"lat":6.44,"speed_kmh":18.52,"heading_deg":90.0,"accuracy_m":5.0,"altitude_m":12.0,"attributes":{"batt":88,"driver":"007","hdop":0.9,"valid":true}}"#;

    #[test]
    fn a_time_is_seconds_milliseconds_or_has_a_zone() {
        for time in [
            "1795435200",
            "1795435200000",
            "2026-11-23T12:00:00Z",
            "2026-11-23T13:00:00+01:00",
            "2026-11-23T13%3A00%3A00%2B01%3A00",
            "2026-11-23+12:00:00Z",
        ] {
            assert_eq!(event(read_query(&format!("id=T1&timestamp={time}&{REST}"))), EVENT, "{time}");
        }
        let of_arrival = event(read_query(&format!("deviceid=T1&{REST}")));
        assert_eq!(of_arrival, EVENT.replace("12:00:00Z", "12:00:05Z"));
    }

    #[test]
    fn a_time_without_a_zone_is_refused_with_the_cure() {
        for time in ["2026-11-23+13:00:00", "2026-11-23T13:00:00"] {
            let query = format!("id=T1&timestamp={time}&{REST}");
            let refused = read_query(&query).unwrap()[0].result.clone().unwrap_err();
            assert_eq!(refused.reason, Reason::Malformed);
            assert!(refused.detail.starts_with("ts: no zone: send epoch seconds or an offset"), "{}", refused.detail);
            assert!(refused.detail.contains("or set time_zone of the source"), "{}", refused.detail);
            assert_eq!((refused.vehicle_id.as_deref(), refused.bytes.as_slice()), (Some("T1"), query.as_bytes()));
            let lagos = Some(crate::reading::parse_time_zone("Africa/Lagos").unwrap());
            let options = Options { time_zone: lagos, ..Options::default() };
            let message = Message { query: Some(&query), ..Message::from_body(b"", ARRIVAL) };
            assert_eq!(event(read(&message, &options)), EVENT);
        }
    }

    #[test]
    fn a_form_is_read_like_a_query() {
        let body = format!("id=T1&timestamp=1795435200&{REST}");
        let message = Message {
            content_type: Some("application/x-www-form-urlencoded"),
            ..Message::from_body(body.as_bytes(), ARRIVAL)
        };
        assert_eq!(event(read(&message, &Options::default())), EVENT);
        let both =
            Message { query: Some("id=T1&timestamp=1795435200"), ..Message::from_body(REST.as_bytes(), ARRIVAL) };
        assert_eq!(event(read(&both, &Options::default())), EVENT);
    }

    #[test]
    fn a_location_may_be_one_value_and_others_may_be_several() {
        let found = event(read_query(
            "id=T1&notificationToken=x&timestamp=1795435200&location=6.44,3.36&heading=90&cell=621,20,1,2&cell=621,20,1,3&ignition=true&ref=49170123456789012345",
        ));
        let expected = r#"{"type":"position","vehicle_id":"T1","ts":"2026-11-23T12:00:00Z","lon":3.36,"lat":6.44,"heading_deg":90.0,"ignition":true,"attributes":{"cell":["621,20,1,2","621,20,1,3"],"ref":"49170123456789012345"}}"#;
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_position_is_an_error_or_refused() {
        assert!(read_query("").unwrap_err().to_string().contains("it is empty"));
        assert!(read_query(REST).unwrap_err().to_string().contains("id is missing"));
        assert!(read_query("id=%ff").unwrap_err().to_string().starts_with("not a message of format osmand, query: "));
        let reason = |query: &str| read_query(query).unwrap()[0].result.clone().unwrap_err().reason;
        assert_eq!(reason("id=T1&timestamp=1795435200"), Reason::MissingField);
        assert_eq!(reason("id=T1&timestamp=1795435200&lat=96.44&lon=3.36"), Reason::Coordinates);
        assert_eq!(reason("id=T1&timestamp=yesterday&lat=6.44&lon=3.36"), Reason::Malformed);
        assert_eq!(reason("id=T1&timestamp=12&lat=6.44&lon=3.36"), Reason::TimeRange);
    }
}
