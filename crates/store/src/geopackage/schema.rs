//! Creates the tables from their descriptors.

use std::hash::Hasher;

use rusqlite::{OptionalExtension, TransactionBehavior};
use rustc_hash::FxHasher;

use super::encode::column_type;
use super::error::EmbeddedError;
use watchtower_core::tables::{Column, Kind, TABLES, Table};
use watchtower_geopackage::layer::{Geometry, Layer};
use watchtower_geopackage::{Connection, GeoPackage};

/// Indexes for the queries that do not go by primary key; the same as in PostgreSQL.
const INDEXES: &str = "
CREATE INDEX geofence_membership_geofence ON geofence_membership (geofence_id);
CREATE INDEX visits_geofence ON visits (geofence_id, entered_at);
CREATE INDEX offlines_open ON offlines (started_at) WHERE ended_at IS NULL;
CREATE INDEX overspeeds_started_at ON overspeeds (started_at);
CREATE INDEX trips_arrived_at ON trips (arrived_at);
CREATE INDEX turnarounds_returned_at ON turnarounds (returned_at);
CREATE INDEX vehicle_daily_day ON vehicle_daily (day);
CREATE INDEX od_daily_day ON od_daily (day);
CREATE INDEX rejected_events_arrived_at ON rejected_events (arrived_at);
";

/// Tables of the claim and of the progress of commits and flushes.
const PROGRESS: &str = "
CREATE TABLE pipeline (
    fid        INTEGER PRIMARY KEY CHECK (fid = 1),
    lineage    TEXT NOT NULL,
    plan       TEXT NOT NULL,
    tables     TEXT NOT NULL,
    term       INTEGER NOT NULL,
    owner      TEXT NOT NULL,
    owner_host TEXT NOT NULL,
    owner_pid  INTEGER NOT NULL,
    claimed_at DATETIME,
    commit_seq INTEGER NOT NULL,
    now        DATETIME NOT NULL,
    halted     TEXT
);
CREATE TABLE cursors (
    fid     INTEGER PRIMARY KEY,
    stream  TEXT NOT NULL UNIQUE,
    last_id TEXT NOT NULL,
    entries INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    now     DATETIME NOT NULL
);
CREATE TABLE commit_log (
    commit_seq   INTEGER PRIMARY KEY,
    term         INTEGER NOT NULL,
    committed_at DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    events       INTEGER NOT NULL,
    rows_changed INTEGER NOT NULL,
    note         TEXT
);
CREATE TABLE table_progress (
    fid        INTEGER PRIMARY KEY,
    table_name TEXT NOT NULL UNIQUE,
    term       INTEGER NOT NULL,
    commit_seq INTEGER NOT NULL
);
";

/// Names of the tables that [`PROGRESS`] creates.
pub(super) const PROGRESS_TABLES: [&str; 4] = ["pipeline", "cursors", "commit_log", "table_progress"];

const PROGRESS_LAYERS: [Layer<'_>; 4] = [
    Layer {
        table: "pipeline",
        description: "Who writes these tables, and how far they are: all but the lagging ones equal a batch \
                      recomputation over the log up to cursors.",
        geometry: None,
        columns: &[
            ("lineage", "Random name of this row; checkpoints of another lineage are not used."),
            (
                "plan",
                "What the tables depend on besides the events, as JSON: limits, rules, version of the computation.",
            ),
            ("tables", "Fingerprint of the definitions of all tables."),
            ("term", "Raised by one whenever a daemon claims the pipeline; writers of an earlier term change nothing."),
            ("owner", "Random name of the daemon that writes."),
            ("owner_host", "Name of the machine that daemon runs on."),
            ("owner_pid", "Process id of that daemon."),
            ("claimed_at", "Instant at which that daemon claimed the pipeline."),
            ("commit_seq", "Number of the last commit, without gaps."),
            ("now", "Log time of that commit: the least of the newest clock events read from each stream."),
            ("halted", "Reason why the tables are no longer updated; empty while they are."),
        ],
    },
    Layer {
        table: "cursors",
        description: "Position in each stream at commit pipeline.commit_seq.",
        geometry: None,
        columns: &[
            ("stream", "Name of the stream."),
            ("last_id", "Id of the last entry the tables contain."),
            ("entries", "Number of entries up to last_id."),
            ("skipped", "Number of those entries that were trimmed from the stream before the daemon read them."),
            ("now", "Newest clock event in the stream up to last_id."),
        ],
    },
    Layer {
        table: "commit_log",
        description: "One row per commit; the oldest are deleted.",
        geometry: None,
        columns: &[
            ("commit_seq", "Number of the commit, without gaps."),
            ("term", "Value of pipeline.term of the daemon that wrote it."),
            ("committed_at", "The machine's clock shortly before the commit."),
            ("events", "Events read since the previous commit, rejected ones included."),
            ("rows_changed", "Rows written or deleted in transactional tables."),
            ("note", "Decision of an operator that this commit records; empty for all others."),
        ],
    },
    Layer {
        table: "table_progress",
        description: "The commit that each lagging table equals; all others equal pipeline.commit_seq.",
        geometry: None,
        columns: &[
            ("table_name", "Name of the lagging table."),
            ("term", "Value of pipeline.term of the daemon that writes the table."),
            ("commit_seq", "Commit that the table equals; at most pipeline.commit_seq."),
        ],
    },
];

