//! Opens and creates the file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior};

use super::error::FileError;
use super::{geometry, layer};

/// `GPKG`: the `application_id` that the standard requires.
const APPLICATION_ID: i32 = 0x4750_4B47;
/// `user_version` of GeoPackage 1.4.0.
const GEOPACKAGE_VERSION: i32 = 10_400;
/// Raised whenever an older program cannot read files of a newer one.
const FORMAT: i64 = 1;
/// Length of SQLite's write-ahead log, in pages, at which a checkpoint moves it into the file: 16 MiB.
const CHECKPOINT_PAGES: i64 = 4_096;
/// Page cache of each connection, KiB.
const CACHE_KIB: i64 = 32 << 10;
/// Statements that a connection keeps prepared: two per table and a few.
const PREPARED: usize = 128;
/// Interval between attempts to get SQLite's lock,
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// and the time after which the attempts end with an error.
const PATIENCE: Duration = Duration::from_secs(60);

/// A GeoPackage file, identified by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeoPackage {
    path: PathBuf,
}

impl GeoPackage {
    /// Does not touch the disk: the file need not exist.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The path given to [`Self::at`].
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
            // The file exists and is empty: the process that created it was killed, or will fill it next.
            return self.fill(connection);
        }
        self.refuse_foreign(&connection)?;
        self.configure(&mut connection)?;
        Ok(connection)
    }

    /// As [`Self::connect`]; creates the file if it does not exist.
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

    /// A read-only connection.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn connect_to_read(&self) -> Result<Connection, FileError> {
        let mut connection = self.open(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        self.refuse_foreign(&connection)?;
        self.wait_for_others(&mut connection)?;
        Ok(connection)
    }

    /// Switches the file out of write-ahead logging, so that it is one file that read-only media can serve. While other
    /// connections are open nothing changes; the last one to close does it.
    pub fn settle(&self) {
        // A failure only costs the next process that opens the file a moment.
        if let Ok(connection) = self.connect() {
            let _ = connection.busy_timeout(Duration::ZERO);
            let _ = connection.query_row("PRAGMA journal_mode = DELETE", (), |_| Ok(()));
        }
    }

    /// The rows of a query without parameters, each as `read` makes it.
    ///
    /// # Errors
    /// If the file cannot be read, or `read` fails.
    pub fn rows<T>(
        &self,
        connection: &Connection,
        sql: &str,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, FileError> {
        let rows = || connection.prepare(sql)?.query_map((), read)?.collect::<rusqlite::Result<_>>();
        rows().map_err(self.failed("read the tables"))
    }

    /// Wraps an error of a statement; `doing` is the operation, as in `cannot <doing> in <path>`.
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
            Some(ErrorCode::NotADatabase) => self.foreign("not an SQLite database"),
            _ => FileError::Open { path: self.path.clone(), source },
        }
    }

    fn foreign(&self, what: &'static str) -> FileError {
        FileError::Foreign { path: self.path.clone(), what }
    }

    /// Whether the database has no tables at all.
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

    /// Waits for the connection that writes in steps of [`LOOK_EVERY`]: SQLite's own handler sleeps up to 100 ms.
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

    /// Creates the tables of every GeoPackage in a new file. Of two processes that do so at once, one does.
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
