//! GeoPackage's catalogue of tables: `gpkg_contents` and the tables beside it.
//!
//! Source: OGC 12-128r19, GeoPackage Encoding Standard 1.4, annexes C (table definitions) and F.3 (spatial
//! index), and clause 2.3.3 (schema extension: comments of columns).

use rusqlite::{Connection, params};

/// A table registered in the catalogue, so that readers list it.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// Name of the table.
    pub table: &'a str,
    /// One sentence on the meaning of a row, shown to users.
    pub description: &'a str,
    /// Its geometry column, if it has one.
    pub geometry: Option<Geometry<'a>>,
    /// Names of columns with their comments.
    pub columns: &'a [(&'a str, &'a str)],
}

/// The geometry column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Geometry<'a> {
    /// Name of the column.
    pub column: &'a str,
    /// `POINT`, or `GEOMETRY` for any kind.
    pub kind: &'a str,
    /// Whether the column has a spatial index. Every change of a row then updates the index as well.
    pub indexed: bool,
}

/// Spatial reference of all geometries: WGS 84, longitude first.
pub const WGS84: i32 = 4326;

/// The table that marks the file as made by Watch Tower.
pub(super) const FORMAT: Layer<'_> = Layer {
    table: "watchtower",
    description: "Marks the file as made by Watch Tower. A program refuses a file of a later format.",
    geometry: None,
    columns: &[("format", "Number of the file's format; raised when older programs cannot read it.")],
};

/// Creates the tables that every GeoPackage has, and those of the extensions that this one uses.
pub(super) fn create_catalogue(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(include_str!("catalogue.sql"))
}

impl Layer<'_> {
    /// Registers an existing table in the catalogue.
    ///
    /// # Errors
    /// If the catalogue cannot be written.
    pub fn register(&self, connection: &Connection) -> rusqlite::Result<()> {
        let Self { table, description, geometry, columns } = self;
        let (data_type, srs) = match geometry {
            Some(_) => ("features", Some(WGS84)),
            None => ("attributes", None),
        };
        connection.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, srs_id)
             VALUES (?1, ?2, ?1, ?3, ?4)",
            params![table, data_type, description, srs],
        )?;
        if let Some(Geometry { column, kind, indexed }) = geometry {
            let insert = "INSERT INTO gpkg_geometry_columns VALUES (?1, ?2, ?3, ?4, 0, 0)";
            connection.execute(insert, params![table, column, kind, WGS84])?;
            if *indexed {
                self.index(connection, column)?;
            }
        }
        let mut insert = connection.prepare_cached(
            "INSERT INTO gpkg_data_columns (table_name, column_name, description) VALUES (?1, ?2, ?3)",
        )?;
        for (column, comment) in *columns {
            insert.execute(params![table, column, comment])?;
        }
        Ok(())
    }

    /// Removes a table and its catalogue entries.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn drop(connection: &Connection, table: &str) -> rusqlite::Result<()> {
        let geometry = "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?1";
        let columns: Vec<String> =
            connection.prepare(geometry)?.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for column in columns {
            connection.execute_batch(&format!("DROP TABLE IF EXISTS \"rtree_{table}_{column}\""))?;
        }
        for catalogue in ["gpkg_data_columns", "gpkg_geometry_columns", "gpkg_extensions", "gpkg_contents"] {
            connection.execute(&format!("DELETE FROM {catalogue} WHERE table_name = ?1"), [table])?;
        }
        connection.execute_batch(&format!("DROP TABLE IF EXISTS \"{table}\""))
    }

    /// Creates the spatial index and the triggers that maintain it. Every connection that writes must have the functions
    /// of [`super::geometry::register_functions`].
    fn index(&self, connection: &Connection, column: &str) -> rusqlite::Result<()> {
        let sql = include_str!("rtree.sql").replace("{table}", self.table).replace("{column}", column);
        connection.execute_batch(&sql)?;
        let extension = "INSERT INTO gpkg_extensions VALUES (?1, ?2, 'gpkg_rtree_index', \
                         'http://www.geopackage.org/spec140/#extension_rtree', 'write-only')";
        connection.execute(extension, [self.table, column])?;
        Ok(())
    }
}
