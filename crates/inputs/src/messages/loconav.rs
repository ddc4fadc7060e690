//! LocoNav: live locations and alerts, speeds in km/h. Live times are DD-MM-YYYY without a zone, those of alerts are
//! mixed; the zone of those that name none is a setting.
//!
//! The vehicle is its number, which alerts have as well; the IMEI where there is none. An alert of a point is the
//! position where it happened, one of an interval up to two: where it began and where it ended. It is sent again when
//! it ends, under the same id: the beginning is then the same event again, with the same content. An alert without
//! any coordinates has nothing to report.

use watchtower_core::events::{Event, Reason, Rejection};

use super::Format;
use super::collect::Items;
use super::json;
use super::message::{Item, Message, MessageError, Options};
use super::terms::{reading, terms};
use crate::aliases::Slot;
use crate::draft::{Draft, Terms};
use crate::members::{Members, Object, as_text};
use crate::notes::Notes;
use crate::reading::{DateOrder, Reading, SpeedUnit};

/// Members that name the vehicle, the first that is there.
const VEHICLE: [&str; 3] = ["vehicle_number", "vehiclenumber", "imei"];

/// Where and when an alert has a position.
struct Moment {
    /// What the attribute `alert_event` says of it.
    name: Option<&'static str>,
    time: &'static str,
    lat: &'static str,
    lon: &'static str,
}

const MOMENTS: [Moment; 3] = [
    Moment { name: None, time: "event_time", lat: "latitude", lon: "longitude" },
    Moment {
        name: Some("start"),
        time: "active_event_time",
        lat: "active_event_latitude",
        lon: "active_event_longitude",
    },
    Moment {
        name: Some("end"),
        time: "inactive_event_time",
        lat: "inactive_event_latitude",
        lon: "inactive_event_longitude",
    },
];

/// Members of an alert that are no attributes: they are read, or differ each time it is sent.
const TAKEN: [&str; 6] = ["id", "kind", "vehicle_number", "created_at", "updated_at", "speed"];

/// Reads one live location or alert, or an array of them.
pub(super) fn read(message: &Message<'_>, options: &Options) -> Result<Vec<Item>, MessageError> {
    let mut items = Items::new(message, options);
    let reading = Reading { date_order: Some(DateOrder::DayMonthYear), ..reading(message, options) };
    let mut members = Members::of_source(&reading);
    let mut terms = terms(message, options, SpeedUnit::Kmh);
    terms.times.order = reading.date_order;
    for (index, record) in json::records(Format::LocoNav, message.body, options)?.into_iter().enumerate() {
        let results = match Object::of_record(record) {
            Ok(object) if object.get("kind").is_some() => alert(&object, &terms, options),
            Ok(object) => vec![live(object, &mut members, options, index)],
            Err(rejection) => vec![Err(rejection)],
        };
        for result in results {
            let vehicle_id = if result.is_err() { json::named(record, &VEHICLE) } else { None };
            items.push(index, record.as_bytes(), vehicle_id.as_deref(), result)?;
        }
    }
    Ok(items.finish())
}

fn with_vehicle<'a>(object: &Object<'a>) -> Draft<'a> {
    let mut draft = Draft::default();
    let named = VEHICLE.iter().find_map(|name| object.get(name).and_then(as_text).filter(|text| *text != "null"));
    draft.set(Slot::VehicleId, named.unwrap_or_default());
    draft
}

fn live<'a>(
    mut object: Object<'a>,
    members: &mut Members,
    options: &Options,
    index: usize,
) -> Result<Event<'a>, Rejection> {
    let draft = with_vehicle(&object);
    // A number that is there is the vehicle, and no attribute beside it.
    object.0.retain(|(name, _)| name != "vehiclenumber");
    members.completed(&object, draft, SpeedUnit::Kmh, &options.limits, index as u64 + 1)
}

