//! Tables that are computed anew, because their plan or the program changed: beside the old ones, which readers see until
//! the new ones take their place in one transaction.

use std::io;

use tokio::task::block_in_place;
use watchtower_geopackage::{Connection, GeoPackage, Lease};

use crate::geopackage::{EmbeddedError, claim, switch};
use crate::postgres::rebuild::Old;
use crate::postgres::{Database, Options as PostgresOptions};
use crate::{Options, Stored, WriterError};

/// The tables of a pipeline that no daemon writes, for as long as this lives.
#[derive(Debug)]
pub struct Rebuild(Place);

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a command has one of it")]
enum Place {
    Postgres {
        old: Old,
        options: PostgresOptions,
        streams: u16,
    },
    File {
        file: GeoPackage,
        connection: Connection,
        stored: Stored,
        #[expect(dead_code, reason = "it is held")]
        lease: Lease,
    },
}

impl Rebuild {
    pub(crate) fn of_schema(old: Old, options: PostgresOptions, streams: u16) -> Self {
        Self(Place::Postgres { old, options, streams })
    }

    /// `None` if a daemon holds the file.
    ///
    /// # Errors
    /// If the file cannot be used, or has no tables.
    pub(crate) fn of_file(file: &GeoPackage) -> Result<Option<Self>, EmbeddedError> {
        let connection = file.connect()?;
        let missing = || EmbeddedError::NoTables { path: file.path().to_owned() };
        let stored = claim::stored(file, &connection)?.ok_or_else(missing)?;
        let Some(lease) = Lease::take(file)? else { return Ok(None) };
        Ok(Some(Self(Place::File { file: file.clone(), connection, stored, lease })))
    }

    /// Plan and cursors of the old tables.
    pub fn stored(&self) -> &Stored {
        match &self.0 {
            Place::Postgres { old, .. } => &old.stored,
            Place::File { stored, .. } => stored,
        }
    }

    /// Whether the old tables have the columns that this program writes. In PostgreSQL a migration adds them.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn has_our_columns(&self) -> Result<bool, WriterError> {
        match &self.0 {
            Place::Postgres { .. } => Ok(true),
            Place::File { file, connection, .. } => Ok(block_in_place(|| switch::are_ours(file, connection))?),
        }
    }

    /// The database whose archive holds every accepted event of the log, if there is one.
    pub fn archive(&self) -> Option<&Database> {
        match &self.0 {
            Place::Postgres { old, .. } => Some(old.database()).filter(|_| old.stored.archived),
            Place::File { .. } => None,
        }
    }

    /// Where the new tables are computed.
    pub fn beside(&self) -> Options {
        match &self.0 {
            Place::Postgres { old, options, streams } => Options::Postgres {
                pipeline: old.database().pipeline.clone(),
                postgres: PostgresOptions { schema: self.schema_beside(), migrate: true, ..options.clone() },
                streams: *streams,
            },
            Place::File { file, .. } => Options::File(beside(file)),
        }
    }

    fn schema_beside(&self) -> String {
        match &self.0 {
            Place::Postgres { old, .. } => format!("{}_rebuild", old.database().schema),
            Place::File { .. } => String::new(),
        }
    }

    /// Removes what an earlier attempt left.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub async fn clear(&self) -> Result<(), WriterError> {
        match &self.0 {
            Place::Postgres { old, .. } => Ok(old.clear(&self.schema_beside()).await?),
            Place::File { file, .. } => Ok(remove(&beside(file))?),
        }
    }

    /// Puts the new tables in place of the old ones, in one transaction, and removes the old ones. Returns the schema
    /// that still holds the old ones, if readers keep it from being removed. `from_archive` tells what the new ones were
    /// computed from.
    ///
    /// # Errors
    /// If the store refuses. The old tables are then unchanged.
    pub async fn replace(self, from_archive: bool) -> Result<Option<String>, WriterError> {
        let schema = self.schema_beside();
        match self.0 {
            Place::Postgres { old, .. } => Ok(old.replace(&schema, from_archive).await?),
            Place::File { file, connection, .. } => block_in_place(|| {
                let beside = beside(&file);
                switch::put_in_place(&file, connection, &beside)?;
                remove(&beside)?;
                file.settle();
                Ok(None)
            }),
        }
    }
}

fn beside(file: &GeoPackage) -> GeoPackage {
    let mut path = file.path().as_os_str().to_owned();
    path.push("-rebuild");
    GeoPackage::at(path)
}

/// Removes a file and SQLite's auxiliary files.
fn remove(file: &GeoPackage) -> Result<(), EmbeddedError> {
    for more in ["", "-wal", "-shm", "-journal"] {
        let mut path = file.path().as_os_str().to_owned();
        path.push(more);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(EmbeddedError::Beside { path: path.into(), source });
            }
            _ => {}
        }
    }
    Ok(())
}
