//! Replies to XREAD and XRANGE, read where they lie.
//!
//! A reply is taken off the connection whole ([`Framer`] finds its end without looking twice at any
//! byte), and its entries are then slices of it ([`Entries`]).

use std::ops::Range;

use bytes::Bytes;
use watchtower_core::EntryId;

/// Bytes that do not follow the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unexpected reply: {0}")]
pub struct ProtocolError(String);

fn unexpected(what: &str, found: &[u8]) -> ProtocolError {
    let found = &found[..found.len().min(40)];
    ProtocolError(format!("expected {what}, found {:?}", String::from_utf8_lossy(found)))
}

/// Finds the end of a reply in bytes that keep arriving, and on the way what it holds of each stream: the one walk over
/// a reply before it is decoded.
#[derive(Debug)]
pub struct Framer {
    of: Of,
    /// Everything before is understood.
    at: usize,
    /// Whether the reply's own value has begun.
    begun: bool,
    /// The arrays that are not complete yet, the outermost first.
    open: Vec<Level>,
    streams: Vec<Summary>,
}

/// An array of a reply that is not complete yet.
#[derive(Debug)]
struct Level {
    /// Values that must still follow.
    left: u64,
    /// Values of the reply seen so far.
    seen: u64,
}

/// The entries of one stream in a reply; texts are ranges of the reply's bytes.
#[derive(Clone, Debug)]
struct Summary {
    /// The key of the stream; empty for XRANGE, which does not repeat it.
    key: Range<usize>,
    entries: u64,
    /// The id of the last entry so far.
    last: Range<usize>,
}

impl Framer {
    /// At the beginning of a reply to a command.
    pub fn new(of: Of) -> Self {
        let streams = match of {
            Of::Read => Vec::new(),
            Of::Range(_) => vec![Summary { key: 0..0, entries: 0, last: 0..0 }],
        };
        Self { of, at: 0, begun: false, open: Vec::new(), streams }
    }

    /// The length of the reply at the beginning of `bytes`, once they hold all of it. `bytes` only grow from call to
    /// call.
    pub fn complete(&mut self, bytes: &[u8]) -> Result<Option<usize>, ProtocolError> {
        while !self.begun || !self.open.is_empty() {
            let Some(line) = line_end(&bytes[self.at..]) else { return Ok(None) };
            let (kind, rest) = (bytes[self.at], &bytes[self.at + 1..self.at + line - 2]);
            let after = self.at + line;
            match kind {
                b'+' | b'-' | b':' => {
                    self.at = after;
                    self.value(after..after);
                }
                b'*' => {
                    let values = length(rest)?.unwrap_or(0);
                    self.at = after;
                    self.array(values);
                }
                b'$' => {
                    let (text, end) = match length(rest)? {
                        Some(length) => (after..after + length as usize, after + length as usize + 2),
                        None => (after..after, after),
                    };
                    if end > bytes.len() {
                        return Ok(None);
                    }
                    self.at = end;
                    self.value(text);
                }
                _ => return Err(unexpected("a reply", &bytes[self.at..])),
            }
        }
        Ok(Some(self.at))
    }

    /// The complete reply, whose bytes were looked at.
    pub fn reply(self, bytes: Bytes) -> Reply {
        Reply { bytes, of: self.of, streams: self.streams }
    }

    /// Takes in an array of so many values.
    fn array(&mut self, values: u64) {
        self.count();
        if values > 0 {
            self.open.push(Level { left: values, seen: 0 });
        } else {
            self.close();
        }
    }

    /// Takes in a value that is no array: at two places of a reply it is a key or an id.
    fn value(&mut self, text: Range<usize>) {
        let depth_of_ids = match self.of {
            Of::Read => 4,
            Of::Range(_) => 2,
        };
        let is_first = self.open.last().is_some_and(|level| level.seen == 0);
        if is_first && self.open.len() == depth_of_ids {
            if let Some(stream) = self.streams.last_mut() {
                (stream.entries, stream.last) = (stream.entries + 1, text);
            }
        } else if is_first && self.open.len() == 2 && self.of == Of::Read {
            self.streams.push(Summary { key: text, entries: 0, last: 0..0 });
        }
        self.count();
        self.close();
    }

    fn count(&mut self) {
        self.begun = true;
        if let Some(level) = self.open.last_mut() {
            (level.left, level.seen) = (level.left.saturating_sub(1), level.seen + 1);
        }
    }

    /// Forgets the arrays that are complete.
    fn close(&mut self) {
        while self.open.last().is_some_and(|level| level.left == 0) {
            self.open.pop();
        }
    }
}

/// The length of the first line, its end included.
fn line_end(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let cr = from + bytes[from..].iter().position(|&b| b == b'\r')?;
        match bytes.get(cr + 1) {
            Some(b'\n') => return Some(cr + 2),
            Some(_) => from = cr + 1,
            None => return None,
        }
    }
}

