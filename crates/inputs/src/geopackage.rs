//! Geofences from a GeoPackage that another program made, as QGIS and `ogr2ogr` do, or from our own one file.

use std::ops::ControlFlow;
use std::path::Path;

use watchtower_core::events::{Limits, Reason};
use watchtower_geopackage::{FeatureLayer, GeoPackage, TableFeature};

use super::document::Refused;
use super::geojson::GeoJson;
use super::input::{Input, SPLIT};
use super::made::Made;
use super::reading::Reading;
use super::wkb::geojson_of_wkb;
use super::{Source, SourceError};

/// The layer that alone is read of a file that has it: our own has others, of positions.
const OURS: &str = "geofences";

/// Reads the features of all layers.
///
/// # Errors
/// If the file cannot be read, or has no layer of features.
pub(crate) fn geofences(
    path: &Path,
    input: &Input,
    reading: &Reading,
    limits: &Limits,
) -> Result<Box<dyn Source>, SourceError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let foreign = |fault: String| SourceError::Foreign {
        path: path.to_owned(),
        fault: format!("{fault}: ogr2ogr -t_srs EPSG:4326 geofences.geojson {name} makes GeoJSON of what it can read"),
    };
    let file = GeoPackage::at(path);
    let read = || {
        let connection = file.connect_to_foreign()?;
        let mut layers = file.feature_layers(&connection)?;
        if layers.iter().any(|layer| layer.table == OURS) {
            layers.retain(|layer| layer.table == OURS);
        }
        let mut made = Made::default();
        for layer in layers.iter().filter(|layer| layer.is_wgs84()) {
            file.features(&connection, layer, |feature| {
                push(&mut made, &feature);
                if made.is_too_large() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
        }
        made.add_ends();
        Ok((layers, made))
    };
    let (layers, mut made) = read().map_err(|error: watchtower_geopackage::FileError| {
        foreign(format!("{error} (a file that is compressed has to be unpacked first)"))
    })?;
    if made.is_too_large() {
        return Ok(Box::new(Refused::too_large(path, input.progress(), input.head(), SPLIT)));
    }
    if layers.is_empty() {
        return Err(foreign("it is an SQLite database without a layer of features".to_owned()));
    }
    for layer in layers.iter().filter(|layer| !layer.is_wgs84()) {
        let position = made.items.len() as u64 + 1;
        made.refuse(position, &layer.table, Reason::Geometry, elsewhere(path, layer));
    }
    let names: Vec<&str> = layers.iter().map(|layer| layer.table.as_str()).collect();
    let mut source = GeoJson::of(path, made.document, made.items, input.progress(), reading, limits);
    source.notes_mut().format = format!("GeoPackage, {}", names.join(", "));
    Ok(Box::new(source))
}

fn push(made: &mut Made, feature: &TableFeature) {
    let position = made.items.len() as u64 + 1;
    let TableFeature { properties, wkb } = feature;
    if wkb.is_empty() {
        return made.push(position, properties, "null");
    }
    match geojson_of_wkb(wkb) {
        Ok(geometry) => made.push(position, properties, &geometry),
        Err(fault) => made.refuse(position, "", Reason::Geometry, format!("geometry: {fault}")),
    }
}

/// The refusal of a layer whose coordinates are others.
fn elsewhere(path: &Path, layer: &FeatureLayer) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let FeatureLayer { table, reference, .. } = layer;
    format!(
        "the layer {table} is in {reference}: only WGS84, longitude and latitude in degrees, is read: \
         ogr2ogr -t_srs EPSG:4326 wgs84.geojson {name} {table}"
    )
}
