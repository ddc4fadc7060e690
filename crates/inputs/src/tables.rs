//! Geofences as rows: CSV with a column of WKT or with circles, and the JSON of Traccar.

use std::path::{Path, PathBuf};

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::aliases::{Slot, normalized};
use super::csv::MAX_ROW_BYTES;
use super::document::Refused;
use super::forms::Form;
use super::geojson::GeoJson;
use super::input::{Input, SPLIT};
use super::lines::Lines;
use super::made::Made;
use super::members::Object;
use super::notes::Notes;
use super::reading::{Reading, SpeedUnit};
use super::rows::{Row, separator_of};
use super::titles::{self, NoHeader};
use super::values::{self, Axis};
use super::wkb;
use super::wkt::{self, Axes};
use super::{Progress, Source, SourceError};
use watchtower_core::events::{Limits, Reason};

/// Columns that hold a geometry, the likeliest first.
const GEOMETRIES: [&str; 12] = [
    "wkt",
    "geometry",
    "geom",
    "thegeom",
    "wkbgeometry",
    "shape",
    "wktgeom",
    "geometrywkt",
    "geog",
    "wkb",
    "polygon",
    "area",
];

/// Where a row has its geometry.
enum Place {
    /// In a column of WKT, GeoJSON or hexadecimal WKB.
    Column(usize, Axes),
    /// In columns of longitude and latitude, beside one of a radius.
    Circle { lon: usize, lat: usize },
}

impl Place {
    /// By the names of the columns.
    fn of(names: &[String], reading: &Reading) -> Option<Self> {
        let named = |alias: &str| names.iter().position(|name| normalized(name) == alias);
        let column = GEOMETRIES.iter().find_map(|alias| named(alias)).or_else(|| mapped_geometry(reading, names));
        if let Some(column) = column {
            let is_of_traccar = normalized(&names[column]) == "area";
            return Some(Self::Column(column, if is_of_traccar { Axes::LatitudeFirst } else { Axes::LongitudeFirst }));
        }
        named("radiusm").or_else(|| named("radius"))?;
        let slot = |slot: Slot| names.iter().position(|name| Slot::from_name(name) == Some(slot));
        Some(Self::Circle { lon: slot(Slot::Lon)?, lat: slot(Slot::Lat)? })
    }

    fn has(&self, index: usize) -> bool {
        match *self {
            Self::Column(column, _) => index == column,
            Self::Circle { lon, lat } => index == lon || index == lat,
        }
    }

    /// The geometry of a row as GeoJSON, and the radius that stands in it.
    fn geometry(&self, cells: &[&str]) -> Result<(String, Option<f64>), String> {
        let cell = |index: usize| cells.get(index).map_or("", |cell| cell.trim());
        match *self {
            Self::Column(column, axes) => match cell(column) {
                "" => Ok(("null".to_owned(), None)),
                text if text.starts_with('{') => Ok((text.to_owned(), None)),
                text if wkb::is_hex(text) => wkb::parse_hex(text).map(|form| form.to_json()),
                text => wkt::parse(text, axes).map(|form| form.to_json()),
            },
            Self::Circle { lon, lat } => {
                let degrees = |index, axis| {
                    let read = values::degrees(cell(index), axis);
                    read.ok_or_else(|| format!("expected degrees, found {:.64}", cell(index)))
                };
                let center = [degrees(lon, Axis::Longitude)?, degrees(lat, Axis::Latitude)?];
                Ok(Form::Point(center).to_json())
            }
        }
    }

    /// Whether a line has a geometry in its place.
    fn is_in(&self, line: &str, separator: u8) -> bool {
        let mut row = Row::default();
        row.split(line, separator);
        self.geometry(&row.cells(line).collect::<Vec<_>>()).is_ok_and(|(geometry, _)| geometry != "null")
    }

    /// How it is read, for the summary.
    fn words(&self, names: &[String]) -> String {
        match *self {
            Self::Column(column, _) => format!("CSV with a geometry in {}", names[column]),
            Self::Circle { lon, lat } => format!("CSV of circles around {}, {}", names[lon], names[lat]),
        }
    }
}

/// Reads a CSV of geofences.
///
/// # Errors
/// If it cannot be read, or no column holds a geometry.
pub(crate) fn open_csv(
    path: &Path,
    input: Input,
    reading: &Reading,
    limits: &Limits,
) -> Result<Box<dyn Source>, SourceError> {
    let fault = |fault: String| SourceError::Geofences { path: PathBuf::from(path), fault };
    let mut lines = Lines::new(path, input, limits);
    lines.advance()?;
    lines.make_utf8();
    let mut row = Row::default();
    let found = titles::find(&mut lines, |_, line| {
        let separator = separator_of(line);
        row.split(line, separator);
        let names: Vec<String> = row.cells(line).map(|name| name.trim().to_owned()).collect();
        match Place::of(&names, reading) {
            Some(place) => Ok((names, separator, place)),
            None => Err(NoHeader { fault: no_geometry(line), fields: 0 }),
        }
    })?
    .map_err(fault)?;
    let mut notes = Notes::default();
    let (_, separator, place) = &found.header;
    found.note_titles(&mut notes, |line| place.is_in(line, *separator)).map_err(fault)?;
    let (names, separator, place) = found.header;
    let mut made = Made::default();
    while lines.advance()? {
        if made.is_too_large() {
            return Ok(Box::new(Refused::too_large(path, lines.progress(), lines.raw().bytes, SPLIT)));
        }
        lines.make_utf8();
        read_row(&mut lines, &mut row, separator, &mut made, &names, &place)?;
    }
    made.add_ends();
    notes.format = format!("{}{}", place.words(&names), lines.encoding_words());
    let mut source = GeoJson::of(path, made.document, made.items, lines.progress(), reading, limits);
    *source.notes_mut() = notes;
    Ok(Box::new(source))
}

