//! GPX: the points of tracks as positions; tracks, routes and waypoints as geofences.
//!
//! Speeds are metres per second, as GPX 1.0 and Garmin's extension have them. A file is one vehicle: `vehicle_id` of
//! the reading, or else the file's name. Waypoints and routes are plans, not where a vehicle was.

use serde_json::{Map, Value, json};
use watchtower_core::events::Reason;

use super::Source;
use super::aliases::Slot;
use super::draft::{Draft, Terms};
use super::geojson::GeoJson;
use super::header::plain_time_rules;
use super::made::Made;
use super::notes::Notes;
use super::points::{Format, Point, Points};
use super::reading::{SpeedUnit, stem};
use super::xml::{Element, Elements, Stream, Text};

const WAYPOINTS: &str = "waypoints and routes: plans, not positions; left out";
/// What of a point becomes an attribute.
const ATTRIBUTES: [&str; 6] = ["sat", "hdop", "vdop", "pdop", "fix", "hr"];

/// How GPX has its positions.
const FORMAT: Format = Format { name: "GPX", wanted: &["trkpt", "wpt", "rtept"], points };

/// The points of tracks.
pub(crate) fn positions(document: Stream<'_>) -> Box<dyn Source> {
    let Stream { path, content, gauge, reading, limits } = document;
    let vehicle_id = reading.vehicle_of(path).unwrap_or_else(|| stem(path));
    let mut notes = Notes { format: FORMAT.name.to_owned(), ..Notes::default() };
    notes.columns.push(("the file".to_owned(), format!("vehicle_id {vehicle_id}")));
    let terms = Terms {
        times: plain_time_rules(reading),
        speed_unit: reading.speed_unit.unwrap_or(SpeedUnit::MetresPerSecond),
        speed_unknown_from: None,
        north_is_zero: false,
        vehicle_id: Some(vehicle_id),
    };
    Box::new(Points::new(path, content, gauge, FORMAT, terms, limits, notes))
}

fn points(element: &Element, _: &Terms, notes: &mut Notes) -> Vec<Point> {
    if element.name == "trkpt" {
        return vec![(draft(element), summary(element))];
    }
    notes.count(WAYPOINTS, "", 0, "");
    Vec::new()
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
    let mut take = |element: Element| {
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
    let read = Elements::new(document.text.as_bytes(), &["trk", "rte", "wpt"]).try_for_each(|next| next.map(&mut take));
    if let Err(fault) = read {
        made.refuse(made.items.len() as u64 + 1, "", Reason::Malformed, format!("expected GPX: {fault}"));
    }
    let Text { path, progress, reading, limits, .. } = document;
    let mut source = GeoJson::of(path, made.document, made.items, *progress, reading, limits);
    source.notes_mut().format = "GPX".to_owned();
    Box::new(source)
}
