//! Zip archives, as far as KMZ needs them: stored or deflated files, no encryption, no zip64.

use std::io::Read;

use flate2::read::DeflateDecoder;

/// Files of an archive that are looked at.
const MAX_FILES: usize = 10_000;
const END: &[u8] = b"PK\x05\x06";
const ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
/// The end of the archive may have a comment of up to 64 KiB behind it.
const END_WITHIN: usize = (64 << 10) + 22;

/// A file in an archive.
pub(crate) struct Entry<'a> {
    /// Its path in the archive.
    pub(crate) name: String,
    method: u16,
    content: &'a [u8],
}

/// The files of an archive.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn entries(archive: &[u8]) -> Result<Vec<Entry<'_>>, String> {
    let broken = || "the zip archive is broken or not of a kind that is read".to_owned();
    let from = archive.len().saturating_sub(END_WITHIN);
    let end = archive[from..].windows(4).rposition(|window| window == END).ok_or_else(broken)? + from;
    let mut at = u32_at(archive, end + 16).ok_or_else(broken)?;
    let mut found = Vec::new();
    while found.len() < MAX_FILES && archive.get(at..at.saturating_add(4)) == Some(ENTRY) {
        let entry = entry(archive, at).ok_or_else(broken)?;
        at += 46 + [28, 30, 32].iter().filter_map(|field| u16_at(archive, at + field)).map(usize::from).sum::<usize>();
        found.push(entry);
    }
    Ok(found)
}

fn entry(archive: &[u8], at: usize) -> Option<Entry<'_>> {
    let name = archive.get(at + 46..at + 46 + usize::from(u16_at(archive, at + 28)?))?;
    let size = u32_at(archive, at + 20)?;
    let local = u32_at(archive, at + 42)?;
    if archive.get(local..local.checked_add(4)?)? != LOCAL {
        return None;
    }
    let names = usize::from(u16_at(archive, local + 26)?) + usize::from(u16_at(archive, local + 28)?);
    let start = local + 30 + names;
    let content = archive.get(start..start.checked_add(size)?)?;
    Some(Entry { name: String::from_utf8_lossy(name).into_owned(), method: u16_at(archive, at + 10)?, content })
}

impl Entry<'_> {
    /// The file's content.
    ///
    /// # Errors
    /// If it is broken, or larger than `most` bytes.
    pub(crate) fn read(&self, most: u64) -> Result<Vec<u8>, String> {
        let mut content = Vec::new();
        let read = match self.method {
            0 => self.content.take(most + 1).read_to_end(&mut content),
            8 => DeflateDecoder::new(self.content).take(most + 1).read_to_end(&mut content),
            other => return Err(format!("{}: compressed by method {other}, which is not read", self.name)),
        };
        read.map_err(|fault| format!("{}: {fault}", self.name))?;
        if content.len() as u64 > most {
            return Err(format!(
                "{}: expected at most {} MiB: unzip it; positions of KML are read placemark by placemark, and geofences \
                 can be split",
                self.name,
                most >> 20
            ));
        }
        Ok(content)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?) as usize)
}