fn no_geometry(first: &str) -> String {
    format!(
        "expected GeoJSON, KML, or CSV with a column of WKT called wkt or geometry, or with lat, lon and radius_m; \
         the first line is {:.120}",
        first.trim()
    )
}

/// Makes a feature of the current line, and of those that a quote joins to it.
fn read_row(
    lines: &mut Lines,
    row: &mut Row,
    separator: u8,
    made: &mut Made,
    names: &[String],
    place: &Place,
) -> Result<(), SourceError> {
    let mut closed = lines.text().map_or(true, |line| row.split(line, separator));
    while !closed && lines.raw().bytes.len() < MAX_ROW_BYTES && lines.extend()? {
        lines.make_utf8();
        closed = lines.text().map_or(true, |line| row.split(line, separator));
    }
    let number = lines.number();
    match lines.text() {
        Err(rejection) => made.refuse(number, "", rejection.reason, rejection.detail),
        Ok(line) if !closed => made.refuse(number, line, Reason::Malformed, "a quote is not closed".to_owned()),
        Ok(line) => {
            let cells: Vec<&str> = row.cells(line).collect();
            make_row(made, number, names, &cells, place, line);
        }
    }
    Ok(())
}

fn mapped_geometry(reading: &Reading, names: &[String]) -> Option<usize> {
    let (_, columns) = reading.columns.iter().find(|(field, _)| matches!(*field, "geometry" | "wkt"))?;
    names.iter().position(|name| name.eq_ignore_ascii_case(&columns[0]))
}

fn make_row(made: &mut Made, number: u64, names: &[String], cells: &[&str], place: &Place, line: &str) {
    let (geometry, radius_m) = match place.geometry(cells) {
        Ok(geometry) => geometry,
        Err(fault) => return made.refuse(number, line, Reason::Geometry, format!("geometry: {fault}")),
    };
    let mut properties = Map::new();
    for (index, (name, cell)) in names.iter().zip(cells).enumerate() {
        let cell = cell.trim();
        if !place.has(index) && !name.is_empty() && !cell.is_empty() && cell != "\\N" {
            properties.insert(name.clone(), Value::from(cell));
        }
    }
    if let Some(radius_m) = radius_m {
        properties.insert("radius_m".to_owned(), Value::from(radius_m));
    }
    made.push(number, &properties, &geometry);
}

/// Geofences as Traccar has them: an array of objects with an `area`, or one of them.
pub(crate) fn traccar(
    path: &Path,
    document: &[u8],
    progress: Progress,
    reading: &Reading,
    limits: &Limits,
) -> Option<GeoJson> {
    let text = std::str::from_utf8(document).ok()?;
    let items: Vec<&RawValue> = match text.trim_ascii_start().as_bytes().first()? {
        b'[' => serde_json::from_str(text).ok()?,
        b'{' => vec![serde_json::from_str(text).ok()?],
        _ => return None,
    };
    let objects: Vec<_> = items.iter().map(|item| (item.get(), Object::parse(item.get()).ok())).collect();
    if !objects.iter().any(|(_, object)| object.as_ref().is_some_and(|object| object.string("area").is_some())) {
        return None;
    }
    let mut made = Made::default();
    for ((item, object), position) in objects.into_iter().zip(1..) {
        let area = object.as_ref().and_then(|object| object.string("area"));
        let Some((object, area)) = object.zip(area) else {
            made.refuse(position, item, Reason::MissingField, "area is missing".to_owned());
            continue;
        };
        match wkt::parse(&area, Axes::LatitudeFirst) {
            Ok(form) => {
                let (geometry, radius_m) = form.to_json();
                made.push(position, &traccar_properties(&object, radius_m), &geometry);
            }
            Err(fault) => made.refuse(position, item, Reason::Geometry, format!("area: {fault}")),
        }
    }
    let mut source = GeoJson::of(path, made.document, made.items, progress, reading, limits);
    source.notes_mut().format = "geofences of Traccar".to_owned();
    Some(source)
}

/// The id, the name, and what of the attributes has a meaning here.
fn traccar_properties(object: &Object<'_>, radius_m: Option<f64>) -> Map<String, Value> {
    let json = |json: &str| serde_json::from_str::<Value>(json).ok();
    let mut properties = Map::new();
    for name in ["id", "name"] {
        if let Some(value) = object.get(name).and_then(json) {
            properties.insert(name.to_owned(), value);
        }
    }
    let attributes = object.get("attributes").and_then(|attributes| Object::parse(attributes).ok());
    let number = |name: &str| attributes.as_ref()?.get(name)?.trim_matches('"').parse::<f64>().ok();
    if let Some(knots) = number("speedLimit").filter(|knots| *knots > 0.0) {
        properties.insert("speed_limit_kmh".to_owned(), Value::from(knots * SpeedUnit::Knots.kmh()));
    }
    if let Some(metres) = number("polylineDistance") {
        properties.insert("buffer_m".to_owned(), Value::from(metres));
    }
    if let Some(radius_m) = radius_m {
        properties.insert("radius_m".to_owned(), Value::from(radius_m));
    }
    properties
}
