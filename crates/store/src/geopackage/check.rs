//! What a file has of what a daemon needs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};
use watchtower_core::Findings;
use watchtower_geopackage::{Connection, GeoPackage, Lease};

use super::error::EmbeddedError;
use super::{claim, switch};
use crate::Stored;

/// Free space below which the daemon soon waits for space: the write-ahead log alone takes some 16 MiB between commits.
const LEAST_FREE_BYTES: u64 = 64 << 20;
/// Size of the write-ahead log above which something keeps it from being moved into the file, as a reader that stays in
/// one transaction does. At the end of each checkpoint it is written anew from its beginning.
const LARGE_WAL_BYTES: u64 = 256 << 20;

/// Checks the file, its folder and its disk. Returns the tables, if there are some that can be read.
pub(crate) fn check(file: &GeoPackage, findings: &mut Findings) -> Result<Option<Stored>, EmbeddedError> {
    let path = file.path();
    disk(path, findings);
    if !path.exists() {
        findings.good(format!("{} does not exist yet: the first `run` creates it", path.display()));
        return Ok(None);
    }
    if let Err(error) = access(path, Access::READ_OK | Access::WRITE_OK) {
        findings.wrong(format!("this user may not write {}: {error}", path.display()));
    }
    let connection = file.connect_to_read()?;
    findings.good(format!("{} is a GeoPackage of this program, {}", path.display(), megabytes(size(path))));
    journal(file, &connection, findings)?;
    tables(file, &connection, findings)
}

/// The folder must be writable, because SQLite creates files beside the file, and have space for them.
fn disk(path: &Path, findings: &mut Findings) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Err(error) = access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        let folder = folder.display();
        findings.wrong(format!(
            "no files can be created in {folder}: {error}; the write-ahead log and the lock of the daemon are there"
        ));
        return;
    }
    let Ok(disk) = statvfs(folder) else { return };
    let (free, taken) = (disk.f_bavail.saturating_mul(disk.f_frsize), size(path));
    let text = format!("{} are free on the disk of {}", megabytes(free), path.display());
    match free {
        _ if free < LEAST_FREE_BYTES => findings.wrong(format!("{text}: the daemon waits until there is more")),
        _ if free < taken => findings.warning(format!(
            "{text}, less than the file takes ({}): `rebuild` computes the new tables in a second file beside it",
            megabytes(taken)
        )),
        _ => findings.good(text),
    }
}

/// How SQLite writes the file.
fn journal(file: &GeoPackage, connection: &Connection, findings: &mut Findings) -> Result<(), EmbeddedError> {
    let mode = connection.query_row("PRAGMA journal_mode", (), |row| row.get::<_, String>(0));
    let mode = mode.map_err(file.failed("read the journal mode"))?;
    let mut wal: OsString = file.path().as_os_str().to_owned();
    wal.push("-wal");
    let wal = PathBuf::from(wal);
    match size(&wal) {
        large if large >= LARGE_WAL_BYTES => findings.warning(format!(
            "the write-ahead log {} has {}: a program that keeps reading in one transaction, or a daemon that was \
             killed, leaves it so; close such programs, and the next `run` moves it into the file",
            wal.display(),
            megabytes(large)
        )),
        0 if mode != "wal" => findings.good("no process writes the file: its write-ahead log was moved into it"),
        bytes => findings.good(format!("the write-ahead log has {}", megabytes(bytes))),
    }
    Ok(())
}

fn tables(
    file: &GeoPackage,
    connection: &Connection,
    findings: &mut Findings,
) -> Result<Option<Stored>, EmbeddedError> {
    let (Some(owner), Some(stored)) = (claim::owner(file, connection)?, claim::stored(file, connection)?) else {
        findings.good("the file has no tables yet: the first `run` creates them");
        return Ok(None);
    };
    match Lease::take(file)? {
        Some(_) => findings.good(format!("the tables are at commit {}; no daemon writes them", owner.commit_seq)),
        None => findings.warning(format!("the file is being written by {}", owner.name)),
    }
    if let Some(why) = halted(connection).map_err(file.failed("read the pipeline"))? {
        findings.wrong(format!("the daemon has stopped writing: {why}"));
    }
    if !switch::are_ours(file, connection)? {
        findings.wrong(EmbeddedError::Tables { path: file.path().to_owned() }.to_string());
        return Ok(None);
    }
    Ok(Some(stored))
}

fn halted(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT halted FROM pipeline", (), |row| row.get(0))
}

/// Size of a file in bytes; 0 without one.
fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

fn megabytes(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{} kB", bytes >> 10),
        megabytes => format!("{megabytes} MB"),
    }
}
