//! Opening the file, and making it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior};

use super::error::FileError;
use super::{geometry, layer};

/// `GPKG`, which GeoPackages have for SQLite's application id.
const APPLICATION_ID: i32 = 0x4750_4B47;
/// GeoPackage 1.4.0.
const GEOPACKAGE_VERSION: i32 = 10_400;
/// Grows when an older program could not read what a newer one writes.
const FORMAT: i64 = 1;
/// Pages of SQLite's write-ahead log after which it goes into the file: 16 MiB.
const CHECKPOINT_PAGES: i64 = 4_096;
/// Kept in memory by each connection. KiB.
const CACHE_KIB: i64 = 32 << 10;
/// Statements that a connection keeps prepared: two a table and a few.
const PREPARED: usize = 128;
/// Somebody who writes is waited for by looking this often,
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// and no longer than this.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file, by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeoPackage {
    path: PathBuf,
}

impl GeoPackage {
    /// The file at a path, whether it is there or not.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A connection that reads and writes.
    ///
    /// # Errors
    /// If the file is not there, is not ours, or cannot be opened.
    pub fn connect(&self) -> Result<Connection, FileError> {
        let mut connection = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        if self.is_empty(&connection)? {
            // Made, and not yet filled: whoever made it was killed, or is about to fill it.
            return self.fill(connection);
        }
        self.refuse_foreign(&connection)?;
        self.configure(&mut connection)?;
        Ok(connection)
    }

    /// The same; a file that is not there is made.
    ///
    /// # Errors
    /// If the file is not ours, or cannot be opened or made.
    pub fn connect_or_create(&self) -> Result<Connection, FileError> {
        if self.path.exists() {
            return self.connect();
        }
        let connection = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        self.fill(connection)
    }

    /// A connection that changes nothing.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn connect_to_read(&self) -> Result<Connection, FileError> {
        let mut connection = self.open(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        self.refuse_foreign(&connection)?;
        self.wait_for_others(&mut connection)?;
        Ok(connection)
    }

    /// Leaves one file that can be read anywhere, also where nothing can be written: without SQLite's
    /// write-ahead log. While others have the file open it stays as it is, and whoever is last does it.
    pub fn settle(&self) {
        // What fails here costs the next one who opens the file a moment, and nothing else.
        if let Ok(connection) = self.connect() {
            let _ = connection.busy_timeout(Duration::ZERO);
            let _ = connection.query_row("PRAGMA journal_mode = DELETE", (), |_| Ok(()));
        }
    }

    /// An error of a statement; `doing` says what it was to achieve.
    pub fn failed(&self, doing: impl Into<String>) -> impl FnOnce(rusqlite::Error) -> FileError {
        let (path, doing) = (self.path.clone(), doing.into());
        move |source| FileError::Statement { path, doing, source }
    }

    fn open(&self, flags: OpenFlags) -> Result<Connection, FileError> {
        if !flags.contains(OpenFlags::SQLITE_OPEN_CREATE) && !self.path.exists() {
            return Err(FileError::Missing { path: self.path.clone() });
        }
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(&self.path, flags).map_err(|source| self.unopened(source))
    }

    fn unopened(&self, source: rusqlite::Error) -> FileError {
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => self.foreign("no SQLite database"),
            _ => FileError::Open { path: self.path.clone(), source },
        }
    }

    fn foreign(&self, what: &'static str) -> FileError {
        FileError::Foreign { path: self.path.clone(), what }
    }

    /// Whether it is a database in which there is nothing at all.
    fn is_empty(&self, connection: &Connection) -> Result<bool, FileError> {
        let count: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_master", (), |row| row.get(0))
            .map_err(|source| self.unopened(source))?;
        Ok(count == 0)
    }

    fn refuse_foreign(&self, connection: &Connection) -> Result<(), FileError> {
        let number = |pragma: &str| connection.query_row(pragma, (), |row| row.get::<_, i64>(0));
        let application = number("PRAGMA application_id").map_err(|source| self.unopened(source))?;
        if application != i64::from(APPLICATION_ID) {
            return Err(self.foreign("an SQLite database of something else"));
        }
        let ours = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'watchtower'";
        let ours = connection.query_row(ours, (), |_| Ok(())).optional();
        if ours.map_err(|source| self.unopened(source))?.is_none() {
            return Err(self.foreign("a GeoPackage of something else"));
        }
        let found = number("SELECT format FROM watchtower").map_err(self.failed("look for the format"))?;
        if found > FORMAT {
            return Err(FileError::Newer { path: self.path.clone(), found, known: FORMAT });
        }
        Ok(())
    }

    /// Waits for whoever writes, without losing time to it: SQLite's own way sleeps up to a tenth of a second.
    fn wait_for_others(&self, connection: &mut Connection) -> Result<(), FileError> {
        let looks = PATIENCE.as_micros() / LOOK_EVERY.as_micros();
        let wait = move |looked: i32| {
            std::thread::sleep(LOOK_EVERY);
            u128::from(looked.unsigned_abs()) < looks
        };
        connection.busy_handler(Some(wait)).map_err(self.failed("wait for others"))
    }

    fn configure(&self, connection: &mut Connection) -> Result<(), FileError> {
        self.wait_for_others(connection)?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        let settings = format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
             PRAGMA cache_size = -{CACHE_KIB}; PRAGMA temp_store = MEMORY"
        );
        connection.execute_batch(&settings).map_err(self.failed("switch on the write-ahead log"))?;
        geometry::register_functions(connection).map_err(self.failed("add functions"))
    }

    /// Fills a new file with what every GeoPackage has; of two who do so at once, one does.
    fn fill(&self, mut connection: Connection) -> Result<Connection, FileError> {
        self.configure(&mut connection)?;
        let doing = || self.failed("make the tables of a GeoPackage");
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(doing())?;
        if self.is_empty(&transaction)? {
            let identity =
                format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {GEOPACKAGE_VERSION};");
            transaction.execute_batch(&identity).map_err(doing())?;
            layer::create_catalogue(&transaction).map_err(doing())?;
            let ours = "CREATE TABLE watchtower (fid INTEGER PRIMARY KEY CHECK (fid = 1), format INTEGER NOT NULL)";
            transaction.execute_batch(ours).map_err(doing())?;
            transaction.execute("INSERT INTO watchtower VALUES (1, ?1)", [FORMAT]).map_err(doing())?;
            layer::FORMAT.register(&transaction).map_err(doing())?;
        }
        transaction.commit().map_err(doing())?;
        self.refuse_foreign(&connection)?;
        Ok(connection)
    }
}
