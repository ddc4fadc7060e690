//! Geofences: the features of a GeoJSON document, or of one that another format was made into.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rustc_hash::FxBuildHasher;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::encoding::windows_1252;
use super::features::{Feature, Features};
use super::forms;
use super::input::{Input, SPLIT, too_large};
use super::members::place;
use super::notes::Notes;
use super::reading::{Reading, stem};
use super::{Progress, Source, SourceError};
use watchtower_core::events::{Event, Limits, Raw, Reason, Record, Rejection, check_size, utf8};

/// A GeoJSON file: a feature collection or one feature. A document that is neither is one refused
/// record. Of features with the same id and `valid_from` the first counts, even if it is refused.
pub struct GeoJson {
    path: PathBuf,
    limits: Limits,
    progress: Progress,
    document: Vec<u8>,
    /// The features, or why there are none.
    items: Result<Vec<Item>, Rejection>,
    next: usize,
    seen: HashSet<(String, Option<String>), FxBuildHasher>,
    features: Features,
}

/// A feature of a document.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Its text in the document.
    pub(crate) text: Range<usize>,
    /// Its number, from 1: of the feature, or of the line that it was made of.
    pub(crate) position: u64,
    /// Why it is no feature, if it is none.
    pub(crate) fault: Option<Rejection>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    features: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    crs: Option<&'a RawValue>,
}

impl GeoJson {
    /// Opens the file and reads all of it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, SourceError> {
        let at = || path.to_path_buf();
        let mut input = Input::open(path).map_err(|source| SourceError::Open { path: at(), source })?;
        let document = input.read_document(path)?;
        Ok(Self::read(path, document, input.progress(), &Reading::default(), limits))
    }

    /// The features of a document, which is missing if it was too large.
    pub(crate) fn read(
        path: &Path,
        document: Option<Vec<u8>>,
        progress: Progress,
        reading: &Reading,
        limits: &Limits,
    ) -> Self {
        let mut format = "GeoJSON".to_owned();
        let (document, items) = match document.map(of_a_geometry) {
            Some(document) => match items(&document, path) {
                Err(rejection) if rejection.reason == Reason::InvalidUtf8 => {
                    let text = windows_1252(&document).into_bytes();
                    match items(&text, path) {
                        Ok(items) => {
                            format.push_str(", Windows-1252 (latin-1)");
                            (text, Ok(items))
                        }
                        Err(_) => (document, Err(rejection)),
                    }
                }
                items => (document, items),
            },
            None => (Vec::new(), Err(too_large(SPLIT))),
        };
        let mut read = Self::of(path, document, Vec::new(), progress, reading, limits);
        read.items = items;
        read.features.notes.format = format;
        read
    }

    /// Features that another format was made into.
    pub(crate) fn of(
        path: &Path,
        document: Vec<u8>,
        items: Vec<Item>,
        progress: Progress,
        reading: &Reading,
        limits: &Limits,
    ) -> Self {
        Self {
            path: path.to_path_buf(),
            limits: limits.clone(),
            progress,
            document,
            items: Ok(items),
            next: 0,
            seen: HashSet::default(),
            features: Features::new(reading, stem(path)),
        }
    }

    /// Where what was understood of another format is noted.
    pub(crate) fn notes_mut(&mut self) -> &mut Notes {
        &mut self.features.notes
    }
}

impl Source for GeoJson {
    fn next_record(&mut self) -> Result<Option<Record<'_>>, SourceError> {
        let index = self.next;
        self.next += 1;
        let Self { items, document, features, seen, limits, .. } = self;
        let (items, document) = (&*items, &*document);
        let (position, bytes, result) = match items {
            Err(_) if index > 0 => return Ok(None),
            Err(rejection) => (1, document.as_slice(), Err(rejection.clone())),
            Ok(items) => {
                let Some(item) = items.get(index) else { return Ok(None) };
                let bytes = &document[item.text.clone()];
                let result = match &item.fault {
                    Some(rejection) => Err(rejection.clone()),
                    None => read(bytes, item.position, document, items, features, seen, limits),
                };
                (item.position, bytes, result)
            }
        };
        Ok(Some(Record { position, raw: Raw::complete(bytes), result }))
    }

    fn progress(&self) -> Progress {
        self.progress
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn notes(&self) -> Notes {
        self.features.notes.clone()
    }
}