/// A length; -1 is none.
fn length(digits: &[u8]) -> Result<Option<u64>, ProtocolError> {
    if digits == b"-1" {
        return Ok(None);
    }
    number(digits).map(Some).ok_or_else(|| unexpected("a length", digits))
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// A complete reply.
#[derive(Clone, Debug)]
pub struct Reply {
    bytes: Bytes,
    of: Of,
    streams: Vec<Summary>,
}

/// How much of a stream a reply holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamEntries {
    /// Index of the stream among the requested keys.
    pub stream: usize,
    /// Number of its entries, at least one.
    pub entries: u64,
    /// Id of the last of them.
    pub last: EntryId,
}

/// The command that a reply answers; replies do not name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// XREAD: entries of several streams, each with its key.
    Read,
    /// XRANGE of the stream with this index.
    Range(usize),
}

impl Reply {
    /// Entries by stream, without walking the reply; `keys` are those of the request.
    ///
    /// # Errors
    /// If it holds a stream that was not requested, or an invalid id.
    pub fn streams(&self, keys: &[String]) -> Result<Vec<StreamEntries>, ProtocolError> {
        let summary = |Summary { key, entries, last }: &Summary| {
            let (key, last) = (&self.bytes[key.clone()], &self.bytes[last.clone()]);
            let stream = match self.of {
                Of::Read => stream_of(key, keys)?,
                Of::Range(stream) => stream,
            };
            let last = parse_id(last).ok_or_else(|| unexpected("the id of an entry", last))?;
            Ok(StreamEntries { stream, entries: *entries, last })
        };
        self.streams.iter().filter(|stream| stream.entries > 0).map(summary).collect()
    }

    /// Number of its entries.
    pub fn entry_count(&self) -> u64 {
        self.streams.iter().map(|stream| stream.entries).sum()
    }

    /// How large it is.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it holds no entry.
    pub fn is_empty(&self) -> bool {
        matches!(&self.bytes[..], b"*-1\r\n" | b"*0\r\n")
    }

    /// The error it is, if it is one.
    pub fn error(&self) -> Option<String> {
        let line = self.bytes.strip_prefix(b"-")?;
        Some(String::from_utf8_lossy(line).trim_end().to_owned())
    }

    /// Its entries; `keys` are the requested ones.
    pub fn entries<'a>(&'a self, keys: &'a [String]) -> Result<Entries<'a>, ProtocolError> {
        let mut parser = Parser { rest: &self.bytes };
        let (streams, stream, entries) = match self.of {
            Of::Read => (parser.array()?.unwrap_or(0), 0, 0),
            Of::Range(stream) => (0, stream, parser.array()?.unwrap_or(0)),
        };
        Ok(Entries { parser, keys, streams, stream, entries })
    }
}

/// The entries of a reply, in order.
#[derive(Debug)]
pub struct Entries<'a> {
    parser: Parser<'a>,
    keys: &'a [String],
    /// Streams that follow after the current one.
    streams: u64,
    /// The current one, and how many of its entries follow.
    stream: usize,
    entries: u64,
}

/// The fields of an entry: names and values.
pub type Pairs<'a> = Vec<(&'a [u8], &'a [u8])>;

impl<'a> Entries<'a> {
    /// The next entry: the index of its stream among the keys, its id, and in `fields` its fields.
    pub fn next(&mut self, fields: &mut Pairs<'a>) -> Result<Option<(usize, EntryId)>, ProtocolError> {
        while self.entries == 0 {
            if self.streams == 0 {
                return Ok(None);
            }
            self.streams -= 1;
            self.parser.array()?;
            let key = self.parser.bulk()?;
            self.stream = stream_of(key, self.keys)?;
            self.entries = self.parser.array()?.unwrap_or(0);
        }
        self.entries -= 1;
        self.parser.array()?;
        let id = self.parser.bulk()?;
        let id = parse_id(id).ok_or_else(|| unexpected("the id of an entry", id))?;
        fields.clear();
        let values = self.parser.array()?.unwrap_or(0);
        for _ in 0..values / 2 {
            fields.push((self.parser.bulk()?, self.parser.bulk()?));
        }
        Ok(Some((self.stream, id)))
    }
}

/// Index of a key among the requested ones.
fn stream_of(key: &[u8], keys: &[String]) -> Result<usize, ProtocolError> {
    let found = keys.iter().position(|wanted| wanted.as_bytes() == key);
    found.ok_or_else(|| unexpected("the key of a stream that was asked for", key))
}

fn parse_id(text: &[u8]) -> Option<EntryId> {
    let dash = text.iter().position(|&b| b == b'-')?;
    Some(EntryId { ms: number(&text[..dash])?, seq: number(&text[dash + 1..])? })
}

/// The unread rest of a complete reply.
#[derive(Debug)]
struct Parser<'a> {
    rest: &'a [u8],
}

