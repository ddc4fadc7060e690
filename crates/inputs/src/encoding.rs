//! Texts that are not UTF-8: UTF-16 of spreadsheets, Windows-1252 of older programs.

use std::io::{self, BufRead, Read};

use encoding_rs::{Decoder, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Reads UTF-16 as UTF-8. What is no character becomes U+FFFD.
pub(crate) struct Utf16<R> {
    content: R,
    decoder: Decoder,
    ended: bool,
    /// What did not fit into the caller's buffer.
    left: Vec<u8>,
}

impl<R: BufRead> Utf16<R> {
    pub(crate) fn new(content: R, big_endian: bool) -> Self {
        let encoding = if big_endian { UTF_16BE } else { UTF_16LE };
        Self { content, decoder: encoding.new_decoder_with_bom_removal(), ended: false, left: Vec::new() }
    }
}

/// Reads text that should be UTF-8: what is not is Windows-1252. A text without a tag that goes on for too long is an
/// error, since a reader of XML would hold all of it.
pub(crate) struct Lenient<R> {
    content: R,
    /// What was decoded, and how much of it has been read.
    decoded: Vec<u8>,
    read: usize,
    /// Bytes since the last tag began.
    untagged: usize,
}

/// The longest text between two tags, and the longest tag. Bytes.
const MAX_UNTAGGED_BYTES: usize = 256 << 20;

impl<R: BufRead> Lenient<R> {
    pub(crate) fn new(content: R) -> Self {
        Self { content, decoded: Vec::new(), read: 0, untagged: 0 }
    }

    /// Decodes some more.
    fn refill(&mut self) -> io::Result<()> {
        (self.read, self.decoded) = (0, Vec::new());
        let chunk = self.content.fill_buf()?;
        let valid = match std::str::from_utf8(chunk) {
            Ok(_) => chunk.len(),
            Err(fault) => fault.valid_up_to(),
        };
        if valid > 0 || chunk.is_empty() {
            self.decoded.extend_from_slice(&chunk[..valid]);
            self.content.consume(valid);
            return Ok(());
        }
        // A character that is cut off by the end of the chunk, or none.
        let mut bytes = Vec::new();
        while let Some(&byte) = self.content.fill_buf()?.first() {
            bytes.push(byte);
            self.content.consume(1);
            match std::str::from_utf8(&bytes) {
                Err(fault) if fault.error_len().is_none() => {}
                Ok(_) | Err(_) => break,
            }
        }
        self.decoded = match String::from_utf8(bytes) {
            Ok(text) => text.into_bytes(),
            Err(fault) => windows_1252(fault.as_bytes()).into_bytes(),
        };
        Ok(())
    }
}

impl<R: BufRead> Read for Lenient<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.decoded.len() {
            self.refill()?;
        }
        let left = &self.decoded[self.read..];
        let taken = left.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&left[..taken]);
        self.untagged = match left[..taken].iter().rposition(|byte| *byte == b'<') {
            Some(at) => taken - at,
            None => self.untagged + taken,
        };
        if self.untagged > MAX_UNTAGGED_BYTES {
            return Err(io::Error::other(format!("more than {MAX_UNTAGGED_BYTES} bytes without a tag")));
        }
        self.read += taken;
        Ok(taken)
    }
}

impl Utf16<()> {
    /// Whether the text that begins like this is UTF-16, and then whether it is big-endian: by its mark, or by
    /// the zero bytes of characters that ASCII has too.
    pub(crate) fn order_of(head: &[u8]) -> Option<bool> {
        match head {
            [0xff, 0xfe, ..] => Some(false),
            [0xfe, 0xff, ..] => Some(true),
            [0, 1..=0x7f, 0, 1..=0x7f, ..] => Some(true),
            [1..=0x7f, 0, 1..=0x7f, 0, ..] => Some(false),
            _ => None,
        }
    }
}

impl<R: BufRead> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left.is_empty() && !self.ended {
            let bytes = self.content.fill_buf()?;
            let last = bytes.is_empty();
            let taken = bytes.len().min(16 << 10);
            let room = self.decoder.max_utf8_buffer_length(taken).unwrap_or(64 << 10);
            self.left.resize(room, 0);
            let (_, read, written, _) = self.decoder.decode_to_utf8(&bytes[..taken], &mut self.left, last);
            self.left.truncate(written);
            self.content.consume(read);
            self.ended = last;
        }
        let given = self.left.len().min(buffer.len());
        buffer[..given].copy_from_slice(&self.left[..given]);
        self.left.drain(..given);
        Ok(given)
    }
}

/// Reads lines that end with a carriage return as ones that end with a line feed.
pub(crate) struct CarriageReturns<R>(pub(crate) R);

impl<R: BufRead> Read for CarriageReturns<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.0.read(buffer)?;
        buffer[..bytes].iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
        Ok(bytes)
    }
}

/// The text of bytes in Windows-1252, of which ISO 8859-1 is part.
pub(crate) fn windows_1252(bytes: &[u8]) -> String {
    WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned()
}
