//! Storage of checkpoint files: a folder, or a table of the GeoPackage in the embedded mode.
//!
//! A file is written under a temporary name and renamed once all of it is on disk. So a file that is listed is
//! complete, unless it was damaged later.

pub(super) mod folder;
mod inside;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::block::BlockError;
use super::contents::FileName;
use watchtower_geopackage::GeoPackage;

/// Storage of checkpoint files.
#[derive(Clone, Debug)]
pub enum Shelf {
    /// Files in a folder of their own.
    Folder(PathBuf),
    /// Rows of a table in the GeoPackage.
    Inside(GeoPackage),
}

impl From<&Path> for Shelf {
    fn from(folder: &Path) -> Self {
        Self::Folder(folder.to_owned())
    }
}

impl Shelf {
    /// Creates the storage if missing, and removes unfinished files of a killed process.
    pub(super) fn prepare(&self) -> io::Result<()> {
        match self {
            Self::Folder(folder) => folder::prepare(folder),
            Self::Inside(file) => inside::prepare(file),
        }
    }

    /// Path of the folder or GeoPackage, for messages.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Folder(folder) => folder,
            Self::Inside(file) => file.path(),
        }
    }

    /// Path of a file, for messages.
    pub(super) fn path_of(&self, name: FileName, kind: &str) -> PathBuf {
        folder::path_of(self.path(), name, kind)
    }

    /// Names of the files of a kind, the newest first. Files with other names are ignored.
    pub(super) fn names(&self, kind: &str) -> io::Result<Vec<FileName>> {
        let mut names = match self {
            Self::Folder(folder) => folder::names(folder, kind)?,
            Self::Inside(file) => inside::names(file, kind)?,
        };
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(names)
    }

    /// Opens a file for reading.
    pub(super) fn open(&self, name: FileName, kind: &str) -> io::Result<Box<dyn Read>> {
        match self {
            Self::Folder(folder) => folder::open(folder, name, kind),
            Self::Inside(file) => inside::open(file, name, kind),
        }
    }

    /// Writes a file and returns its size in bytes. If it fails, nothing is left of the file.
    pub(super) fn write(
        &self,
        name: FileName,
        kind: &str,
        contents: impl FnOnce(&mut dyn Write) -> Result<(), BlockError>,
    ) -> Result<u64, BlockError> {
        match self {
            Self::Folder(folder) => folder::write(folder, name, kind, contents),
            Self::Inside(file) => inside::write(file, name, kind, contents),
        }
    }

    /// Removes a file if it exists.
    pub(super) fn remove(&self, name: FileName, kind: &str) -> io::Result<()> {
        match self {
            Self::Folder(folder) => std::fs::remove_file(folder::path_of(folder, name, kind)),
            Self::Inside(file) => inside::remove(file, name, kind),
        }
    }
}
