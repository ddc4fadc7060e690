//! `watchtower status --embedded` and `watchtower rebuild --embedded`.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::sleep;

use watchtower_core::Cursor;
use watchtower_core::plan;
use watchtower_core::tables::TABLES;
use watchtower_daemon::{self as daemon, DaemonError};
use watchtower_geopackage::{Connection, FileError, GeoPackage, Lease};
use watchtower_log::ClockSource;
use watchtower_log::file::{LogError, Reader};
use watchtower_store::geopackage::{EmbeddedError, claim, switch};

/// Interval between checks whether the new tables have caught up.
const POLL_EVERY: Duration = Duration::from_millis(100);
/// Number of rejected events shown.
const SHOWN: i64 = 5;

/// An operation on a file failed.
#[derive(Debug, thiserror::Error)]
pub enum FileOperationError {
    /// The tables cannot be used.
    #[error(transparent)]
    Store(#[from] EmbeddedError),
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The daemon that computes the new tables failed.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// The file has no tables.
    #[error("{} has no tables yet: no daemon has run on it", path.display())]
    NoTables {
        /// Path of the file.
        path: PathBuf,
    },
    /// The beginning of the log was trimmed.
    #[error(
        "the log of {} begins with entry {first}, the ones before were trimmed ([embedded] log_keep): the tables cannot be \
         computed anew from it. Put the configuration back (see pipeline.plan), or begin a new file", path.display()
    )]
    Trimmed {
        /// Path of the file.
        path: PathBuf,
        /// Number of the oldest remaining entry.
        first: u64,
    },
    /// The user interrupted the rebuild.
    #[error("interrupted: the old tables are unchanged")]
    Interrupted,
    /// The output cannot be written, or a temporary file cannot be removed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Prints the progress of the tables of a file.
///
/// # Errors
/// If the file does not exist, or has no tables.
pub fn status(file: &GeoPackage, out: &mut impl Write) -> Result<(), FileOperationError> {
    let connection = file.connect_to_read()?;
    let Some(owner) = claim::owner(file, &connection)? else {
        return Err(FileOperationError::NoTables { path: file.path().to_owned() });
    };
    let failed = || file.failed("read the pipeline");
    let sql = "SELECT now, (SELECT max(committed_at) FROM commit_log), halted FROM pipeline";
    let (now, at, halted): (String, Option<String>, Option<String>) =
        connection.query_row(sql, (), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(failed())?;
    let size = fs::metadata(file.path())?.len();
    writeln!(out, "file      {}, {} MB", file.path().display(), size >> 20)?;
    writeln!(out, "commit    {} at {}, the log's time then {now}", owner.commit_seq, at.as_deref().unwrap_or("-"))?;
    let runs = if Lease::take(file)?.is_some() { "does not run" } else { "runs" };
    writeln!(out, "writer    {}, term {}; it {runs}", owner.name, owner.term)?;
    if let Some(why) = halted {
        writeln!(out, "HALTED    {why}")?;
    }
    let cursors = claim::stored(file, &connection)?.map_or_else(Vec::new, |stored| stored.cursors);
    streams(file, &cursors, out)?;
    tables(file, &connection, owner.commit_seq, out)?;
    refused(file, &connection, out)
}

fn streams(file: &GeoPackage, cursors: &[Cursor], out: &mut impl Write) -> Result<(), FileOperationError> {
    writeln!(out, "\n{:<28} {:>24} {:>12} {:>12}", "stream", "tables contain up to", "entries", "behind")?;
    for end in Reader::open_to_read(file)?.ends()? {
        let cursor = cursors.iter().find(|cursor| cursor.stream == end.name);
        let (last, entries) =
            cursor.map_or(("-".to_owned(), 0), |cursor| (cursor.position.last.to_string(), cursor.position.entries));
        writeln!(out, "{:<28} {last:>24} {entries:>12} {:>12}", end.name, end.entries - entries)?;
    }
    Ok(())
}

fn tables(
    file: &GeoPackage,
    connection: &Connection,
    commit_seq: i64,
    out: &mut impl Write,
) -> Result<(), FileOperationError> {
    writeln!(out, "\n{:<28} {:>24} {:>12}", "table", "equals commit", "rows")?;
    for table in TABLES {
        let name = table.name;
        let sql =
            format!("SELECT count(*), (SELECT commit_seq FROM table_progress WHERE table_name = '{name}') FROM {name}");
        let (rows, commit): (i64, Option<i64>) = connection
            .query_row(&sql, (), |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(file.failed(format!("count the rows of {name}")))?;
        writeln!(out, "{name:<28} {:>24} {rows:>12}", commit.unwrap_or(commit_seq))?;
    }
    Ok(())
}

fn refused(file: &GeoPackage, connection: &Connection, out: &mut impl Write) -> Result<(), FileOperationError> {
    let failed = || file.failed("read the rejected events");
    let sql = "SELECT reason, sum(events), max(hour) FROM rejected_counts GROUP BY reason ORDER BY 2 DESC";
    let mut counts = connection.prepare(sql).map_err(failed())?;
    let counts = counts.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(failed())?;
    let counts: Vec<(String, i64, String)> = counts.collect::<Result<_, _>>().map_err(failed())?;
    if counts.is_empty() {
        writeln!(out, "\nno event was rejected")?;
        return Ok(());
    }
    writeln!(out, "\nrejected events (rejected_counts), and the last of them (rejected_events):")?;
    for (reason, events, hour) in counts {
        writeln!(out, "  {events:>9} {reason}, the last in the hour from {hour}")?;
    }
    let sql = "SELECT arrived_at, stream, position, detail FROM rejected_events ORDER BY arrived_at DESC LIMIT ?1";
    let mut last = connection.prepare(sql).map_err(failed())?;
    let last = last.query_map([SHOWN], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]));
    let last: Vec<[String; 4]> = last.map_err(failed())?.collect::<Result<_, _>>().map_err(failed())?;
    for [at, stream, position, detail] in last {
        writeln!(out, "  {at}  {stream} {position}: {detail}")?;
    }
    Ok(())
}

