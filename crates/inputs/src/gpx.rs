//! GPX: the points of tracks as positions; tracks, routes and waypoints as geofences.
//!
//! Speeds are metres per second, as GPX 1.0 and Garmin's extension have them. A file is one vehicle: `vehicle_id` of
//! the reading, or else the file's name. Waypoints and routes are plans, not where a vehicle was.

use serde_json::{Map, Value, json};
use watchtower_core::events::{Reason, Rejection};

use super::Source;
use super::aliases::Slot;
use super::draft::{Draft, Terms};
use super::geojson::GeoJson;
use super::header::plain_time_rules;
use super::made::{Made, MadePositions};
use super::notes::Notes;
use super::reading::{SpeedUnit, stem};
use super::xml::{Element, Text, elements};

const WAYPOINTS: &str = "waypoints and routes: plans, not positions; left out";
/// What of a point becomes an attribute.
const ATTRIBUTES: [&str; 6] = ["sat", "hdop", "vdop", "pdop", "fix", "hr"];

/// The points of tracks.
pub(crate) fn positions(document: &Text<'_>) -> Box<dyn Source> {
    let Text { path, reading, limits, .. } = document;
    let vehicle_id = reading.vehicle_of(path).unwrap_or_else(|| stem(path));
    let terms = Terms {
        times: plain_time_rules(reading),
        speed_unit: reading.speed_unit.unwrap_or(SpeedUnit::MetresPerSecond),
        speed_unknown_from: None,
        north_is_zero: false,
        vehicle_id: Some(vehicle_id.clone()),
    };
    let mut notes = Notes { format: "GPX".to_owned(), ..Notes::default() };
    notes.columns.push(("the file".to_owned(), format!("vehicle_id {vehicle_id}")));
    let (mut records, mut others) = (Vec::new(), 0u64);
    let take = |element: Element| {
        if element.name != "trkpt" {
            others += 1;
            return;
        }
        let position = records.len() as u64 + 1;
        let result = draft(&element).finish(&terms, limits, &mut notes, position).map(|event| event.into_owned());
        records.push((position, summary(&element), result));
    };
    let read = elements(document.text, &["trkpt", "wpt", "rtept"], take, |_| {});
    if let Err(fault) = read {
        let rejection = Rejection::new(Reason::Malformed, format!("expected GPX: {fault}"));
        records.push((records.len() as u64 + 1, String::new(), Err(rejection)));
    }
    for _ in 0..others {
        notes.count(WAYPOINTS, "", 0, "");
    }
    Box::new(MadePositions::new(path, document.progress, records, notes))
}

fn draft(point: &Element) -> Draft<'static> {
    let mut draft = Draft::default();
    let mut set = |slot, text: Option<&str>| draft.set(slot, text.unwrap_or_default().to_owned());
    set(Slot::Lon, point.attribute("lon"));
    set(Slot::Lat, point.attribute("lat"));
    set(Slot::Ts, point.text_of("time"));
    set(Slot::Altitude, point.text_of("ele"));
    let anywhere = |name: &str| {
        let mut found = Vec::new();
        point.all(name, &mut found);
        found.first().map(|element| element.text.trim().to_owned())
    };
    set(Slot::Speed, anywhere("speed").as_deref());
    set(Slot::Heading, anywhere("course").as_deref());
    for name in ATTRIBUTES {
        if let Some(text) = anywhere(name) {
            // A name of ours needs no escaping, and a text that cannot be stored is left out.
            let _ = draft.attribute(&format!("\"{name}\""), &text);
        }
    }
    draft
}

fn summary(point: &Element) -> String {
    let [lon, lat] = ["lon", "lat"].map(|name| point.attribute(name).unwrap_or_default());
    format!("<trkpt lon=\"{lon:.32}\" lat=\"{lat:.32}\"> {:.64}", point.text_of("time").unwrap_or_default())
}

/// Tracks and routes as lines, waypoints as points: areas if they are closed, or have a width or a radius.
pub(crate) fn geofences(document: &Text<'_>) -> Box<dyn Source> {
    let mut made = Made::default();
    let take = |element: Element| {
        let position = made.items.len() as u64 + 1;
        let mut points = Vec::new();
        let coordinate = |point: &Element, name| point.attribute(name)?.trim().parse::<f64>().ok();
        let vertex = |point: &Element| Some([coordinate(point, "lon")?, coordinate(point, "lat")?]);
        ["trkpt", "rtept"].iter().for_each(|name| element.all(name, &mut points));
        let geometry = match element.name.as_str() {
            "wpt" => vertex(&element).map(|vertex| json!({"type": "Point", "coordinates": vertex})),
            _ => {
                let line: Vec<[f64; 2]> = points.iter().filter_map(|point| vertex(point)).collect();
                Some(json!({"type": "LineString", "coordinates": line}))
            }
        };
        let mut properties = Map::new();
        if let Some(name) = element.text_of("name") {
            properties.insert("name".to_owned(), Value::from(name));
        }
        made.push(position, &properties, &geometry.unwrap_or_default().to_string());
    };
    if let Err(fault) = elements(document.text, &["trk", "rte", "wpt"], take, |_| {}) {
        made.refuse(made.items.len() as u64 + 1, "", Reason::Malformed, format!("expected GPX: {fault}"));
    }
    let Text { path, progress, reading, limits, .. } = document;
    let mut source = GeoJson::of(path, made.document, made.items, *progress, reading, limits);
    source.notes_mut().format = "GPX".to_owned();
    Box::new(source)
}
