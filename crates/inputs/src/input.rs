//! An open file: decompressed if it is compressed, counted as it is read.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::Progress;

const BUFFER_BYTES: usize = 256 << 10;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A file's content, without a byte order mark.
pub(super) struct Input {
    content: Box<dyn BufRead + Send>,
    bytes_read: Arc<AtomicU64>,
    bytes_total: u64,
}

impl Input {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let bytes_total = file.metadata()?.len();
        let bytes_read = Arc::new(AtomicU64::new(0));
        let counted = Counted { file, bytes_read: Arc::clone(&bytes_read) };
        let (magic, file) = peek::<2>(BufReader::with_capacity(BUFFER_BYTES, counted))?;
        let content: Box<dyn BufRead + Send> = if magic == GZIP_MAGIC {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(file)))
        } else {
            Box::new(file)
        };
        let (mark, mut content) = peek::<3>(content)?;
        if mark == BYTE_ORDER_MARK {
            content.consume(BYTE_ORDER_MARK.len());
        }
        Ok(Self { content: Box::new(content), bytes_read, bytes_total })
    }

    pub(super) fn progress(&self) -> Progress {
        Progress { bytes_read: self.bytes_read.load(Ordering::Relaxed), bytes_total: self.bytes_total }
    }
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

/// The first `N` bytes, or fewer at the end, and a reader that still has them.
fn peek<const N: usize>(mut content: impl BufRead) -> io::Result<(Vec<u8>, Peeked<impl BufRead>)> {
    let mut head = Vec::with_capacity(N);
    (&mut content).take(N as u64).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(content)))
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
