//! OwnTracks, over HTTP or from a broker: `location` and `transition` are positions, speeds in km/h.
//!
//! The vehicle is `user/device`: of the headers, of the query (`u`, `d`), or of the topic; else the `tid`. All other
//! types (waypoint, lwt, status, card, cmd, ..) have no position and are passed over, but an encrypted message is
//! refused: it may hold one.

use watchtower_core::events::{Event, Reason, Rejection};
use watchtower_model::Millis;

use super::Format;
use super::collect::Items;
use super::form;
use super::json;
use super::message::{Item, Message, MessageError, Options};
use super::terms::reading;
use crate::aliases::Slot;
use crate::draft::Draft;
use crate::members::{Members, Object};
use crate::reading::SpeedUnit;

/// What an encrypted message lacks.
const ENCRYPTED: &str =
    "_type: encrypted messages are not read: remove the encryption key in the app and send over HTTPS or TLS";

/// Reads what the app posts.
pub(super) fn read(message: &Message<'_>, options: &Options) -> Result<Vec<Item>, MessageError> {
    let device = of_headers(message).or_else(|| of_query(message));
    read_of(device.as_deref(), message, options)
}

/// Reads what the app publishes to `topic`, as `owntracks/user/device/event`. An empty payload, which removes a
/// retained message, holds nothing.
///
/// # Errors
/// If the payload is no JSON.
pub fn read_published(
    topic: &str,
    payload: &[u8],
    received_at: Millis,
    options: &Options,
) -> Result<Vec<Item>, MessageError> {
    if payload.is_empty() {
        return Ok(Vec::new());
    }
    read_of(of_topic(topic), &Message::from_body(payload, received_at), options)
}

fn of_headers(message: &Message<'_>) -> Option<String> {
    let present = |text: &&str| !text.is_empty();
    joined(message.headers.limit_user.filter(present), message.headers.limit_device.filter(present))
}

fn of_query(message: &Message<'_>) -> Option<String> {
    let value = |name: &str| form::value(message.query, name);
    joined(value("u").as_deref(), value("d").as_deref())
}

fn joined(user: Option<&str>, device: Option<&str>) -> Option<String> {
    match (user, device) {
        (Some(user), Some(device)) => Some(format!("{user}/{device}")),
        (one, other) => one.or(other).map(str::to_owned),
    }
}

/// `user/device` of `base/user/device`, perhaps with a subtopic behind it.
fn of_topic(topic: &str) -> Option<&str> {
    let (_, rest) = topic.trim_matches('/').split_once('/')?;
    let device = rest.find('/').map(|slash| slash + 1)?;
    let end = rest[device..].find('/').map_or(rest.len(), |slash| device + slash);
    Some(&rest[..end])
}

fn read_of(device: Option<&str>, message: &Message<'_>, options: &Options) -> Result<Vec<Item>, MessageError> {
    let mut items = Items::new(message, options);
    let mut members = Members::of_source(&reading(message, options));
    for (index, record) in json::records(Format::OwnTracks, message.body, options)?.into_iter().enumerate() {
        let topic = json::named(record, &["topic"]);
        let device = device.or_else(|| topic.as_deref().and_then(of_topic));
        if let Some(result) = event(record, device, &mut members, options, index) {
            let tid = || json::named(record, &["tid"]);
            let vehicle_id = if result.is_err() { device.map(str::to_owned).or_else(tid) } else { None };
            items.push(index, record.as_bytes(), vehicle_id.as_deref(), result)?;
        }
    }
    Ok(items.finish())
}

