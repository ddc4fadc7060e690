//! An open file: decompressed if it is compressed, as UTF-8 if it is UTF-16, counted as it is read.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::encoding::{CarriageReturns, Utf16};
use super::{Progress, SourceError};
use watchtower_core::events::{Reason, Rejection};

/// The largest document, decompressed, in bytes. It is held in memory while its records are read, beside what is made of
/// it, which may be several times as much.
pub const MAX_DOCUMENT_BYTES: u64 = 256 << 20;
/// Bytes that deflate makes of one byte at most.
const MAX_INFLATION: u64 = 1032;

/// What helps with a document of geofences that is too large.
pub(super) const SPLIT: &str =
    "split it (ogr2ogr -f GeoJSONSeq makes one feature per line of it, and split -C 200m files of those lines)";
/// What helps with a document of positions that is too large.
pub(super) const ONE_PER_LINE: &str = "write one object per line, which is read line by line, or split it";

const BUFFER_BYTES: usize = 256 << 10;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Bytes that are read before anything is decided, so that a mark is whole.
const MIN_HEAD_BYTES: usize = 4;
/// Bytes of which the beginning of a file is made at most.
const HEAD_BYTES: usize = 64 << 10;

/// A file's content, without a byte order mark.
pub(super) struct Input {
    content: Box<dyn BufRead + Send>,
    head: Vec<u8>,
    encoding: Encoding,
    is_compressed: bool,
    bytes_read: Arc<AtomicU64>,
    bytes_total: u64,
}

/// How a file says that it is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// It does not: it has no mark.
    Unmarked,
    /// By the mark of UTF-8.
    Utf8,
    /// It is UTF-16, by its mark or by its zeros.
    Utf16,
}

impl Input {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let bytes_total = file.metadata()?.len();
        let bytes_read = Arc::new(AtomicU64::new(0));
        let counted = Counted { file, bytes_read: Arc::clone(&bytes_read) };
        let (magic, file) = peek(BufReader::with_capacity(BUFFER_BYTES, counted))?;
        let is_compressed = magic.starts_with(&GZIP_MAGIC);
        let content: Box<dyn BufRead + Send> = if is_compressed {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(file)))
        } else {
            Box::new(file)
        };
        let (mut head, mut content) = peek(content)?;
        let mut encoding = Encoding::Unmarked;
        if head.starts_with(BYTE_ORDER_MARK) {
            content.consume(BYTE_ORDER_MARK.len());
            head.drain(..BYTE_ORDER_MARK.len());
            encoding = Encoding::Utf8;
        }
        let mut content: Box<dyn BufRead + Send> = Box::new(content);
        if let Some(big_endian) = Utf16::order_of(&head) {
            encoding = Encoding::Utf16;
            let (text_head, text) = peek(BufReader::new(Utf16::new(content, big_endian)))?;
            (head, content) = (text_head, Box::new(text));
        }
        // Lines that end as on an old Macintosh, or in a spreadsheet's "CSV (Macintosh)".
        if head.contains(&b'\r') && !head.contains(&b'\n') && !head.contains(&0) {
            head.iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
            content = Box::new(BufReader::new(CarriageReturns(content)));
        }
        Ok(Self { content, head, encoding, is_compressed, bytes_read, bytes_total })
    }

    pub(super) fn progress(&self) -> Progress {
        self.gauge().progress()
    }

    /// What says how far the file has been read, once the input is in a reader's hands.
    pub(super) fn gauge(&self) -> Gauge {
        Gauge { bytes_read: Arc::clone(&self.bytes_read), bytes_total: self.bytes_total }
    }

    /// The beginning of the content, some of which may have been read already.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The same file with this content, which was read from it.
    pub(super) fn with_content(self, content: Vec<u8>) -> Self {
        Self { content: Box::new(Cursor::new(content)), ..self }
    }

    /// All of a document; nothing if it is larger than [`MAX_DOCUMENT_BYTES`], of which no more is held than of any other
    /// file that is read as it comes.
    pub(super) fn read_document(&mut self, path: &Path) -> Result<Option<Vec<u8>>, SourceError> {
        let failed = |source| SourceError::Read { path: path.to_owned(), source };
        if self.is_too_large(path).map_err(failed)? {
            return Ok(None);
        }
        let mut document = Vec::new();
        self.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut document).map_err(failed)?;
        // A file may have grown, and the size of a pipe is not known.
        Ok((document.len() as u64 <= MAX_DOCUMENT_BYTES).then_some(document))
    }

    /// Whether a file is larger than a document may be: by its size on disk, and of a compressed one by inflating it once
    /// without keeping anything.
    fn is_too_large(&self, path: &Path) -> io::Result<bool> {
        let bytes_per_character = if self.encoding == Encoding::Utf16 { 2 } else { 1 };
        if !self.is_compressed {
            return Ok(self.bytes_total / bytes_per_character > MAX_DOCUMENT_BYTES);
        }
        if self.bytes_total.saturating_mul(MAX_INFLATION) <= MAX_DOCUMENT_BYTES || !path.is_file() {
            return Ok(false);
        }
        let inflated = io::copy(&mut Self::open(path)?.take(MAX_DOCUMENT_BYTES + 1), &mut io::sink())?;
        Ok(inflated > MAX_DOCUMENT_BYTES)
    }
}

/// Why a document is refused that is larger than [`MAX_DOCUMENT_BYTES`].
pub(super) fn too_large(cure: &str) -> Rejection {
    let detail = format!("expected a document of at most {} MiB, decompressed: {cure}", MAX_DOCUMENT_BYTES >> 20);
    Rejection::new(Reason::TooLarge, detail)
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.content.read(buffer)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.content.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.content.consume(bytes);
    }
}

type Peeked<R> = Chain<Cursor<Vec<u8>>, R>;

/// The first bytes as far as they are there, and a reader that still has them. A pipe is not waited for beyond
/// the few that a mark may have.
fn peek(mut content: impl BufRead) -> io::Result<(Vec<u8>, Peeked<impl BufRead>)> {
    let mut head = Vec::new();
    while head.len() < MIN_HEAD_BYTES {
        let bytes = content.fill_buf()?;
        if bytes.is_empty() {
            break;
        }
        let taken = bytes.len().min(HEAD_BYTES);
        head.extend_from_slice(&bytes[..taken]);
        content.consume(taken);
    }
    Ok((head.clone(), Cursor::new(head).chain(content)))
}

/// What is read of a document.
pub(super) type Content = Box<dyn BufRead + Send>;

/// How far a file has been read.
pub(super) struct Gauge {
    bytes_read: Arc<AtomicU64>,
    bytes_total: u64,
}

impl Gauge {
    pub(super) fn progress(&self) -> Progress {
        Progress { bytes_read: self.bytes_read.load(Ordering::Relaxed), bytes_total: self.bytes_total }
    }
}

struct Counted {
    file: File,
    bytes_read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read(buffer)?;
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}
