//! Checkpoint files in a folder.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::checkpoint::block::BlockError;
use crate::checkpoint::contents::FileName;
use watchtower_core::crash;

/// Extension of a file while it is written, in place of its kind.
const UNFINISHED: &str = "new";
/// Size of the buffers for reading and writing.
const BUFFER_BYTES: usize = 1 << 20;

pub(super) fn prepare(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)?.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == UNFINISHED) {
            let _ = fs::remove_file(path); // a leftover does no harm
        }
    }
    Ok(())
}

/// Path of the file of this name and kind.
pub(in crate::checkpoint) fn path_of(folder: &Path, name: FileName, kind: &str) -> PathBuf {
    folder.join(format!("{name}.{kind}"))
}

pub(super) fn names(folder: &Path, kind: &str) -> io::Result<Vec<FileName>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if path.extension().is_some_and(|extension| extension == kind) {
            names.extend(stem.and_then(|stem| stem.parse::<FileName>().ok()));
        }
    }
    Ok(names)
}

pub(super) fn open(folder: &Path, name: FileName, kind: &str) -> io::Result<Box<dyn Read>> {
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, File::open(path_of(folder, name, kind))?)))
}

pub(super) fn write(
    folder: &Path,
    name: FileName,
    kind: &str,
    contents: impl FnOnce(&mut dyn Write) -> Result<(), BlockError>,
) -> Result<u64, BlockError> {
    let path = path_of(folder, name, kind);
    let beside = path.with_extension(format!("{kind}.{UNFINISHED}"));
    let write = || -> Result<u64, BlockError> {
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, File::create(&beside)?);
        contents(&mut out)?;
        out.flush()?;
        let file = out.into_inner().map_err(|error| error.into_error())?;
        file.sync_all()?;
        let bytes = file.metadata()?.len();
        crash::point("before-rename");
        fs::rename(&beside, &path)?;
        File::open(folder)?.sync_all()?;
        crash::point("after-rename");
        Ok(bytes)
    };
    write().inspect_err(|_| {
        // The file may not exist, or may occupy the last space of a full disk.
        let _ = fs::remove_file(&beside);
    })
}
