//! The geofences and vehicles of a pipeline, as its tables hold them.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Context;
use serde_json::{Map, Value, json};
use watchtower_core::tables::{Cell, Row, Table, geofences, vehicle_state, vehicles};
use watchtower_model::geometry::Shape;
use watchtower_model::{BEGINNING, Millis};
use watchtower_store::query::{Query, Reader};
use watchtower_store::{Options, Store};

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
    /// The area or the circle.
    pub(super) shape: Arc<Shape>,
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
    runtime()?.block_on(async { geofences_of(&mut reader(&places.store).await?).await })
}

/// The same in an open store.
///
/// # Errors
/// If the tables are missing or cannot be read.
pub(super) async fn geofences_of(reader: &mut Reader) -> anyhow::Result<Vec<GeofenceVersion>> {
    let [versions] = reader.read([&Query::all(&geofences::TABLE)]).await?;
    versions.rows.iter().map(GeofenceVersion::of_row).collect()
}

/// All versions of vehicles, by id and then by the beginning of each; and where each vehicle was last seen, by id.
///
/// # Errors
/// As [`geofences`].
pub(super) fn vehicles(place: &PlaceArgs) -> anyhow::Result<(Vec<VehicleVersion>, Vec<LastSeen>)> {
    let (_, places) = place.load()?;
    let queries = [&Query::all(&vehicles::TABLE), &Query::all(&vehicle_state::TABLE)];
    let [versions, seen] =
        runtime()?.block_on(async { anyhow::Ok(reader(&places.store).await?.read(queries).await?) })?;
    Ok((versions.rows.iter().map(VehicleVersion::of_row).collect(), seen.rows.iter().map(LastSeen::of_row).collect()))
}

async fn reader(store: &Options) -> anyhow::Result<Reader> {
    Ok(Store::new(store)?.reader().await?)
}

/// The cells of a row, by the names of their columns.
struct Cells<'r>(&'r Table, &'r Row);

impl<'r> Cells<'r> {
    fn cell(&self, column: &str) -> &'r Cell {
        &self.1[self.0.column(column).expect("a column of the table's descriptor")]
    }

    fn text(&self, column: &str) -> Option<String> {
        self.cell(column).as_text().map(str::to_owned)
    }

    /// The text of a column that has no empty cell.
    fn id(&self, column: &str) -> String {
        self.text(column).unwrap_or_default()
    }

    fn number(&self, column: &str) -> Option<f64> {
        self.cell(column).as_real()
    }

    /// An instant, or [`BEGINNING`].
    fn since(&self, column: &str) -> Millis {
        self.cell(column).as_time().unwrap_or(BEGINNING)
    }

    fn is(&self, column: &str) -> bool {
        self.cell(column).as_boolean().unwrap_or(false)
    }
}

/// An instant as RFC 3339; `None` stands for no known beginning.
pub(super) fn instant(t: Millis) -> Option<String> {
    let text = || jiff::Timestamp::from_millisecond(t).map_or_else(|_| t.to_string(), |instant| instant.to_string());
    (t != BEGINNING).then(text)
}

impl GeofenceVersion {
    fn of_row(row: &Row) -> anyhow::Result<Self> {
        let cells = Cells(&geofences::TABLE, row);
        let (id, tags) = (cells.id("geofence_id"), cells.cell("tags").as_texts().unwrap_or_default());
        let shape = cells.cell("geometry").as_shape().with_context(|| format!("geofence {id} has no geometry"))?;
        Ok(Self {
            effective_from: cells.since("effective_from"),
            effective_until: cells.cell("effective_until").as_time(),
            valid_from: cells.since("valid_from"),
            name: cells.text("name"),
            kind: cells.text("kind"),
            anchor: cells.is("anchor"),
            tags: tags.iter().map(|tag| tag.to_string()).collect(),
            min_dwell_s: cells.number("min_dwell_s").unwrap_or(0.0),
            exit_buffer_m: cells.number("exit_buffer_m").unwrap_or(0.0),
            speed_limit_kmh: cells.number("speed_limit_kmh"),
            shape: Arc::clone(shape),
            cut_off: cells.is("cut_off"),
            geofence_id: id,
        })
    }

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
            ("radius_m", self.shape.radius_m().map(|radius| json!(radius))),
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
            row.insert("geometry".to_owned(), serde_json::from_str(&self.shape.geojson()).unwrap_or_default());
        }
        Value::Object(row)
    }

    /// Its radius or its number of positions, for people.
    pub(super) fn size(&self) -> String {
        match self.shape.radius_m() {
            Some(radius_m) => format!("circle, {radius_m} m"),
            None => format!("{} vertices", self.shape.vertex_count()),
        }
    }
}

impl VehicleVersion {
    fn of_row(row: &Row) -> Self {
        let cells = Cells(&vehicles::TABLE, row);
        Self {
            vehicle_id: cells.id("vehicle_id"),
            effective_from: cells.since("effective_from"),
            effective_until: cells.cell("effective_until").as_time(),
            name: cells.text("name"),
            fleet: cells.text("fleet"),
            speed_limit_kmh: cells.number("speed_limit_kmh"),
            offline_after_s: cells.number("offline_after_s"),
            attributes: cells.text("attributes"),
        }
    }
}

impl LastSeen {
    fn of_row(row: &Row) -> Self {
        let cells = Cells(&vehicle_state::TABLE, row);
        Self { vehicle_id: cells.id("vehicle_id"), ts: cells.since("ts"), status: cells.id("status") }
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
