//! The tables of the log.

use rusqlite::{OptionalExtension, TransactionBehavior};

use super::error::LogError;
use crate::ClockSource;
use watchtower_geopackage::layer::Layer;
use watchtower_geopackage::{Connection, GeoPackage};

const TABLES: &str = "
CREATE TABLE log (
    position INTEGER PRIMARY KEY,
    stream   INTEGER NOT NULL,
    ms       INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    fields   BLOB NOT NULL
);
CREATE TABLE streams (
    stream   INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    entries  INTEGER NOT NULL,
    last_ms  INTEGER NOT NULL,
    last_seq INTEGER NOT NULL
);
CREATE TABLE log_settings (
    fid   INTEGER PRIMARY KEY CHECK (fid = 1),
    clock TEXT CHECK (clock IN ('wall', 'log'))
);
INSERT INTO log_settings VALUES (1, NULL);
";

/// Descriptions of the tables in the file, for GIS and BI users.
pub const LAYERS: [Layer<'_>; 3] = [
    Layer {
        table: "log",
        description: "The event log: everything that ever arrived, as it came. All tables are computed from it.",
        geometry: None,
        columns: &[
            ("position", "Number of the entry, in the order in which they were appended, from 1 without gaps."),
            ("stream", "Number of its stream: see streams."),
            ("ms", "Time of arrival, milliseconds since 1970; the first half of the entry's id."),
            ("seq", "Distinguishes entries of the same millisecond; the second half of its id."),
            ("fields", "Its fields: of each its name and its value, each behind its length (LEB128)."),
        ],
    },
    Layer {
        table: "streams",
        description: "The streams of the log. A vehicle's positions are in the one that its id names; geofences and \
                      vehicles are in the control stream; clocks are in all of them.",
        geometry: None,
        columns: &[
            ("stream", "Its number; the control stream is the last one."),
            ("name", "Name of the stream."),
            ("entries", "Entries that were ever appended."),
            ("last_ms", "First half of the id of the last one."),
            ("last_seq", "Second half of it."),
        ],
    },
    Layer {
        table: "log_settings",
        description: "Settings of the log that producers need.",
        geometry: None,
        columns: &[(
            "clock",
            "Source of clock events: log, the producers; wall, the daemon, every second. Empty until a daemon has run.",
        )],
    },
];

/// Number of event streams, and source of clock events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Number of event streams.
    pub streams: u16,
    /// Source of clock events; `None` until a daemon or producer has stored it.
    pub clock: Option<ClockSource>,
}

/// Names of the streams, the control stream last.
pub fn stream_names(streams: u16) -> Vec<String> {
    let events = (0..streams).map(|stream| format!("events:{stream}"));
    events.chain(["control".to_owned()]).collect()
}

/// Creates the log if missing, with this number of event streams, or one by default.
///
/// # Errors
/// If there is one of another number of streams, or the file cannot be written.
pub fn create(file: &GeoPackage, connection: &mut Connection, streams: Option<u16>) -> Result<Layout, LogError> {
    let doing = || file.failed("make the log");
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(doing())?;
    if !exists(file, &transaction)? {
        transaction.execute_batch(TABLES).map_err(doing())?;
        for layer in LAYERS {
            layer.register(&transaction).map_err(doing())?;
        }
        for (stream, name) in stream_names(streams.unwrap_or(1)).into_iter().enumerate() {
            let insert = "INSERT INTO streams VALUES (?1, ?2, 0, 0, 0)";
            transaction.execute(insert, (stream as i64, name)).map_err(doing())?;
        }
    }
    transaction.commit().map_err(doing())?;
    let layout = layout(file, connection)?;
    match streams {
        Some(wanted) if wanted != layout.streams => {
            Err(LogError::Streams { path: file.path().to_owned(), has: layout.streams, wanted })
        }
        Some(_) | None => Ok(layout),
    }
}

/// How the log is laid out.
///
/// # Errors
/// If there is none, or the file cannot be read.
pub fn layout(file: &GeoPackage, connection: &Connection) -> Result<Layout, LogError> {
    if !exists(file, connection)? {
        return Err(LogError::NoLog { path: file.path().to_owned() });
    }
    let sql = "SELECT (SELECT count(*) FROM streams), (SELECT clock FROM log_settings)";
    let row = connection.query_row(sql, (), |row| Ok((row.get::<_, u16>(0)?, row.get::<_, Option<String>>(1)?)));
    let (streams, clock) = row.map_err(file.failed("look at the streams of the log"))?;
    let clock = clock.map(|clock| if clock == "wall" { ClockSource::Wall } else { ClockSource::Log });
    Ok(Layout { streams: streams.saturating_sub(1), clock })
}

/// Stores the source of clock events, for all producers.
///
/// # Errors
/// If the file cannot be written.
pub fn set_clock(file: &GeoPackage, connection: &Connection, clock: ClockSource) -> Result<(), LogError> {
    let clock = match clock {
        ClockSource::Wall => "wall",
        ClockSource::Log => "log",
    };
    let sql = "UPDATE log_settings SET clock = ?1 WHERE clock IS NOT ?1";
    connection.execute(sql, [clock]).map_err(file.failed("say whose clock it is"))?;
    Ok(())
}

fn exists(file: &GeoPackage, connection: &Connection) -> Result<bool, LogError> {
    let sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'log'";
    let found = connection.query_row(sql, (), |_| Ok(())).optional();
    Ok(found.map_err(file.failed("look for the log"))?.is_some())
}
