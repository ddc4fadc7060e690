//! Replies to XREAD and XRANGE, read where they lie.
//!
//! A reply is taken off the connection whole ([`Framer`] finds its end without looking twice at any
//! byte), and its entries are then slices of it ([`Entries`]).

use watchtower_core::EntryId;

use bytes::Bytes;

/// What arrived is not what the protocol says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unexpected reply: {0}")]
pub struct ProtocolError(String);

fn unexpected(what: &str, found: &[u8]) -> ProtocolError {
    let found = &found[..found.len().min(40)];
    ProtocolError(format!("expected {what}, found {:?}", String::from_utf8_lossy(found)))
}

/// Finds the end of a reply in bytes that keep coming.
#[derive(Debug)]
pub struct Framer {
    /// Everything before is understood.
    at: usize,
    /// Values that must still follow.
    pending: u64,
}

impl Default for Framer {
    fn default() -> Self {
        Self { at: 0, pending: 1 }
    }
}

impl Framer {
    /// The length of the reply at the beginning of `bytes`, once they hold all of it. `bytes` only grow
    /// from call to call.
    pub fn complete(&mut self, bytes: &[u8]) -> Result<Option<usize>, ProtocolError> {
        while self.pending > 0 {
            let Some(line) = line_end(&bytes[self.at..]) else { return Ok(None) };
            let (kind, rest) = (bytes[self.at], &bytes[self.at + 1..self.at + line - 2]);
            let after = self.at + line;
            match kind {
                b'+' | b'-' | b':' => self.at = after,
                b'*' => {
                    self.at = after;
                    self.pending += length(rest)?.unwrap_or(0);
                }
                b'$' => {
                    let end = length(rest)?.map_or(after, |length| after + length as usize + 2);
                    if end > bytes.len() {
                        return Ok(None);
                    }
                    self.at = end;
                }
                _ => return Err(unexpected("a reply", &bytes[self.at..])),
            }
            self.pending -= 1;
        }
        Ok(Some(self.at))
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
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// XREAD: entries of several streams, each with its key.
    Read,
    /// XRANGE of the stream with this index.
    Range(usize),
}

impl Reply {
    /// All bytes of one reply.
    pub fn new(bytes: Bytes, of: Of) -> Self {
        Self { bytes, of }
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

    /// Its entries; `keys` are those that were asked for.
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
            let found = self.keys.iter().position(|wanted| wanted.as_bytes() == key);
            self.stream = found.ok_or_else(|| unexpected("the key of a stream that was asked for", key))?;
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

fn parse_id(text: &[u8]) -> Option<EntryId> {
    let dash = text.iter().position(|&b| b == b'-')?;
    Some(EntryId { ms: number(&text[..dash])?, seq: number(&text[dash + 1..])? })
}

/// What has not been read yet of a complete reply.
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

    #[test]
    fn the_end_is_found_however_the_bytes_come() {
        for step in [1, 2, 3, 7, READ.len()] {
            let mut framer = Framer::default();
            let mut seen = 0;
            while seen < READ.len() {
                assert_eq!(framer.complete(&READ[..seen]), Ok(None), "after {seen} bytes");
                seen = (seen + step).min(READ.len());
            }
            let more = [READ, b"+OK\r\n"].concat();
            assert_eq!(framer.complete(&more), Ok(Some(READ.len())));
        }
        for simple in [&b"*-1\r\n"[..], b"+OK\r\n", b"-ERR no\r\n", b":12\r\n", b"$-1\r\n", b"$3\r\n\r\n1\r\n"] {
            assert_eq!(Framer::default().complete(simple), Ok(Some(simple.len())));
        }
        assert!(Framer::default().complete(b"?what\r\n").is_err());
        assert!(Framer::default().complete(b"*x\r\n").is_err());
    }

    #[test]
    fn entries_are_slices_of_the_reply() {
        let reply = Reply::new(Bytes::from_static(READ), Of::Read);
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
    fn nothing_new_and_errors_are_told_apart() {
        assert!(Reply::new(Bytes::from_static(b"*-1\r\n"), Of::Read).is_empty());
        let error = Reply::new(Bytes::from_static(b"-NOAUTH Authentication required.\r\n"), Of::Read);
        assert_eq!(error.error().as_deref(), Some("NOAUTH Authentication required."));
        assert!(error.entries(&keys()).is_err());
    }
}
