//! Whose file it is: what makes a second daemon be refused by name, and never a crashed one block the next.
//!
//! The daemon holds a lock of the operating system on a small file beside, `fleet.gpkg-daemon`, which ends with
//! the process however that ends. It is a courtesy: what protects the tables is the term that every commit is
//! compared with. (The lock is not on the file itself: a process that closes it anywhere would lose the locks
//! that SQLite has on it.)

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::error::FileError;
use super::file::GeoPackage;

/// Who only asks whether somebody has it is gone by then.
const A_MOMENT: Duration = Duration::from_millis(200);

/// The lock, while this lives.
#[derive(Debug)]
pub struct Lease {
    path: PathBuf,
    #[expect(dead_code, reason = "it is held")]
    file: File,
}

impl Lease {
    /// The lock, if nobody else has it, or will have it for more than a moment.
    ///
    /// # Errors
    /// If the file beside cannot be made.
    pub fn take(of: &GeoPackage) -> Result<Option<Self>, FileError> {
        let since = Instant::now();
        loop {
            match Self::try_take(of)? {
                None if since.elapsed() < A_MOMENT => std::thread::sleep(A_MOMENT / 20),
                taken => return Ok(taken),
            }
        }
    }

    /// The lock, if nobody else has it.
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
            // Whoever had it may have removed it since it was opened: then it is another one that counts.
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
        // While it is still locked: nobody else can have taken it. What cannot be removed locks nothing.
        let _ = std::fs::remove_file(&self.path);
    }
}
