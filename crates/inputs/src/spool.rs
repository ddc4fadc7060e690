//! Files that are read more than once: what can be read only once, a pipe, is written to a temporary file first.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::{FileFormat, Reading, SourceError};

/// Distinguishes the temporary files of a process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A file that can be read again and again.
#[derive(Debug)]
pub struct InputFile {
    /// As it was named.
    path: PathBuf,
    format: FileFormat,
    reading: Reading,
    /// Its copy, if it was a pipe.
    copy: Option<TemporaryFile>,
}

impl InputFile {
    /// The file at `path`; of a pipe all is read.
    ///
    /// # Errors
    /// If a pipe cannot be read or copied.
    pub fn new(path: &Path, format: FileFormat, reading: &Reading) -> Result<Self, SourceError> {
        let named = || path.to_owned();
        let failed = |source| SourceError::Read { path: named(), source };
        let is_file = fs::metadata(path).map_err(|source| SourceError::Open { path: named(), source })?.is_file();
        let copy = if is_file {
            None
        } else {
            let mut pipe = File::open(path).map_err(|source| SourceError::Open { path: named(), source })?;
            let (copy, mut file) = TemporaryFile::create().map_err(failed)?;
            io::copy(&mut pipe, &mut file).map_err(failed)?;
            Some(copy)
        };
        Ok(Self { path: named(), format, reading: reading.clone(), copy })
    }

    /// As it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Format in which the file is given.
    pub fn format(&self) -> FileFormat {
        self.format
    }

    /// How it is to be read.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// Where its content is.
    pub fn content(&self) -> &Path {
        self.copy.as_ref().map_or(&self.path, |copy| &copy.0)
    }
}

/// A file of this process, removed when this is dropped.
#[derive(Debug)]
pub struct TemporaryFile(PathBuf);

impl TemporaryFile {
    /// A new file, and what writes it. Only this user can read it.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create() -> io::Result<(Self, File)> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        loop {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let name = format!("watchtower-{process}-{number}-{:08x}", since.subsec_nanos());
            let path = std::env::temp_dir().join(name);
            match options.open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(file) => return Ok((Self(path), file)),
            }
        }
    }

    /// Opens it to be read from its beginning.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.0)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // If it cannot be removed, the system clears its folder one day.
        let _ = fs::remove_file(&self.0);
    }
}