/// Computes the tables of a file anew from its log and replaces the old ones in one transaction. Does nothing if their
/// plan is the configuration's already and `force` is not set.
///
/// The new tables are computed into a temporary file beside it. Readers see the old tables until the transaction;
/// producers can append to the log throughout.
///
/// # Errors
/// If a daemon runs, the log is not complete, or `interrupted` completes. The old tables are then unchanged.
pub async fn rebuild(
    file: &GeoPackage,
    options: daemon::Options,
    force: bool,
    interrupted: impl Future<Output = ()> + Send,
    out: &mut impl Write,
) -> Result<(), FileOperationError> {
    let connection = file.connect()?;
    let Some(owner) = claim::owner(file, &connection)? else {
        return Err(FileOperationError::NoTables { path: file.path().to_owned() });
    };
    let Some(_lease) = Lease::take(file)? else {
        return Err(EmbeddedError::Occupied { path: file.path().to_owned(), owner: owner.name }.into());
    };
    let Some(stored) = claim::stored(file, &connection)? else {
        return Err(FileOperationError::NoTables { path: file.path().to_owned() });
    };
    let difference = plan::difference(&stored.plan, &plan::of(&options.limits, &options.rules));
    if difference.is_empty() && switch::are_ours(file, &connection)? && !force {
        writeln!(
            out,
            "the tables were computed under this very plan: nothing to rebuild (--force does it all the same)"
        )?;
        return Ok(());
    }
    if let Some(first) = Reader::open(file)?.first()?.filter(|first| *first > 1) {
        return Err(FileOperationError::Trimmed { path: file.path().to_owned(), first });
    }
    writeln!(
        out,
        "computing the tables anew{}",
        if difference.is_empty() { String::new() } else { format!(": {difference}") }
    )?;
    let beside = beside(file);
    remove(&beside)?;
    compute(file, &beside, options, &stored.cursors, interrupted).await?;
    tokio::task::block_in_place(|| switch::put_in_place(file, connection, &beside))?;
    remove(&beside)?;
    file.settle();
    writeln!(out, "the new tables are in place; start the daemon")?;
    Ok(())
}

fn beside(file: &GeoPackage) -> GeoPackage {
    let mut path = file.path().as_os_str().to_owned();
    path.push("-rebuild");
    GeoPackage::at(path)
}

/// Removes a file and SQLite's auxiliary files.
fn remove(file: &GeoPackage) -> io::Result<()> {
    for more in ["", "-wal", "-shm", "-journal"] {
        let mut path = file.path().as_os_str().to_owned();
        path.push(more);
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Runs a daemon on the temporary file until its tables contain what the old ones do.
async fn compute(
    log: &GeoPackage,
    beside: &GeoPackage,
    mut options: daemon::Options,
    wanted: &[Cursor],
    interrupted: impl Future<Output = ()> + Send,
) -> Result<(), FileOperationError> {
    options.http.listen.set_port(0);
    options.clock = ClockSource::Log;
    let wanted: u64 = wanted.iter().map(|cursor| cursor.position.entries).sum();
    let caught_up = async {
        loop {
            sleep(POLL_EVERY).await;
            // The file does not exist until the daemon has created it.
            let contained = tokio::task::block_in_place(|| contained(beside)).unwrap_or(None);
            if contained >= Some(wanted) {
                return;
            }
        }
    };
    let mut was_interrupted = false;
    let until = async {
        tokio::select! {
            () = caught_up => {}
            () = interrupted => was_interrupted = true,
        }
    };
    daemon::rebuild_embedded(log, beside, options, until).await?;
    if was_interrupted { Err(FileOperationError::Interrupted) } else { Ok(()) }
}

/// Number of entries that the tables of a file contain; `None` without tables.
fn contained(file: &GeoPackage) -> Result<Option<u64>, EmbeddedError> {
    let connection = file.connect_to_read()?;
    let stored = claim::stored(file, &connection)?;
    Ok(stored.map(|stored| stored.cursors.iter().map(|cursor| cursor.position.entries).sum()))
}
