//! The lines of a file, each held whole unless it is too long to be an event.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::encoding::windows_1252;
use super::input::{Encoding, Input};
use super::{Progress, SourceError};
use watchtower_core::events::{Limits, Raw, Reason, Rejection, Whole};

/// Reads lines; the current one is reused memory.
pub(super) struct Lines {
    path: PathBuf,
    input: Input,
    limit: usize,
    line: Vec<u8>,
    /// Number of the last line read, from 1.
    read: u64,
    /// Number of the line that the current one began with.
    first: u64,
    /// Set if the line was longer than `limit`: the current one is only its beginning.
    oversized: Option<Whole>,
    /// Whether text that is not UTF-8 may be Windows-1252: unless the file has shown that it is UTF-8.
    may_be_windows: bool,
    /// Lines that were read as Windows-1252.
    windows_lines: u64,
}

impl Lines {
    pub(super) fn new(path: &Path, input: Input, limits: &Limits) -> Self {
        Self {
            path: path.to_path_buf(),
            may_be_windows: input.encoding() == Encoding::Unmarked,
            windows_lines: 0,
            input,
            limit: limits.max_entry_bytes,
            line: Vec::with_capacity(256),
            read: 0,
            first: 0,
            oversized: None,
        }
    }

    /// The beginning of the file behind the current line, as far as it was read at once.
    pub(super) fn head_below(&self) -> Cow<'_, str> {
        let head = self.input.head();
        let lines = head.split_inclusive(|byte| *byte == b'\n').take(self.read as usize);
        String::from_utf8_lossy(&head[lines.map(<[u8]>::len).sum()..])
    }

    /// Makes UTF-8 of a line that is Windows-1252. A file with characters of UTF-8 beyond ASCII before is not.
    pub(super) fn make_utf8(&mut self) {
        if !self.may_be_windows || self.line.is_ascii() {
            return;
        }
        if std::str::from_utf8(&self.line).is_ok() {
            self.may_be_windows = false;
        } else if self.oversized.is_none() {
            self.line = windows_1252(&self.line).into_bytes();
            self.windows_lines += 1;
        }
    }

    /// The encoding, as it goes behind the name of a format; nothing where it is UTF-8.
    pub(super) fn encoding_words(&self) -> &'static str {
        match self.input.encoding() {
            Encoding::Utf16 => ", UTF-16",
            Encoding::Unmarked if self.windows_lines > 0 => ", Windows-1252 (latin-1)",
            Encoding::Unmarked | Encoding::Utf8 => "",
        }
    }

    /// Goes to the next line that is not blank; `false` at the end.
    pub(super) fn advance(&mut self) -> Result<bool, SourceError> {
        loop {
            self.line.clear();
            self.oversized = None;
            self.first = self.read + 1;
            if !self.append()? {
                return Ok(false);
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    /// Appends the next line to the current one; `false` at the end.
    pub(super) fn extend(&mut self) -> Result<bool, SourceError> {
        self.line.push(b'\n');
        self.append()
    }

    /// Number of the current line's first line.
    pub(super) fn number(&self) -> u64 {
        self.first
    }

    /// The current line's bytes, without its end.
    pub(super) fn raw(&self) -> Raw<'_> {
        Raw { bytes: &self.line, whole: self.oversized }
    }

    /// The current line, if it is not too long and is text.
    pub(super) fn text(&self) -> Result<&str, Rejection> {
        if let Some(Whole { size_bytes, .. }) = self.oversized {
            let detail = format!("expected at most {} bytes, found {size_bytes}", self.limit);
            return Err(Rejection::new(Reason::TooLarge, detail));
        }
        watchtower_core::events::utf8(&self.line)
    }

    pub(super) fn progress(&self) -> Progress {
        self.input.progress()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn append(&mut self) -> Result<bool, SourceError> {
        let appended = self.read_line();
        appended.map_err(|source| SourceError::Read { path: self.path.clone(), source })
    }

    fn read_line(&mut self) -> io::Result<bool> {
        // Room for a line of just the limit and both characters of its end.
        let most = self.limit.saturating_sub(self.line.len()) + 2;
        let bytes = (&mut self.input).take(most as u64).read_until(b'\n', &mut self.line)?;
        if bytes == 0 {
            return Ok(false);
        }
        self.read += 1;
        let ended = self.line.last() == Some(&b'\n');
        if ended {
            self.line.pop();
        }
        if self.line.len() > self.limit + 1 || (self.line.len() > self.limit && self.line.last() != Some(&b'\r')) {
            self.oversized = Some(self.skip_rest(ended)?);
        } else if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        Ok(true)
    }

    /// Reads on to the end of the line without keeping it.
    fn skip_rest(&mut self, mut ended: bool) -> io::Result<Whole> {
        let mut size_bytes = self.line.len() as u64;
        let mut hash = Sha256::new_with_prefix(&self.line);
        while !ended {
            let chunk = self.input.fill_buf()?;
            if chunk.is_empty() {
                break;
            }
            let end = chunk.iter().position(|&byte| byte == b'\n');
            let length = end.unwrap_or(chunk.len());
            hash.update(&chunk[..length]);
            size_bytes += length as u64;
            ended = end.is_some();
            self.input.consume(length + usize::from(ended));
        }
        Ok(Whole { size_bytes, sha256: hash.finalize().into() })
    }
}
