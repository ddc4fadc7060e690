//! Checkpoint files in a table of the GeoPackage: a file is a sequence of rows, its parts.
//!
//! Each part is written in its own transaction, so that the committer waits for one part at most.

use std::io::{self, Cursor, Read, Write};

use rusqlite::params;

use crate::checkpoint::block::BlockError;
use crate::checkpoint::contents::FileName;
use watchtower_core::crash;
use watchtower_geopackage::layer::Layer;
use watchtower_geopackage::{Connection, FileError, GeoPackage};

/// Size of the parts that a checkpoint file is stored in, bytes.
const PART_BYTES: usize = 1 << 20;
/// Suffix of the kind of a file while it is written.
const UNFINISHED: &str = ".new";

const LAYER: Layer<'_> = Layer {
    table: "checkpoints",
    description: "What a daemon needs to go on without reading the log from its beginning. It is a cache: without it a \
                  start takes longer.",
    geometry: None,
    columns: &[
        ("name", "Commit whose state the file holds, and random number of the process that wrote it."),
        ("kind", "Kind of the file: checkpoint or chunks."),
        ("part", "Number of the part, from 0."),
        ("bytes", "Contents of the part: compressed, with checksums."),
    ],
};

/// The table on an open connection.
struct Table<'a> {
    file: &'a GeoPackage,
    connection: Connection,
}

impl<'a> Table<'a> {
    fn of(file: &'a GeoPackage) -> Result<Self, FileError> {
        Ok(Self { file, connection: file.connect()? })
    }

    fn execute(&self, doing: &str, sql: &str, values: impl rusqlite::Params) -> Result<usize, FileError> {
        self.connection.execute(sql, values).map_err(self.file.failed(doing))
    }

    fn parts(&self, name: FileName, kind: &str) -> Result<Vec<u8>, FileError> {
        let doing = || self.file.failed("read a checkpoint");
        let sql = "SELECT bytes FROM checkpoints WHERE name = ?1 AND kind = ?2 ORDER BY part";
        let mut statement = self.connection.prepare(sql).map_err(doing())?;
        let mut rows = statement.query(params![name.to_string(), kind]).map_err(doing())?;
        let mut bytes = Vec::new();
        while let Some(row) = rows.next().map_err(doing())? {
            bytes.extend_from_slice(row.get_ref(0).map_err(doing())?.as_blob().unwrap_or_default());
        }
        Ok(bytes)
    }
}

fn failed(error: FileError) -> io::Error {
    io::Error::other(error)
}

pub(super) fn prepare(file: &GeoPackage) -> io::Result<()> {
    let table = Table::of(file).map_err(failed)?;
    let make = || {
        let sql = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'checkpoints'";
        if table.connection.query_row(sql, (), |row| row.get::<_, i64>(0))? > 0 {
            let unfinished = format!("DELETE FROM checkpoints WHERE kind LIKE '%{UNFINISHED}'");
            return table.connection.execute_batch(&unfinished);
        }
        table.connection.execute_batch(
            "CREATE TABLE checkpoints (fid INTEGER PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, \
             part INTEGER NOT NULL, bytes BLOB NOT NULL, UNIQUE (name, kind, part))",
        )?;
        LAYER.register(&table.connection)
    };
    table
        .connection
        .execute_batch("BEGIN IMMEDIATE")
        .map_err(file.failed("create the table of checkpoints"))
        .map_err(failed)?;
    make()
        .and_then(|()| table.connection.execute_batch("COMMIT"))
        .map_err(file.failed("create the table of checkpoints"))
        .map_err(failed)
}

pub(super) fn names(file: &GeoPackage, kind: &str) -> io::Result<Vec<FileName>> {
    let table = Table::of(file).map_err(failed)?;
    let read = || {
        let mut statement = table.connection.prepare("SELECT DISTINCT name FROM checkpoints WHERE kind = ?1")?;
        let names = statement.query_map([kind], |row| row.get::<_, String>(0))?;
        names.collect::<Result<Vec<String>, _>>()
    };
    let names = read().map_err(file.failed("list the checkpoints")).map_err(failed)?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

pub(super) fn open(file: &GeoPackage, name: FileName, kind: &str) -> io::Result<Box<dyn Read>> {
    let table = Table::of(file).map_err(failed)?;
    Ok(Box::new(Cursor::new(table.parts(name, kind).map_err(failed)?)))
}

pub(super) fn write(
    file: &GeoPackage,
    name: FileName,
    kind: &str,
    contents: impl FnOnce(&mut dyn Write) -> Result<(), BlockError>,
) -> Result<u64, BlockError> {
    let table = Table::of(file).map_err(failed)?;
    let (text, unfinished) = (name.to_string(), format!("{kind}{UNFINISHED}"));
    let mut out = Parts { table: &table, name: &text, kind: &unfinished, part: 0, bytes: Vec::new(), written: 0 };
    let written = contents(&mut out).and_then(|()| out.finish().map_err(Into::into)).and_then(|bytes| {
        crash::point("before-rename");
        let rename = "UPDATE checkpoints SET kind = ?3 WHERE name = ?1 AND kind = ?2";
        table.execute("rename a checkpoint", rename, [&text, &unfinished, kind]).map_err(failed)?;
        crash::point("after-rename");
        Ok(bytes)
    });
    written.inspect_err(|_| {
        let _ = table.execute("remove a checkpoint", REMOVE, [&text, &unfinished]);
    })
}

const REMOVE: &str = "DELETE FROM checkpoints WHERE name = ?1 AND kind = ?2";

pub(super) fn remove(file: &GeoPackage, name: FileName, kind: &str) -> io::Result<()> {
    let table = Table::of(file).map_err(failed)?;
    table.execute("remove a checkpoint", REMOVE, [&name.to_string(), kind]).map_err(failed)?;
    Ok(())
}

/// A file that is being written, part by part.
struct Parts<'a> {
    table: &'a Table<'a>,
    name: &'a str,
    kind: &'a str,
    part: i64,
    bytes: Vec<u8>,
    written: u64,
}

impl Parts<'_> {
    fn put(&mut self) -> io::Result<()> {
        let insert = "INSERT INTO checkpoints (name, kind, part, bytes) VALUES (?1, ?2, ?3, ?4)";
        let row = params![self.name, self.kind, self.part, self.bytes];
        self.table.execute("write a checkpoint", insert, row).map_err(failed)?;
        self.written += self.bytes.len() as u64;
        self.part += 1;
        self.bytes.clear();
        Ok(())
    }

    fn finish(&mut self) -> io::Result<u64> {
        self.put()?;
        Ok(self.written)
    }
}

impl Write for Parts<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= PART_BYTES {
            self.put()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