/// The positions of an alert.
fn alert<'a>(object: &Object<'a>, terms: &Terms, options: &Options) -> Vec<Result<Event<'a>, Rejection>> {
    let present = |name: &str| object.get(name).filter(|value| *value != "null");
    let moments = || MOMENTS.iter().filter(|moment| present(moment.time).is_some());
    if moments().next().is_none() {
        let detail = "event_time, active_event_time and inactive_event_time are missing";
        return vec![Err(Rejection::new(Reason::MissingField, detail))];
    }
    let with_place = moments().filter(|moment| present(moment.lat).is_some() || present(moment.lon).is_some());
    with_place.map(|moment| position(object, moment, terms, options)).collect()
}

fn position<'a>(
    object: &Object<'a>,
    moment: &Moment,
    terms: &Terms,
    options: &Options,
) -> Result<Event<'a>, Rejection> {
    let text = |name: &str| object.get(name).and_then(as_text).filter(|text| text != "null").unwrap_or_default();
    let mut notes = Notes::default();
    let mut draft = with_vehicle(object);
    draft.set(Slot::Ts, text(moment.time));
    draft.set(Slot::Lat, text(moment.lat));
    draft.set(Slot::Lon, text(moment.lon));
    // The speed of an interval is of no one instant.
    let is_point = moment.name.is_none();
    if is_point {
        draft.set(Slot::Speed, text("speed"));
    }
    if object.string("kind").as_deref() == Some("IgnitionAlert") {
        match moment.name {
            Some("start") => draft.set(Slot::Ignition, "true"),
            Some("end") => draft.set(Slot::Ignition, "false"),
            Some(_) | None => {}
        }
    }
    draft.attribute_json("alert", object.get("kind").unwrap_or("null"), &mut notes, 0);
    draft.attribute_json("alert_id", object.get("id").unwrap_or("null"), &mut notes, 0);
    draft.attribute("\"alert_event\"", moment.name.unwrap_or_default())?;
    let is_taken = |name: &str| {
        TAKEN.contains(&name) && (name != "speed" || is_point)
            || MOMENTS.iter().any(|moment| [moment.time, moment.lat, moment.lon].contains(&name))
    };
    for (name, value) in object.0.iter().filter(|(name, _)| !is_taken(name)) {
        draft.attribute_json(name, value, &mut notes, 0);
    }
    draft.finish(terms, &options.limits, &mut notes, 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::reading::parse_time_zone;
    use watchtower_core::events::json::encode;

    const LIVE: &str = r#"{"imei":"358000000000001","vehiclenumber":"T1","latitude":"6.44","longitude":"3.36","speed":41.5,"gpstime":"23-11-2026 13:00:00","ignition":"1","orientation":"180","sharpTurn":"0","harshBraking":"1"}"#;

    fn lagos() -> Options {
        Options { time_zone: Some(parse_time_zone("Africa/Lagos").unwrap()), ..Options::default() }
    }

    fn outcomes(body: &str, options: &Options) -> Vec<Result<String, String>> {
        let message = Message::from_body(body.as_bytes(), 1_795_435_205_000);
        let items = read(&message, options).unwrap();
        let without_arrival = |event| encode(&event).replace(r#","received_at":"2026-11-23T12:00:05Z""#, "");
        items.into_iter().map(|item| item.result.map(without_arrival).map_err(|refused| refused.detail)).collect()
    }

    #[test]
    fn a_live_location_has_a_local_time_with_the_day_first() {
        let expected = r#"{"type":"position","vehicle_id":"T1","ts":"2026-11-23T12:00:00Z","lon":3.36,"lat":6.44,"speed_kmh":41.5,"heading_deg":180.0,"ignition":true,"attributes":{"imei":"358000000000001","sharpTurn":"0","harshBraking":"1"}}"#;
        assert_eq!(outcomes(LIVE, &lagos()), [Ok(expected.to_owned())]);
        let third = outcomes(&LIVE.replace("23-11", "03-11"), &lagos());
        assert_eq!(third, [Ok(expected.replace("2026-11-23", "2026-11-03"))], "the third of November");
        let nameless = LIVE.replace(r#""vehiclenumber":"T1","#, "");
        assert!(outcomes(&nameless, &lagos())[0].clone().unwrap().contains(r#""vehicle_id":"358000000000001""#));
    }

    #[test]
    fn without_a_zone_it_is_refused_and_the_source_at_start() {
        let refused = outcomes(LIVE, &Options::default()).remove(0).unwrap_err();
        assert!(refused.starts_with("ts: no zone") && refused.contains("set time_zone of the source"), "{refused}");
        assert_eq!(Options::default().missing_for(Format::LocoNav), ["time_zone"]);
        assert!(lagos().missing_for(Format::LocoNav).is_empty());
    }

    #[test]
    fn an_interval_is_sent_again_when_it_ends() {
        let begun = r#"{"id":77,"vehicle_number":"T1","event_key":"geofence_enter","polygon_id":5,"active_event_time":"2026-11-23T12:00:00Z","active_event_latitude":6.44,"active_event_longitude":3.36,"inactive_event_time":null,"inactive_event_latitude":null,"inactive_event_longitude":null,"created_at":"2026-11-23T12:00:02Z","speed":50,"kind":"GeofenceAlert"}"#;
        let ended = begun
            .replace(r#"_time":null"#, r#"_time":"2026-11-23T18:00:00+05:30""#)
            .replace(r#"e_event_latitude":null"#, r#"e_event_latitude":6.45"#)
            .replace(r#"e_event_longitude":null"#, r#"e_event_longitude":3.37"#)
            .replace("12:00:02Z", "12:31:00Z");
        let start = r#"{"type":"position","vehicle_id":"T1","ts":"2026-11-23T12:00:00Z","lon":3.36,"lat":6.44,"attributes":{"alert":"GeofenceAlert","alert_id":77,"alert_event":"start","event_key":"geofence_enter","polygon_id":5,"speed":50}}"#;
        let end = start
            .replace("12:00:00", "12:30:00")
            .replace("3.36", "3.37")
            .replace("6.44", "6.45")
            .replace("\"start\"", "\"end\"");
        assert_eq!(outcomes(begun, &lagos()), [Ok(start.to_owned())]);
        assert_eq!(outcomes(&ended, &lagos()), [Ok(start.to_owned()), Ok(end)]);
    }

    #[test]
    fn a_point_and_an_ignition() {
        let point = r#"{"id":78,"event_time":"2026-11-23 13:00:00","latitude":6.44,"longitude":3.36,"vehicle_number":"T1","created_at":"2026-11-23T12:00:02Z","speed":63,"kind":"SuddenBrakingAlert"}"#;
        let expected = r#"{"type":"position","vehicle_id":"T1","ts":"2026-11-23T12:00:00Z","lon":3.36,"lat":6.44,"speed_kmh":63.0,"attributes":{"alert":"SuddenBrakingAlert","alert_id":78}}"#;
        assert_eq!(outcomes(point, &lagos()), [Ok(expected.to_owned())]);
        let ignition = r#"{"id":79,"vehicle_number":"T1","active_event_time":"2026-11-23T11:00:00Z","active_event_latitude":6.44,"active_event_longitude":3.36,"inactive_event_time":"2026-11-23T12:00:00Z","inactive_event_latitude":6.44,"inactive_event_longitude":3.36,"kind":"IgnitionAlert"}"#;
        let found = outcomes(ignition, &lagos());
        assert!(found[0].clone().unwrap().contains(r#""ignition":true"#), "{found:?}");
        assert!(found[1].clone().unwrap().contains(r#""ignition":false"#), "{found:?}");
        let offline = r#"{"id":80,"vehicle_number":"T1","active_event_time":"2026-11-23T11:00:00Z","active_event_latitude":null,"active_event_longitude":null,"kind":"DeviceOfflineAlert"}"#;
        assert_eq!(outcomes(offline, &lagos()), []);
        assert!(outcomes(r#"{"id":81,"vehicle_number":"T1","kind":"X"}"#, &lagos())[0].is_err());
    }
}
