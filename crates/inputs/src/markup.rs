//! Documents in XML, and zip archives of them: GPX, KML and KMZ.

use std::io::Cursor;
use std::path::Path;

use watchtower_core::events::Limits;

use super::document::Refused;
use super::encoding::windows_1252;
use super::input::{Input, MAX_DOCUMENT_BYTES, SPLIT};
use super::reading::Reading;
use super::xml::{Stream, Text, root_of};
use super::{FileFormat, Source, SourceError, archive, gpx, kml};

/// Opens an XML document, or the one in a zip archive. Positions are read as they come, geofences held.
pub(crate) fn open(
    path: &Path,
    mut input: Input,
    format: FileFormat,
    reading: &Reading,
    limits: &Limits,
) -> Result<Box<dyn Source>, SourceError> {
    let gauge = input.gauge();
    if format != FileFormat::GeoJson
        && !input.head().starts_with(b"PK")
        && let Some(root) = root_of(&String::from_utf8_lossy(input.head()))
    {
        let content = Box::new(input);
        return positions(&root, Stream { path, content, gauge, reading, limits });
    }
    let Some(document) = input.read_document(path)? else {
        let cure = if format == FileFormat::GeoJson { SPLIT } else { "unzip it: KML is read placemark by placemark" };
        return Ok(Box::new(Refused::too_large(path, input.progress(), input.head(), cure)));
    };
    let document = if document.starts_with(b"PK") {
        unzipped(&document).map_err(|fault| SourceError::Foreign { path: path.to_owned(), fault })?
    } else {
        document
    };
    let text = String::from_utf8(document).unwrap_or_else(|fault| windows_1252(fault.as_bytes()));
    let root = root_of(&text).unwrap_or_default();
    if format != FileFormat::GeoJson {
        let content = Box::new(Cursor::new(text.into_bytes()));
        return positions(&root, Stream { path, content, gauge, reading, limits });
    }
    let document = Text { path, text: &text, progress: input.progress(), reading, limits };
    match root.as_str() {
        "gpx" => Ok(gpx::geofences(&document)),
        "kml" => Ok(kml::geofences(&document)),
        root => Err(neither(path, root)),
    }
}

/// The positions of a document whose first element is `root`.
fn positions(root: &str, document: Stream<'_>) -> Result<Box<dyn Source>, SourceError> {
    match root {
        "gpx" => Ok(gpx::positions(document)),
        "kml" => Ok(kml::positions(document)),
        root => Err(neither(document.path, root)),
    }
}

fn neither(path: &Path, root: &str) -> SourceError {
    let root = if root.is_empty() { "no element".to_owned() } else { format!("<{root:.40}>") };
    let fault = format!("expected GPX or KML, found {root}: ogr2ogr reads many formats, and writes GeoJSON");
    SourceError::Foreign { path: path.to_owned(), fault }
}

/// The KML of an archive: `doc.kml`, or the first one.
fn unzipped(archive: &[u8]) -> Result<Vec<u8>, String> {
    let entries = archive::entries(archive)?;
    let ends = |end: &str| entries.iter().find(|entry| entry.name.to_ascii_lowercase().ends_with(end));
    if let Some(entry) = entries.iter().find(|entry| entry.name == "doc.kml").or_else(|| ends(".kml")) {
        return entry.read(MAX_DOCUMENT_BYTES);
    }
    Err(match ends(".shp") {
        Some(shape) => format!(
            "it is a Shapefile: unzip it, and ogr2ogr -t_srs EPSG:4326 geofences.geojson {} makes GeoJSON of it",
            shape.name
        ),
        None => "the zip archive has no .kml in it".to_owned(),
    })
}
