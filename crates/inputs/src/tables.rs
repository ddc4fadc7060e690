//! Geofences as rows: CSV with a column of WKT, and the JSON of Traccar.

use std::path::{Path, PathBuf};

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::aliases::normalized;
use super::geojson::{GeoJson, Item};
use super::input::{Input, MAX_DOCUMENT_BYTES};
use super::lines::Lines;
use super::members::Object;
use super::reading::{Reading, SpeedUnit};
use super::rows::{Row, separator_of};
use super::wkt::{self, Axes};
use super::{Progress, Source, SourceError};
use watchtower_core::events::{Limits, Reason, Rejection};

/// Columns that hold a geometry, the likeliest first.
const GEOMETRIES: [&str; 9] =
    ["wkt", "geometry", "geom", "thegeom", "shape", "wktgeom", "geometrywkt", "polygon", "area"];
/// Rows that are held at once; a geofence file is not larger.
const MAX_ROWS: usize = 10_000_000;

/// Features being made of another format.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) document: Vec<u8>,
    pub(crate) items: Vec<Item>,
}

impl Made {
    /// Adds a feature; `geometry` is GeoJSON.
    pub(crate) fn push(&mut self, position: u64, properties: &Map<String, Value>, geometry: &str) {
        let properties = Value::Object(properties.clone());
        self.text(position, &format!(r#"{{"type":"Feature","properties":{properties},"geometry":{geometry}}}"#), None);
    }

    /// Adds what is none.
    pub(crate) fn refuse(&mut self, position: u64, text: &str, reason: Reason, detail: String) {
        self.text(position, text, Some(Rejection::new(reason, detail)));
    }

    fn text(&mut self, position: u64, text: &str, fault: Option<Rejection>) {
        let start = self.document.len();
        self.document.extend_from_slice(text.as_bytes());
        self.items.push(Item { text: start..self.document.len(), position, fault });
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
    let header = lines.text().map_err(|rejection| fault(rejection.to_string()))?.to_owned();
    let separator = separator_of(&header);
    let mut row = Row::default();
    row.split(&header, separator);
    let names: Vec<String> = row.cells(&header).map(|name| name.trim().to_owned()).collect();
    let column = GEOMETRIES.iter().find_map(|alias| names.iter().position(|name| normalized(name) == *alias));
    let Some(column) = column.or_else(|| mapped_geometry(reading, &names)) else {
        return Err(fault(format!(
            "expected GeoJSON, KML, or CSV with a column of WKT called wkt or geometry; the first line is {:.120}",
            header.trim()
        )));
    };
    let latitude_first = normalized(&names[column]) == "area";
    let mut made = Made::default();
    while made.items.len() < MAX_ROWS && lines.advance()? {
        lines.make_utf8();
        while !lines.text().map_or(true, |line| row.split(line, separator)) && lines.extend()? {
            lines.make_utf8();
        }
        let number = lines.number();
        match lines.text() {
            Err(rejection) => made.refuse(number, "", rejection.reason, rejection.detail),
            Ok(line) => {
                let cells: Vec<&str> = row.cells(line).collect();
                make_row(&mut made, number, &names, &cells, column, latitude_first, line);
            }
        }
    }
    let words = lines.encoding_words();
    let mut source = GeoJson::of(path, made.document, made.items, lines.progress(), reading, limits);
    source.notes_mut().format = format!("CSV with WKT in {}{words}", names[column]);
    Ok(Box::new(source))
}

fn mapped_geometry(reading: &Reading, names: &[String]) -> Option<usize> {
    let (_, columns) = reading.columns.iter().find(|(field, _)| matches!(*field, "geometry" | "wkt"))?;
    names.iter().position(|name| name.eq_ignore_ascii_case(&columns[0]))
}

fn make_row(
    made: &mut Made,
    number: u64,
    names: &[String],
    cells: &[&str],
    column: usize,
    latitude_first: bool,
    line: &str,
) {
    let text = cells.get(column).map_or("", |cell| cell.trim());
    let axes = if latitude_first { Axes::LatitudeFirst } else { Axes::LongitudeFirst };
    let geometry = match text {
        "" => Ok(("null".to_owned(), None)),
        text if text.starts_with('{') => Ok((text.to_owned(), None)),
        text => wkt::parse(text, axes).map(|form| form.to_json()),
    };
    match geometry {
        Ok((geometry, radius_m)) => {
            let mut properties = Map::new();
            for (name, cell) in
                names.iter().zip(cells).enumerate().filter(|(at, _)| *at != column).map(|(_, cell)| cell)
            {
                if !name.is_empty() && !cell.trim().is_empty() {
                    properties.insert(name.clone(), Value::from(cell.trim()));
                }
            }
            if let Some(radius_m) = radius_m {
                properties.insert("radius_m".to_owned(), Value::from(radius_m));
            }
            made.push(number, &properties, &geometry);
        }
        Err(fault) => made.refuse(number, line, Reason::Geometry, format!("geometry: {fault}")),
    }
}

/// Geofences as Traccar has them: an array of objects with an `area`, or one of them.
pub(crate) fn traccar(
    path: &Path,
    document: &[u8],
    progress: Progress,
    reading: &Reading,
    limits: &Limits,
) -> Option<GeoJson> {
    if document.len() as u64 > MAX_DOCUMENT_BYTES {
        return None;
    }
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
