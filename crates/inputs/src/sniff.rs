//! What a file is, by how it begins.

use std::path::Path;

use serde::de::IgnoredAny;
use watchtower_core::events::Limits;

use super::csv::Csv;
use super::document::{Document, Listed, Refused, is_wrapper};
use super::elements::array_start;
use super::geojson::GeoJson;
use super::input::{Input, ONE_PER_LINE};
use super::ndjson::Ndjson;
use super::reading::Reading;
use super::{FileFormat, Source, SourceError, overpass, tables};

/// Lines at the beginning of a file of which one must be an event if it is NDJSON.
const LINES_LOOKED_AT: usize = 20;

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looks {
    Xml,
    Zip,
    JsonLines,
    JsonDocument,
    Nmea,
    GeoPackage,
    Shapefile,
    Other,
}

fn looks(head: &[u8]) -> Looks {
    let text = head.trim_ascii_start();
    match text {
        [b'<', ..] => Looks::Xml,
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Looks::Zip,
        [0, 0, 0x27, 0x0a, ..] => Looks::Shapefile,
        _ if head.starts_with(b"SQLite format 3\0") => Looks::GeoPackage,
        [b'{' | b'[', ..] => {
            let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
            let is_event = |line: &[u8]| {
                line.starts_with(b"{")
                    && serde_json::from_slice::<IgnoredAny>(line).is_ok()
                    && !line.windows(19).any(|word| word == b"\"FeatureCollection\"")
                    && !std::str::from_utf8(line).is_ok_and(is_wrapper)
            };
            if is_open(lines.clone()) {
                return Looks::JsonDocument;
            }
            if lines.by_ref().take(LINES_LOOKED_AT).any(is_event) { Looks::JsonLines } else { Looks::JsonDocument }
        }
        [b'$' | b'!' | b'\\', ..] if text.iter().take(200).any(|byte| *byte == b',') => Looks::Nmea,
        _ => Looks::Other,
    }
}

/// Whether the first of these lines begins an array or object that goes on in the next, as GDAL writes collections: a feature
/// on each line, the last of which, alone, could be an event. A line that is cut off is followed by another object.
fn is_open<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> bool {
    let Some(first) = lines.next() else { return false };
    let goes_on = serde_json::from_slice::<IgnoredAny>(first).is_err_and(|fault| fault.is_eof());
    goes_on
        && (first.starts_with(b"[")
            || first.ends_with(b"[")
            || first.ends_with(b"{")
            || lines.next().is_some_and(|second| !second.starts_with(b"{")))
}

/// Opens a file as what it looks like, given what it is said to hold.
pub(crate) fn open(
    path: &Path,
    format: FileFormat,
    reading: &Reading,
    limits: &Limits,
) -> Result<Box<dyn Source>, SourceError> {
    let mut input = Input::open(path).map_err(|source| SourceError::Open { path: path.to_owned(), source })?;
    let looks = looks(input.head());
    if let Some(fault) = foreign(looks, path, format) {
        return Err(SourceError::Foreign { path: path.to_owned(), fault });
    }
    match (format, looks) {
        (FileFormat::GeoJson, Looks::GeoPackage) => super::geopackage::geofences(path, &input, reading, limits),
        (FileFormat::Csv, Looks::Other | Looks::Shapefile | Looks::GeoPackage) => {
            Ok(Box::new(Csv::from_input(path, input, reading, limits)?))
        }
        (FileFormat::Csv | FileFormat::Ndjson, Looks::JsonLines) | (FileFormat::Ndjson, Looks::Other) => {
            Ok(Box::new(Ndjson::from_input(path, input, reading, limits)))
        }
        (FileFormat::GeoJson, Looks::Other) => tables::open_csv(path, input, reading, limits),
        (_, Looks::Nmea) => Ok(Box::new(super::nmea::Nmea::new(path, input, reading, limits))),
        (_, Looks::Xml | Looks::Zip) => super::markup::open(path, input, format, reading, limits),
        (FileFormat::GeoJson, _) => {
            let document = input.read_document(path)?;
            let progress = input.progress();
            let made = document.as_ref().and_then(|text| {
                let traccar = tables::traccar(path, text, progress, reading, limits);
                traccar.or_else(|| overpass::read(path, text, progress, reading, limits))
            });
            Ok(Box::new(made.unwrap_or_else(|| GeoJson::read(path, document, progress, reading, limits))))
        }
        (FileFormat::Csv | FileFormat::Ndjson, _) => {
            if let Some(start) = array_start(input.head()) {
                return Ok(Box::new(Listed::new(path, input, start, reading, limits)?));
            }
            let Some(document) = input.read_document(path)? else {
                return Ok(Box::new(Refused::too_large(path, input.progress(), input.head(), ONE_PER_LINE)));
            };
            match Document::read(path, &document, input.progress(), reading, limits) {
                Some(read) => Ok(Box::new(read)),
                // It is no document: each line is refused for what it is.
                None => Ok(Box::new(Ndjson::from_input(path, input.with_content(document), reading, limits))),
            }
        }
    }
}

/// What helps with formats that are not read.
fn foreign(looks: Looks, path: &Path, format: FileFormat) -> Option<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let to = match format {
        FileFormat::GeoJson => "geofences.geojson",
        FileFormat::Csv | FileFormat::Ndjson => "positions.geojson",
    };
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    if matches!(extension.as_str(), "dbf" | "shx" | "prj" | "cpg") {
        let shape = path.with_extension("shp");
        let shape = shape.file_name().unwrap_or_default().to_string_lossy();
        return Some(format!("it is part of a Shapefile: ogr2ogr -t_srs EPSG:4326 {to} {shape} makes GeoJSON of it"));
    }
    let what = match looks {
        Looks::GeoPackage if format != FileFormat::GeoJson => "a GeoPackage or another SQLite file",
        Looks::Shapefile => "a Shapefile",
        _ => return None,
    };
    Some(format!("it is {what}: ogr2ogr -t_srs EPSG:4326 {to} {name} makes GeoJSON of it"))
}
