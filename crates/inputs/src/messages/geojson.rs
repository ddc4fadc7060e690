//! GeoJSON: a Feature with a Point, a FeatureCollection or an array of them. Properties have the names that files may
//! have; the vehicle is a property or the `id` of the feature.

use watchtower_core::events::{Reason, Rejection};

use super::Format;
use super::collect::Items;
use super::json;
use super::message::{Item, Message, MessageError, Options};
use super::terms::reading;
use crate::aliases::{Slot, speed_unit_of};
use crate::members::{Members, Object};

/// Reads features.
pub(super) fn read(message: &Message<'_>, options: &Options) -> Result<Vec<Item>, MessageError> {
    let mut records = json::records(Format::GeoJson, message.body, options)?;
    if let [only] = records.as_slice()
        && let Ok(object) = Object::parse(only)
        && object.string("type").as_deref() == Some("FeatureCollection")
    {
        records = json::records(Format::GeoJson, object.get("features").unwrap_or("[]").as_bytes(), options)?;
    }
    let mut members = Members::of_source(&reading(message, options));
    let mut items = Items::new(message, options);
    for (index, record) in records.into_iter().enumerate() {
        let result = check(record, options).and_then(|()| members.event(record, &options.limits, index as u64 + 1));
        let vehicle_id = if result.is_err() { vehicle_of(record) } else { None };
        items.push(index, record.as_bytes(), vehicle_id.as_deref(), result)?;
    }
    Ok(items.finish())
}

/// Refuses what is no Feature, and a speed whose unit is not known.
fn check(record: &str, options: &Options) -> Result<(), Rejection> {
    let object = Object::parse(record)
        .map_err(|fault| Rejection::new(Reason::Malformed, format!("expected a Feature: {fault}")))?;
    if object.string("type").as_deref() != Some("Feature") {
        let detail = "type: expected Feature, as in {\"type\":\"Feature\",\"id\":\"T1\",\"geometry\":{\"type\":\"Point\",\
             \"coordinates\":[3.36,6.44]},\"properties\":{\"ts\":\"2026-11-23T06:00:00Z\"}}";
        return Err(Rejection::new(Reason::Malformed, detail));
    }
    let properties = object.get("properties").and_then(|properties| Object::parse(properties).ok());
    let mut names = properties.iter().flat_map(|properties| &properties.0).filter(|(_, value)| *value != "null");
    let is_speed = |name: &str| Slot::from_name(name) == Some(Slot::Speed) && !name.eq_ignore_ascii_case("speed_kmh");
    match names.find(|(name, _)| is_speed(name) && speed_unit_of(name).is_none()) {
        Some((name, _)) if options.speed_unit.is_none() => {
            let detail = format!("{name}: no unit: name it speed_kmh, or set speed_unit of the source");
            Err(Rejection::new(Reason::Malformed, detail))
        }
        Some(_) | None => Ok(()),
    }
}

fn vehicle_of(record: &str) -> Option<String> {
    let object = Object::parse(record).ok()?;
    let property = object.get("properties").and_then(|text| json::named(text, &["vehicle_id"]));
    property.or_else(|| json::named(record, &["id"]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::reading::SpeedUnit;
    use watchtower_core::events::json::encode;

    fn outcomes(body: &str, options: &Options) -> Vec<Result<String, String>> {
        let items = read(&Message::from_body(body.as_bytes(), 1_795_435_205_000), options).unwrap();
        let outcome = |item: Item| item.result.map(|event| encode(&event)).map_err(|refused| refused.detail);
        items.into_iter().map(outcome).collect()
    }

    fn feature(properties: &str) -> String {
        format!(
            r#"{{"type":"Feature","id":"T1","geometry":{{"type":"Point","coordinates":[3.36,6.44,12]}},"properties":{{"time":"2026-11-23T12:00:00Z"{properties}}}}}"#
        )
    }

    const EVENT: &str = r#"{"type":"position","vehicle_id":"T1","ts":"2026-11-23T12:00:00Z","lon":3.36,"lat":6.44,"altitude_m":12.0,"received_at":"2026-11-23T12:00:05Z"}"#;

    #[test]
    fn a_feature_is_a_position() {
        let options = Options::default();
        assert_eq!(outcomes(&feature(""), &options), [Ok(EVENT.to_owned())]);
        let own = outcomes(&feature(r#","vehicle_id":"T2""#), &options);
        assert_eq!(own, [Ok(EVENT.replace(r#""T1""#, r#""T2""#))]);
        let collection = format!(r#"{{"type":"FeatureCollection","features":[{},{}]}}"#, feature(""), feature(""));
        assert_eq!(outcomes(&collection, &options), [Ok(EVENT.to_owned()), Ok(EVENT.to_owned())]);
    }

    #[test]
    fn a_speed_needs_a_unit() {
        let with = |name: &str, speed_unit| {
            let options = Options { speed_unit, ..Options::default() };
            outcomes(&feature(&format!(r#","{name}":10"#)), &options).remove(0)
        };
        let kmh = |kmh: &str| Ok(EVENT.replace(r#""altitude"#, &format!(r#""speed_kmh":{kmh},"altitude"#)));
        assert_eq!(with("speed_kmh", None), kmh("10.0"));
        assert_eq!(with("speed (knots)", None), kmh("18.52"));
        assert_eq!(with("speed", Some(SpeedUnit::MetresPerSecond)), kmh("36.0"));
        assert_eq!(
            with("speed", None).unwrap_err(),
            "speed: no unit: name it speed_kmh, or set speed_unit of the source"
        );
    }

    #[test]
    fn what_is_no_point_is_refused() {
        let options = Options::default();
        for (body, detail) in [
            (feature("").replace("[3.36,6.44,12]", "[]"), "coordinates: a position needs lon and lat"),
            (feature("").replace("Point", "LineString"), "geometry: expected a Point for a position, found LineString"),
            (feature("").replace("Feature", "Point"), "type: expected Feature"),
            (feature("").replace("12:00:00Z", "12:00:00"), "ts: no zone: send epoch seconds or an offset"),
        ] {
            let outcome = outcomes(&body, &options).remove(0).unwrap_err();
            assert!(outcome.starts_with(detail), "{outcome}");
        }
        let wrong = feature("").replace("6.44", "96.44");
        let items = read(&Message::from_body(wrong.as_bytes(), 0), &options).unwrap();
        assert_eq!(items[0].result.clone().unwrap_err().vehicle_id.as_deref(), Some("T1"));
    }
}