/// Name of the geometry column of tables that have a longitude and a latitude.
const POINT: &str = "geom";

/// Indices of the columns `lon` and `lat`, for tables that have them.
pub fn place_columns(table: &Table) -> Option<(usize, usize)> {
    let of = |name| table.columns.iter().position(|column| column.name == name);
    Some((of("lon")?, of("lat")?))
}

/// Names of the columns that a row of a table is written to, in order and in quotes.
pub fn column_names(table: &Table) -> Vec<String> {
    let point = place_columns(table).map(|_| POINT.to_owned());
    table.columns.iter().map(Column::quoted).chain(point).collect()
}

/// The `CREATE TABLE` statement of a table.
fn definition(table: &Table) -> String {
    let mut sql = format!("CREATE TABLE {} (fid INTEGER PRIMARY KEY", table.name);
    for (index, column) in table.columns.iter().enumerate() {
        let needed = if index < table.key { " NOT NULL" } else { "" };
        sql.push_str(&format!(", {} {}{needed}", column.quoted(), column_type(column.kind)));
    }
    if place_columns(table).is_some() {
        sql.push_str(&format!(", {POINT} POINT"));
    }
    let key: Vec<&str> = table.columns[..table.key].iter().map(|column| column.name).collect();
    format!("{sql}, UNIQUE ({}));\n", key.join(", "))
}

/// Hash of all definitions: tables with another fingerprint have other columns.
pub fn fingerprint() -> String {
    let mut hasher = FxHasher::default();
    TABLES.iter().for_each(|table| hasher.write(definition(table).as_bytes()));
    hasher.write(INDEXES.as_bytes());
    hasher.write(PROGRESS.as_bytes());
    format!("{:016x}", hasher.finish())
}

/// Creates the tables if the file has none.
///
/// # Errors
/// If the file cannot be written.
pub fn create(file: &GeoPackage, connection: &mut Connection) -> Result<(), EmbeddedError> {
    let doing = || file.failed("make the tables");
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(doing())?;
    if !exists(file, &transaction)? {
        create_all(&transaction).map_err(doing())?;
    }
    transaction.commit().map_err(doing())?;
    Ok(())
}

/// Whether the file has tables.
///
/// # Errors
/// If the file cannot be read.
pub fn exists(file: &GeoPackage, connection: &Connection) -> Result<bool, EmbeddedError> {
    let sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'pipeline'";
    let found = connection.query_row(sql, (), |_| Ok(())).optional();
    Ok(found.map_err(file.failed("check for the tables"))?.is_some())
}

/// Creates all tables.
pub(super) fn create_all(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(PROGRESS)?;
    for layer in PROGRESS_LAYERS {
        layer.register(connection)?;
    }
    for table in TABLES {
        connection.execute_batch(&definition(table))?;
        register(connection, table)?;
    }
    connection.execute_batch(INDEXES)
}

fn register(connection: &Connection, table: &Table) -> rusqlite::Result<()> {
    // An index pays off where few rows change. Positions are searched by vehicle and time instead.
    let shape = table.columns.iter().find(|column| column.kind == Kind::Geometry);
    let shape = shape.map(|column| Geometry { column: column.name, kind: "GEOMETRY", indexed: true });
    let place = place_columns(table).map(|_| Geometry { column: POINT, kind: "POINT", indexed: false });
    let columns: Vec<(&str, &str)> = table.columns.iter().map(|column| (column.name, column.comment)).collect();
    let layer = Layer { table: table.name, description: table.comment, geometry: shape.or(place), columns: &columns };
    layer.register(connection)
}