/// The event of a record, if it has a position.
fn event<'a>(
    record: &'a str,
    device: Option<&str>,
    members: &mut Members,
    options: &Options,
    index: usize,
) -> Option<Result<Event<'a>, Rejection>> {
    let object = match Object::of_record(record) {
        Ok(object) => object,
        Err(rejection) => return Some(Err(rejection)),
    };
    match object.string("_type").as_deref() {
        Some("location") => {}
        // A region may be entered without any fix: a beacon.
        Some("transition") if object.get("lat").is_some() => {}
        Some("encrypted") => return Some(Err(Rejection::new(Reason::Malformed, ENCRYPTED))),
        Some(_) => return None,
        None => return Some(Err(Rejection::new(Reason::MissingField, "_type is missing"))),
    }
    let mut draft = Draft::default();
    if let Some(device) = device {
        draft.set(Slot::VehicleId, device.to_owned());
    } else if let Some(tid) = object.string("tid") {
        draft.set(Slot::VehicleId, tid);
    }
    Some(members.completed(&object, draft, SpeedUnit::Kmh, &options.limits, index as u64 + 1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::messages::Headers;
    use watchtower_core::events::json::encode;

    const ARRIVAL: i64 = 1_795_435_205_000;
    /// As the app for Android posts it.
    const LOCATION: &str = r#"{"_type":"location","_id":"6d2f","acc":14,"alt":31,"batt":88,"bs":1,"cog":90,"conn":"m","created_at":1795435203,"lat":6.44,"lon":3.36,"m":1,"t":"u","tid":"ad","topic":"owntracks/ade/phone","tst":1795435200,"vac":3,"vel":36}"#;
    const EVENT: &str = r#"{"type":"position","vehicle_id":"ade/phone","ts":"2026-11-23T12:00:00Z","lon":3.36,"lat":6.44,"speed_kmh":36.0,"heading_deg":90.0,"accuracy_m":14.0,"altitude_m":31.0,"attributes":{"_id":"6d2f","batt":88,"bs":1,"conn":"m","created_at":1795435203,"m":1,"tid":"ad","topic":"owntracks/ade/phone","t":"u","vac":3},"received_at":"2026-11-23T12:00:05Z"}"#;

    fn outcome(items: Vec<Item>) -> Option<Result<String, String>> {
        assert!(items.len() < 2);
        let Item { index: 0, result } = items.into_iter().next()? else { panic!("another index") };
        Some(result.map(|event| encode(&event)).map_err(|refused| refused.detail))
    }

    fn posted(body: &str, query: Option<&str>, headers: Headers<'_>) -> Option<Result<String, String>> {
        let message = Message { query, headers, ..Message::from_body(body.as_bytes(), ARRIVAL) };
        outcome(read(&message, &Options::default()).unwrap())
    }

    #[test]
    fn a_location_is_a_position_of_its_device() {
        let none = Headers::default();
        assert_eq!(posted(LOCATION, None, none), Some(Ok(EVENT.to_owned())));
        let headers = Headers { limit_user: Some("bola"), limit_device: Some("tab") };
        let of = |vehicle_id: &str| Some(Ok(EVENT.replace(r#""ade/phone""#, &format!("\"{vehicle_id}\""))));
        assert_eq!(posted(LOCATION, None, headers), of("bola/tab"));
        assert_eq!(posted(LOCATION, Some("u=bola&d=tab%201"), none), of("bola/tab 1"));
        let no_topic = LOCATION.replace(r#""topic":"owntracks/ade/phone","#, "");
        let expected = EVENT.replace(r#","topic":"owntracks/ade/phone""#, "").replace("ade/phone", "ad");
        assert_eq!(posted(&no_topic, None, none), Some(Ok(expected)));
    }

    #[test]
    fn a_transition_is_a_position_where_it_has_one() {
        let none = Headers::default();
        let transition = r#"{"_type":"transition","event":"enter","tst":1795435200,"wtst":1795000000,"acc":20,"lat":6.44,"lon":3.36,"tid":"ad","desc":"Yard","t":"c","rid":"6da9cf"}"#;
        let expected = r#"{"type":"position","vehicle_id":"ad","ts":"2026-11-23T12:00:00Z","lon":3.36,"lat":6.44,"accuracy_m":20.0,"attributes":{"event":"enter","wtst":1795000000,"tid":"ad","desc":"Yard","t":"c","rid":"6da9cf"},"received_at":"2026-11-23T12:00:05Z"}"#;
        assert_eq!(posted(transition, None, none), Some(Ok(expected.to_owned())));
        assert_eq!(posted(&transition.replace(r#""lat":6.44,"lon":3.36,"#, ""), None, none), None);
    }

    #[test]
    fn other_types_have_nothing_to_report() {
        let none = Headers::default();
        for body in [
            r#"{"_type":"waypoint","desc":"Yard","lat":6.44,"lon":3.36,"rad":150,"tst":1795435200,"rid":"6da9cf"}"#,
            r#"{"_type":"lwt","tst":1795435200}"#,
            r#"{"_type":"status"}"#,
            r#"{"_type":"no such thing"}"#,
        ] {
            assert_eq!(posted(body, None, none), None, "{body}");
        }
        let encrypted = posted(r#"{"_type":"encrypted","data":"xyz"}"#, None, none).unwrap().unwrap_err();
        assert!(encrypted.starts_with("_type: encrypted messages are not read"), "{encrypted}");
        assert_eq!(posted("{}", None, none), Some(Err("_type is missing".to_owned())));
        assert_eq!(posted(r#"{"_type":"location"}"#, None, none), Some(Err("vehicle_id is missing".to_owned())));
    }

    #[test]
    fn a_published_message_is_of_the_device_of_its_topic() {
        let published = |topic: &str, payload: &str| {
            outcome(read_published(topic, payload.as_bytes(), ARRIVAL, &Options::default()).unwrap())
        };
        let own = LOCATION.replace(r#""topic":"owntracks/ade/phone","#, "");
        let expected = EVENT.replace(r#","topic":"owntracks/ade/phone""#, "");
        for topic in ["owntracks/ade/phone", "owntracks/ade/phone/event", "/fleet/ade/phone/"] {
            assert_eq!(published(topic, &own), Some(Ok(expected.clone())), "{topic}");
        }
        assert_eq!(published("phone", &own), Some(Ok(expected.replace("ade/phone", "ad"))));
        assert_eq!(published("owntracks/ade/phone", ""), None);
        assert!(read_published("owntracks/ade/phone", b"offline", ARRIVAL, &Options::default()).is_err());
    }
}
