//! KML: tracks and dated points as positions; polygons, lines and points as geofences.

use serde_json::{Map, Value};
use watchtower_core::events::Reason;

use super::Source;
use super::aliases::Slot;
use super::draft::{Draft, Terms};
use super::forms::Form;
use super::geojson::GeoJson;
use super::header::plain_time_rules;
use super::made::Made;
use super::notes::Notes;
use super::points::{Format, Point, Points};
use super::reading::{SpeedUnit, stem};
use super::xml::{Element, Elements, Stream, Text};

const UNDATED: &str = "placemarks without a time: no positions, left out";

/// How KML has its positions.
const FORMAT: Format = Format { name: "KML", wanted: &["Placemark"], points };
/// As [`FORMAT`], where the reading gives the vehicle: names of placemarks are none.
const FORMAT_OF_ONE: Format = Format { points: points_of_one, ..FORMAT };

/// The points of tracks, each with the time that stands beside it, and points with a time of their own. The vehicle
/// of a track is the name of its placemark, unless the reading gives one.
pub(crate) fn positions(document: Stream<'_>) -> Box<dyn Source> {
    let Stream { path, content, gauge, reading, limits } = document;
    let given = reading.vehicle_of(path);
    let format = if given.is_some() { FORMAT_OF_ONE } else { FORMAT };
    let terms = Terms {
        times: plain_time_rules(reading),
        speed_unit: reading.speed_unit.unwrap_or(SpeedUnit::Kmh),
        speed_unknown_from: None,
        north_is_zero: false,
        vehicle_id: Some(given.unwrap_or_else(|| stem(path))),
    };
    let notes = Notes { format: FORMAT.name.to_owned(), ..Notes::default() };
    Box::new(Points::new(path, content, gauge, format, terms, limits, notes))
}

fn points(placemark: &Element, _: &Terms, notes: &mut Notes) -> Vec<Point> {
    points_of(placemark, placemark.text_of("name"), notes)
}

fn points_of_one(placemark: &Element, _: &Terms, notes: &mut Notes) -> Vec<Point> {
    points_of(placemark, None, notes)
}

fn points_of(placemark: &Element, name: Option<&str>, notes: &mut Notes) -> Vec<Point> {
    let fixes = fixes(placemark);
    if fixes.is_empty() {
        notes.count(UNDATED, "", 0, "");
    }
    let name = name.filter(|_| fixes.len() > 1).unwrap_or_default();
    let point = |(when, coordinates): (&str, &str)| {
        let mut draft = Draft::default();
        draft.set(Slot::VehicleId, name.to_owned());
        draft.set(Slot::Ts, when.to_owned());
        let slots = [Slot::Lon, Slot::Lat, Slot::Altitude];
        let numbers = coordinates.split([',', ' ']).filter(|number| !number.is_empty());
        slots.into_iter().zip(numbers).for_each(|(slot, number)| draft.set(slot, number.to_owned()));
        (draft, format!("{when:.64} {coordinates:.96}"))
    };
    fixes.into_iter().map(point).collect()
}

/// Times and coordinates of a placemark.
fn fixes(placemark: &Element) -> Vec<(&str, &str)> {
    let mut tracks = Vec::new();
    placemark.all("Track", &mut tracks);
    let mut fixes = Vec::new();
    for track in tracks {
        let of = |name: &'static str| track.children.iter().filter(move |child| child.name == name);
        fixes.extend(of("when").zip(of("coord")).map(|(when, coord)| (when.text.trim(), coord.text.trim())));
    }
    let when = placemark.child("TimeStamp").and_then(|stamp| stamp.text_of("when"));
    let point = placemark.child("Point").and_then(|point| point.text_of("coordinates"));
    fixes.extend(when.zip(point));
    fixes
}

/// Placemarks with a geometry; what is in their extended data are properties.
pub(crate) fn geofences(document: &Text<'_>) -> Box<dyn Source> {
    let mut made = Made::default();
    let mut take = |placemark: Element| {
        let position = made.items.len() as u64 + 1;
        let properties = properties(&placemark);
        let parts: Vec<Form> = placemark.children.iter().filter_map(form).collect();
        let geometry = match parts.as_slice() {
            [] => "null".to_owned(),
            [form] => form.to_json().0,
            _ => Form::Many(parts).to_json().0,
        };
        made.push(position, &properties, &geometry);
    };
    let read = Elements::new(document.text.as_bytes(), &["Placemark"]).try_for_each(|next| next.map(&mut take));
    if let Err(fault) = read {
        made.refuse(made.items.len() as u64 + 1, "", Reason::Malformed, format!("expected KML: {fault}"));
    }
    let Text { path, progress, reading, limits, .. } = document;
    let mut source = GeoJson::of(path, made.document, made.items, *progress, reading, limits);
    source.notes_mut().format = "KML".to_owned();
    Box::new(source)
}

fn properties(placemark: &Element) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut set = |name: &str, text: &str| {
        if !text.is_empty() {
            properties.insert(name.to_owned(), Value::from(text));
        }
    };
    let mut data = Vec::new();
    placemark.all("Data", &mut data);
    for each in data {
        set(each.attribute("name").unwrap_or_default(), each.text_of("value").unwrap_or_default());
    }
    let mut simple = Vec::new();
    placemark.all("SimpleData", &mut simple);
    simple.iter().for_each(|each| set(each.attribute("name").unwrap_or_default(), each.text.trim()));
    set("name", placemark.text_of("name").unwrap_or_default());
    properties
}

fn form(element: &Element) -> Option<Form> {
    let line = |element: &Element| vertices(element.text_of("coordinates").unwrap_or_default());
    match element.name.as_str() {
        "Point" => line(element).first().copied().map(Form::Point),
        "LineString" | "LinearRing" => Some(Form::Line(line(element))),
        "Polygon" => {
            let mut rings = Vec::new();
            for boundary in ["outerBoundaryIs", "innerBoundaryIs"] {
                let boundaries = element.children.iter().filter(|child| child.name == boundary);
                let found = boundaries.flat_map(|each| each.children.iter().filter(|ring| ring.name == "LinearRing"));
                rings.extend(found.map(line));
            }
            Some(Form::Polygon(rings))
        }
        "MultiGeometry" => Some(Form::Many(element.children.iter().filter_map(form).collect())),
        _ => None,
    }
}

/// Tuples with spaces between them, numbers with commas; some programs write a space behind the comma.
fn vertices(text: &str) -> Vec<[f64; 2]> {
    let mut vertices = Vec::new();
    for tuple in text.split_whitespace() {
        let mut numbers = tuple.split(',').map(|number| number.parse::<f64>());
        if let (Some(Ok(lon)), Some(Ok(lat))) = (numbers.next(), numbers.next()) {
            vertices.push([lon, lat]);
        }
    }
    vertices
}