/// The kinds of geometry that GeoJSON has.
const GEOMETRIES: [&str; 7] =
    ["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection"];

/// The document, as a feature if it is a geometry alone.
fn of_a_geometry(document: Vec<u8>) -> Vec<u8> {
    let beginning = &document[..document.len().min(200)];
    if beginning.windows(8).any(|word| word == b"\"Feature") {
        return document;
    }
    let is_geometry = |text: &str| forms::kind_of(text).is_some_and(|kind| GEOMETRIES.contains(&kind.as_str()));
    match std::str::from_utf8(&document) {
        Ok(text) if is_geometry(text) => {
            format!(r#"{{"type":"Feature","properties":{{}},"geometry":{text}}}"#).into_bytes()
        }
        _ => document,
    }
}

/// The features of the document.
fn items(document: &[u8], path: &Path) -> Result<Vec<Item>, Rejection> {
    let text = utf8(document)?;
    let malformed = |fault: String| Err(Rejection::new(Reason::Malformed, format!("expected GeoJSON: {fault}")));
    let Document { kind, features, crs } = match serde_json::from_str(text) {
        Ok(document) => document,
        Err(fault) => {
            let listed = features_of_array(text).or_else(|| features_of_lines(text));
            return listed.map_or_else(|| malformed(fault.to_string()), Ok);
        }
    };
    if let Some(crs) = crs.map(RawValue::get).filter(|crs| !is_wgs84(crs)) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let detail = format!(
            "crs {crs:.100}: only WGS84, longitude and latitude in degrees, is read: \
             ogr2ogr -t_srs EPSG:4326 wgs84.geojson {name}"
        );
        return Err(Rejection::new(Reason::Geometry, detail));
    }
    match (kind.as_str(), features) {
        ("Feature", _) => Ok(numbered(std::iter::once(0..text.len()))),
        ("FeatureCollection", Some(features)) => Ok(numbered(features.into_iter().map(|raw| place(text, raw.get())))),
        ("FeatureCollection", None) => malformed("a FeatureCollection without features".to_owned()),
        (other, _) => malformed(format!("type: expected FeatureCollection or Feature, found {other:.64}")),
    }
}

fn numbered(places: impl Iterator<Item = Range<usize>>) -> Vec<Item> {
    places.zip(1..).map(|(text, position)| Item { text, position, fault: None }).collect()
}

/// An array of features; nothing unless the first is one.
fn features_of_array(text: &str) -> Option<Vec<Item>> {
    let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    Feature::parse(items.first()?.get()).ok()?;
    Some(numbered(items.into_iter().map(|item| place(text, item.get()))))
}

/// A feature a line, as ogr2ogr and PostGIS write them; nothing unless the first line is one.
fn features_of_lines(text: &str) -> Option<Vec<Item>> {
    let lines = || text.lines().map(|line| line.trim_start_matches('\u{1e}').trim()).filter(|line| !line.is_empty());
    let first = lines().next()?;
    Feature::parse(first).ok()?;
    Some(numbered(lines().map(|line| place(text, line))))
}

/// Whether a crs, as GeoJSON had it before RFC 7946, is longitude and latitude of WGS84.
fn is_wgs84(crs: &str) -> bool {
    crs == "null" || crs.contains("CRS84") || crs.contains(":4326\"") || crs.contains("WGS84")
}

fn read(
    bytes: &[u8],
    position: u64,
    document: &[u8],
    items: &[Item],
    features: &mut Features,
    seen: &mut HashSet<(String, Option<String>), FxBuildHasher>,
    limits: &Limits,
) -> Result<Event<'static>, Rejection> {
    check_size(bytes, limits)?;
    let feature = Feature::parse(utf8(bytes)?)?;
    let others = items.iter().filter_map(|item| std::str::from_utf8(&document[item.text.clone()]).ok());
    let id = features.id(&feature, position, others)?;
    let valid_from = features.valid_from(&feature)?;
    let key = (id.clone(), valid_from.clone());
    if seen.contains(&key) {
        let detail = format!("an earlier feature has the id {id:?} and the same valid_from; --id-from PROPERTY?");
        return Err(Rejection::new(Reason::DuplicateId, detail));
    }
    seen.insert(key);
    features.event(&feature, id, valid_from.as_deref(), limits, position)
}
