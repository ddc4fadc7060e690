//! The features of a GeoPackage, whoever made it.

use std::ops::ControlFlow;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};
use serde_json::{Map, Value};

use super::error::FileError;
use super::file::GeoPackage;
use super::geometry;

/// A layer of features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureLayer {
    /// Its table.
    pub table: String,
    /// The column of its geometries.
    pub column: String,
    /// The spatial reference of its geometries, as in `EPSG:4326`.
    pub reference: String,
}

impl FeatureLayer {
    /// Whether its coordinates are longitude and latitude on WGS84.
    pub fn is_wgs84(&self) -> bool {
        matches!(self.reference.to_ascii_uppercase().as_str(), "EPSG:4326" | "OGC:CRS84" | "NONE:0")
    }
}

/// A feature: its columns but the geometry, without empty ones and blobs, and the well-known binary of its geometry.
#[derive(Clone, Debug, PartialEq)]
pub struct TableFeature {
    /// Values by the names of their columns.
    pub properties: Map<String, Value>,
    /// Empty if the feature has no geometry.
    pub wkb: Vec<u8>,
}

impl GeoPackage {
    /// A read-only connection to a file that another program may have made.
    ///
    /// # Errors
    /// If the file is not there or no SQLite database.
    pub fn connect_to_foreign(&self) -> Result<Connection, FileError> {
        let failed = |source| FileError::Open { path: self.path().to_owned(), source };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.path(), flags).map_err(failed)?;
        connection.execute_batch("PRAGMA trusted_schema = OFF").map_err(failed)?;
        Ok(connection)
    }

    /// The layers of features, in the order of their registration; none if the database is no GeoPackage.
    ///
    /// # Errors
    /// If the catalogue cannot be read.
    pub fn feature_layers(&self, connection: &Connection) -> Result<Vec<FeatureLayer>, FileError> {
        let doing = || self.failed("read the layers");
        let exists = "SELECT 1 FROM sqlite_master WHERE name = 'gpkg_geometry_columns'";
        if connection.query_row(exists, (), |_| Ok(())).optional().map_err(doing())?.is_none() {
            return Ok(Vec::new());
        }
        let sql = "SELECT g.table_name, g.column_name, s.organization, s.organization_coordsys_id \
                   FROM gpkg_geometry_columns AS g LEFT JOIN gpkg_spatial_ref_sys AS s ON s.srs_id = g.srs_id \
                   ORDER BY g.rowid";
        let mut statement = connection.prepare(sql).map_err(doing())?;
        let layer = |row: &Row<'_>| {
            let organization: Option<String> = row.get(2)?;
            let number: Option<i64> = row.get(3)?;
            let reference = format!("{}:{}", organization.as_deref().unwrap_or("unknown"), number.unwrap_or(-1));
            Ok(FeatureLayer { table: row.get(0)?, column: row.get(1)?, reference })
        };
        let layers = statement.query_map((), layer).map_err(doing())?;
        layers.collect::<Result<_, _>>().map_err(doing())
    }

    /// Reads the features of a layer until `sink` breaks.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub fn features(
        &self,
        connection: &Connection,
        layer: &FeatureLayer,
        mut sink: impl FnMut(TableFeature) -> ControlFlow<()>,
    ) -> Result<(), FileError> {
        let doing = || self.failed(format!("read the layer {}", layer.table));
        let sql = format!("SELECT * FROM \"{}\"", layer.table.replace('"', "\"\""));
        let mut statement = connection.prepare(&sql).map_err(doing())?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query(()).map_err(doing())?;
        while let Some(row) = rows.next().map_err(doing())? {
            if sink(feature(row, &names, &layer.column).map_err(doing())?).is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn feature(row: &Row<'_>, names: &[String], column: &str) -> rusqlite::Result<TableFeature> {
    let mut feature = TableFeature { properties: Map::new(), wkb: Vec::new() };
    for (index, name) in names.iter().enumerate() {
        let value = match row.get_ref(index)? {
            ValueRef::Blob(blob) if name.eq_ignore_ascii_case(column) => {
                feature.wkb = geometry::wkb(blob).unwrap_or(blob).to_vec();
                continue;
            }
            ValueRef::Null | ValueRef::Blob(_) => continue,
            ValueRef::Integer(number) => Value::from(number),
            ValueRef::Real(number) => Value::from(number),
            ValueRef::Text(text) => Value::from(String::from_utf8_lossy(text)),
        };
        feature.properties.insert(name.clone(), value);
    }
    Ok(feature)
}
