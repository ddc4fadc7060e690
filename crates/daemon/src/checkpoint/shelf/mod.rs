//! Where files of checkpoints are kept: in a folder, or within the one file of the embedded mode.
//!
//! A file is written beside, under a name that nobody looks for, and named when all of it is on disk. So a file
//! that is found is whole, unless somebody has broken it.

pub(super) mod folder;
mod inside;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::block::BlockError;
use super::contents::FileName;
use watchtower_geopackage::GeoPackage;

/// Where files of checkpoints are kept.
#[derive(Clone, Debug)]
pub enum Shelf {
    /// In a folder of their own.
    Folder(PathBuf),
    /// In a table of the file that holds everything.
    Inside(GeoPackage),
}

impl From<&Path> for Shelf {
    fn from(folder: &Path) -> Self {
        Self::Folder(folder.to_owned())
    }
}

impl Shelf {
    /// Makes it if it is missing, and removes what a process that was killed had begun to write.
    pub(super) fn prepare(&self) -> io::Result<()> {
        match self {
            Self::Folder(folder) => folder::prepare(folder),
            Self::Inside(file) => inside::prepare(file),
        }
    }

    /// What it is called in messages.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Folder(folder) => folder,
            Self::Inside(file) => file.path(),
        }
    }

    /// What a file is called in messages.
    pub(super) fn path_of(&self, name: FileName, kind: &str) -> PathBuf {
        folder::path_of(self.path(), name, kind)
    }

    /// The files of a kind, the newest first. What is not named as ours is none.
    pub(super) fn names(&self, kind: &str) -> io::Result<Vec<FileName>> {
        let mut names = match self {
            Self::Folder(folder) => folder::names(folder, kind)?,
            Self::Inside(file) => inside::names(file, kind)?,
        };
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(names)
    }

    /// Reads a file.
    pub(super) fn open(&self, name: FileName, kind: &str) -> io::Result<Box<dyn Read>> {
        match self {
            Self::Folder(folder) => folder::open(folder, name, kind),
            Self::Inside(file) => inside::open(file, name, kind),
        }
    }

    /// Writes a file and returns its size in bytes. Of one that could not be written nothing is left.
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

    /// Removes a file.
    pub(super) fn remove(&self, name: FileName, kind: &str) -> io::Result<()> {
        match self {
            Self::Folder(folder) => std::fs::remove_file(folder::path_of(folder, name, kind)),
            Self::Inside(file) => inside::remove(file, name, kind),
        }
    }
}
