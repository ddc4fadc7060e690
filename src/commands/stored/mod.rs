//! What the tables of a pipeline hold of its geofences and vehicles: read from PostgreSQL, or from the one file.

mod embedded;
mod postgres;

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use watchtower_geopackage::GeoPackage;
use watchtower_inputs::geojson_of_wkb;
use watchtower_model::{BEGINNING, Millis};

use watchtower_store::Options;
use watchtower_store::postgres::Database;

use super::arguments::PlaceArgs;
use super::runtime;

/// A row of the table `geofences`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GeofenceVersion {
    pub(super) geofence_id: String,
    /// [`BEGINNING`] if it has no known beginning.
    pub(super) effective_from: Millis,
    pub(super) effective_until: Option<Millis>,
    pub(super) valid_from: Millis,
    pub(super) name: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) anchor: bool,
    pub(super) tags: Vec<String>,
    pub(super) min_dwell_s: f64,
    pub(super) exit_buffer_m: f64,
    pub(super) speed_limit_kmh: Option<f64>,
    /// Of a circle.
    pub(super) radius_m: Option<f64>,
    /// As GeoJSON: the area, or the centre of a circle.
    pub(super) geometry: String,
    /// Whether it was wanted earlier than it is in force.
    pub(super) cut_off: bool,
}

/// A row of the table `vehicles`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VehicleVersion {
    pub(super) vehicle_id: String,
    /// [`BEGINNING`] if it has no known beginning.
    pub(super) effective_from: Millis,
    pub(super) effective_until: Option<Millis>,
    pub(super) name: Option<String>,
    pub(super) fleet: Option<String>,
    pub(super) speed_limit_kmh: Option<f64>,
    pub(super) offline_after_s: Option<f64>,
    /// A JSON object.
    pub(super) attributes: Option<String>,
}

/// A row of the table `vehicle_state`: its last position and its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LastSeen {
    pub(super) vehicle_id: String,
    pub(super) ts: Millis,
    pub(super) status: String,
}

/// All versions of geofences, by id and then by the beginning of each.
///
/// # Errors
/// If the configuration is wrong, or the tables are missing or cannot be read.
pub(super) fn geofences(place: &PlaceArgs) -> anyhow::Result<Vec<GeofenceVersion>> {
    let (_, places) = place.load()?;
    match &places.store {
        Options::File(file) => Ok(embedded::geofences(file)?),
        Options::Postgres { pipeline, postgres, .. } => {
            Ok(runtime()?.block_on(postgres::geofences(&Database::new(pipeline, postgres)?))?)
        }
    }
}

/// The same of the one file, whatever the configuration.
///
/// # Errors
/// If the file does not exist, or has no tables.
pub(super) fn geofences_of(file: &GeoPackage) -> anyhow::Result<Vec<GeofenceVersion>> {
    Ok(embedded::geofences(file)?)
}

/// All versions of vehicles, by id and then by the beginning of each; and where each vehicle was last seen, by id.
///
/// # Errors
/// As [`geofences`].
pub(super) fn vehicles(place: &PlaceArgs) -> anyhow::Result<(Vec<VehicleVersion>, Vec<LastSeen>)> {
    let (_, places) = place.load()?;
    match &places.store {
        Options::File(file) => Ok(embedded::vehicles(file)?),
        Options::Postgres { pipeline, postgres, .. } => {
            Ok(runtime()?.block_on(postgres::vehicles(&Database::new(pipeline, postgres)?))?)
        }
    }
}

/// An instant as RFC 3339; `None` stands for no known beginning.
pub(super) fn instant(t: Millis) -> Option<String> {
    let text = || jiff::Timestamp::from_millisecond(t).map_or_else(|_| t.to_string(), |instant| instant.to_string());
    (t != BEGINNING).then(text)
}

/// GeoJSON of a geometry that a table holds; the tables hold no others than the program wrote.
fn geometry(wkb: &[u8]) -> String {
    geojson_of_wkb(wkb).unwrap_or_else(|_| "null".to_owned())
}

impl GeofenceVersion {
    /// Its rules as the properties that `geofences import` reads; those that are as by default are left out.
    pub(super) fn properties(&self) -> Map<String, Value> {
        let by_kind = matches!(self.kind.as_deref(), Some("terminal" | "client" | "depot"));
        let above_zero = |number: f64| (number > 0.0).then(|| json!(number));
        let all = [
            ("name", self.name.as_ref().map(|name| json!(name))),
            ("kind", self.kind.as_ref().map(|kind| json!(kind))),
            ("anchor", (self.anchor != by_kind).then(|| json!(self.anchor))),
            ("tags", (!self.tags.is_empty()).then(|| json!(self.tags))),
            ("min_dwell_s", above_zero(self.min_dwell_s)),
            ("exit_buffer_m", above_zero(self.exit_buffer_m)),
            ("speed_limit_kmh", self.speed_limit_kmh.map(|limit| json!(limit))),
            ("radius_m", self.radius_m.map(|radius| json!(radius))),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    /// The row as a JSON object, with the names of its columns.
    pub(super) fn to_json(&self, geometry: bool) -> Value {
        let mut row = Map::from_iter([
            ("geofence_id".to_owned(), json!(self.geofence_id)),
            ("effective_from".to_owned(), json!(instant(self.effective_from))),
            ("effective_until".to_owned(), json!(self.effective_until.and_then(instant))),
            ("valid_from".to_owned(), json!(instant(self.valid_from))),
            ("cut_off".to_owned(), json!(self.cut_off)),
        ]);
        row.extend(self.properties());
        row.insert("anchor".to_owned(), json!(self.anchor));
        if geometry {
            row.insert("geometry".to_owned(), serde_json::from_str(&self.geometry).unwrap_or_default());
        }
        Value::Object(row)
    }

    /// What it looks like, in few words.
    pub(super) fn shape(&self) -> String {
        let Some(radius_m) = self.radius_m else {
            // Of GeoJSON, each position opens a bracket that a number follows.
            let text = self.geometry.as_bytes();
            let vertices = text.windows(2).filter(|pair| pair[0] == b'[' && pair[1] != b'[').count();
            return format!("{vertices} vertices");
        };
        format!("circle, {radius_m} m")
    }
}

/// A table for people: cells padded to the widest of their column.
pub(super) fn lay_out<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let widest = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(widest).collect();
    let mut text = String::new();
    for row in std::iter::once(&header.map(str::to_owned)).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing into a string does not fail.
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The known id that is nearest to one that is not known; of equally near ones the first.
pub(super) fn nearest<'k>(id: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let small = id.to_lowercase();
    known.into_iter().min_by_key(|known| strsim::damerau_levenshtein(&small, &known.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["yard".to_owned(), String::new()], ["a long one".to_owned(), "x".to_owned()]];
        assert_eq!(lay_out(["ID", "NAME"], &rows), "ID          NAME\nyard\na long one  x\n");
    }

    #[test]
    fn the_nearest_id_is_found_in_any_case() {
        assert_eq!(nearest("YRAD", ["depot", "yard", "yard 2"]), Some("yard"));
        assert_eq!(nearest("x", []), None);
    }
}
