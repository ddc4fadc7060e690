//! The daemon's lock on the file. With it a second daemon is refused by name; a crashed daemon never blocks the next.
//!
//! The daemon holds an operating-system lock on a small file beside the GeoPackage, `fleet.gpkg-daemon`. The lock ends
//! with the process in every case. It is advisory: the tables are protected by the term that every commit compares.
//! The lock is not on the GeoPackage itself, because a process that closes any handle of that file loses the locks
//! that SQLite holds on it.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::error::FileError;
use super::file::GeoPackage;

/// How long [`Lease::take`] retries: a process that only checks the lock has released it by then.
const A_MOMENT: Duration = Duration::from_millis(200);

/// The lock; released when the value is dropped.
#[derive(Debug)]
pub struct Lease {
    path: PathBuf,
    #[expect(dead_code, reason = "it is held")]
    file: File,
}

impl Lease {
    /// Takes the lock. Returns `None` if another process holds it for longer than `A_MOMENT`.
    ///
    /// # Errors
    /// If the lock file cannot be created.
    pub fn take(of: &GeoPackage) -> Result<Option<Self>, FileError> {
        let since = Instant::now();
        loop {
            match Self::try_take(of)? {
                None if since.elapsed() < A_MOMENT => std::thread::sleep(A_MOMENT / 20),
                taken => return Ok(taken),
            }
        }
    }

    /// One attempt to take the lock.
    fn try_take(of: &GeoPackage) -> Result<Option<Self>, FileError> {
        let mut path = of.path().as_os_str().to_owned();
        path.push("-daemon");
        let path = PathBuf::from(path);
        let failed = |source| FileError::Lease { path: path.clone(), source };
        loop {
            let options = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
            let file = options.map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            // The previous holder may have removed the file after it was opened here: then the lock on it protects nothing.
            let inode = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
            let opened = file.metadata().map(inode).map_err(failed)?;
            if std::fs::metadata(&path).is_ok_and(|named| inode(named) == opened) {
                return Ok(Some(Self { path, file }));
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Removed while still locked, so that no other process can hold it. A file that cannot be removed locks nothing.
        let _ = std::fs::remove_file(&self.path);
    }
}