impl<'a> Parser<'a> {
    fn head(&mut self, kind: u8, what: &str) -> Result<Option<u64>, ProtocolError> {
        match (self.rest.first(), line_end(self.rest)) {
            (Some(&found), Some(end)) if found == kind => {
                let length = length(&self.rest[1..end - 2])?;
                self.rest = &self.rest[end..];
                Ok(length)
            }
            _ => Err(unexpected(what, self.rest)),
        }
    }

    fn array(&mut self) -> Result<Option<u64>, ProtocolError> {
        self.head(b'*', "an array")
    }

    fn bulk(&mut self) -> Result<&'a [u8], ProtocolError> {
        let length = self.head(b'$', "a string")?.unwrap_or(0) as usize;
        if self.rest.len() < length + 2 {
            return Err(unexpected("a longer reply", self.rest));
        }
        let (string, rest) = self.rest.split_at(length);
        self.rest = &rest[2..];
        Ok(string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: &[u8] =
        b"*2\r\n*2\r\n$1\r\na\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nk\r\n$4\r\nv\r\nw\r\n*2\r\n$3\r\n1-7\r\n*0\r\n\
        *2\r\n$1\r\nb\r\n*1\r\n*2\r\n$20\r\n18446744073709551-12\r\n*4\r\n$1\r\nx\r\n$0\r\n\r\n$1\r\ny\r\n$1\r\nz\r\n";

    fn keys() -> Vec<String> {
        vec!["a".to_owned(), "b".to_owned()]
    }

    fn reply(bytes: &'static [u8]) -> Reply {
        let mut framer = Framer::new(Of::Read);
        assert_eq!(framer.complete(bytes), Ok(Some(bytes.len())));
        framer.reply(Bytes::from_static(bytes))
    }

    #[test]
    fn the_end_is_found_however_the_bytes_come() {
        for step in [1, 2, 3, 7, READ.len()] {
            let mut framer = Framer::new(Of::Read);
            let mut seen = 0;
            while seen < READ.len() {
                assert_eq!(framer.complete(&READ[..seen]), Ok(None), "after {seen} bytes");
                seen = (seen + step).min(READ.len());
            }
            let more = [READ, b"+OK\r\n"].concat();
            assert_eq!(framer.complete(&more), Ok(Some(READ.len())));
        }
        for simple in [&b"*-1\r\n"[..], b"+OK\r\n", b"-ERR no\r\n", b":12\r\n", b"$-1\r\n", b"$3\r\n\r\n1\r\n"] {
            assert_eq!(Framer::new(Of::Read).complete(simple), Ok(Some(simple.len())));
        }
        assert!(Framer::new(Of::Read).complete(b"?what\r\n").is_err());
        assert!(Framer::new(Of::Read).complete(b"*x\r\n").is_err());
    }

    #[test]
    fn entries_are_slices_of_the_reply() {
        let reply = reply(READ);
        let keys = keys();
        let mut entries = reply.entries(&keys).unwrap();
        let mut fields = Vec::new();
        let mut seen = Vec::new();
        while let Some((stream, id)) = entries.next(&mut fields).unwrap() {
            seen.push((stream, id.to_string(), fields.len()));
        }
        let expected = [(0, "1-0", 1), (0, "1-7", 0), (1, "18446744073709551-12", 2)];
        assert_eq!(seen, expected.map(|(stream, id, fields)| (stream, id.to_owned(), fields)));
    }

    #[test]
    fn what_a_reply_holds_is_known_without_decoding_it() {
        let keys = keys();
        let of = |stream, entries, ms, seq| StreamEntries { stream, entries, last: EntryId { ms, seq } };
        let found = reply(READ);
        assert_eq!(found.streams(&keys), Ok(vec![of(0, 2, 1, 7), of(1, 1, 18_446_744_073_709_551, 12)]));
        assert_eq!(found.entry_count(), 3);
        assert!(found.streams(&keys[..1]).is_err(), "a stream that was not asked for");

        let range: &[u8] = b"*2\r\n*2\r\n$3\r\n5-0\r\n*2\r\n$1\r\nk\r\n$1\r\nv\r\n*2\r\n$3\r\n6-1\r\n*0\r\n";
        let mut framer = Framer::new(Of::Range(1));
        assert_eq!(framer.complete(range), Ok(Some(range.len())));
        assert_eq!(framer.reply(Bytes::from_static(range)).streams(&keys), Ok(vec![of(1, 2, 6, 1)]));
        assert_eq!(reply(b"*-1\r\n").streams(&keys), Ok(vec![]));
    }

    #[test]
    fn nothing_new_and_errors_are_told_apart() {
        assert!(reply(b"*-1\r\n").is_empty());
        let error = reply(b"-NOAUTH Authentication required.\r\n");
        assert_eq!(error.error().as_deref(), Some("NOAUTH Authentication required."));
        assert!(error.entries(&keys()).is_err());
    }
}
