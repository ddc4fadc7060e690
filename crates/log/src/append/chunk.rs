//! Entries that are appended together, with the number of events in each.

use crate::file::Batch;

/// A chunk of more entries is sent.
const MAX_COMMANDS: usize = 512;

/// A chunk of more bytes is sent. One large geofence may be more than that by itself.
const MAX_BYTES: usize = 1 << 20;

/// Entries on their way.
#[derive(Debug)]
pub enum Chunk {
    /// Commands for a Redis.
    Redis(Commands),
    /// Into the log in a file, with the number of events of each.
    Log(Batch, Vec<u32>),
}

impl Chunk {
    /// Nothing yet, for Redis.
    pub fn for_redis() -> Self {
        Self::Redis(Commands::default())
    }

    /// Nothing yet, for the log in a file.
    pub fn for_a_log() -> Self {
        Self::Log(Batch::default(), Vec::new())
    }

    /// Adds an entry to the stream of this number and key. `events`: how many it counts for.
    pub fn push(&mut self, (stream, key): (usize, &str), fields: &[(&[u8], &[u8])], events: u32) {
        match self {
            Self::Redis(commands) => commands.xadd(key, fields, events),
            Self::Log(batch, counts) => {
                batch.push(stream, None, fields);
                counts.push(events);
            }
        }
    }

    /// Whether it should be sent before more is put in.
    pub fn is_full(&self) -> bool {
        let (entries, bytes) = match self {
            Self::Redis(commands) => (commands.events.len(), commands.bytes.len()),
            Self::Log(batch, _) => (batch.len(), batch.size_bytes()),
        };
        entries >= MAX_COMMANDS || bytes >= MAX_BYTES
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.entries() == 0
    }

    /// How many entries there are.
    pub fn entries(&self) -> usize {
        match self {
            Self::Redis(commands) => commands.events.len(),
            Self::Log(batch, _) => batch.len(),
        }
    }

    /// Takes all there is, and leaves nothing.
    pub fn take(&mut self) -> Self {
        let empty = match self {
            Self::Redis(_) => Self::for_redis(),
            Self::Log(..) => Self::for_a_log(),
        };
        std::mem::replace(self, empty)
    }
}

/// Packed XADD commands, in order.
#[derive(Debug, Default)]
pub struct Commands {
    bytes: Vec<u8>,
    events: Vec<u32>,
}

impl Commands {
    /// Appends `XADD key * name value ..`. `events`: how many it counts for.
    pub fn xadd(&mut self, key: &str, fields: &[(&[u8], &[u8])], events: u32) {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(MAX_BYTES + MAX_BYTES / 4);
        }
        self.header(b'*', 3 + 2 * fields.len());
        for argument in [b"XADD", key.as_bytes(), b"*"] {
            self.argument(argument);
        }
        for (name, value) in fields {
            self.argument(name);
            self.argument(value);
        }
        self.events.push(events);
    }

    /// Appends a command of these words, which carries no events.
    pub(super) fn command(&mut self, words: &[&[u8]]) {
        self.header(b'*', words.len());
        words.iter().for_each(|word| self.argument(word));
    }

    /// Appends the commands of another, without the number of their events.
    pub(super) fn extend(&mut self, other: &Self) {
        self.bytes.extend(&other.bytes);
    }

    /// The commands as Redis reads them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many events each command counts for.
    pub fn events(&self) -> &[u32] {
        &self.events
    }

    fn argument(&mut self, value: &[u8]) {
        self.header(b'$', value.len());
        self.bytes.extend(value);
        self.bytes.extend(b"\r\n");
    }

    fn header(&mut self, kind: u8, number: usize) {
        self.bytes.push(kind);
        let mut digits = [0; 20];
        let (mut at, mut rest) = (digits.len(), number);
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.bytes.extend(&digits[at..]);
        self.bytes.extend(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_packed_as_redis_reads_them() {
        let mut chunk = Commands::default();
        chunk.xadd("wt:a:control", &[(b"json", b"{}"), (b"x", b"0123456789")], 3);
        let expected = b"*7\r\n$4\r\nXADD\r\n$12\r\nwt:a:control\r\n$1\r\n*\r\n$4\r\njson\r\n$2\r\n{}\r\n\
                         $1\r\nx\r\n$10\r\n0123456789\r\n";
        assert_eq!(chunk.bytes(), expected);
        assert_eq!(chunk.events(), [3]);
    }

    #[test]
    fn a_chunk_is_full_by_number_or_by_size() {
        for empty in [Chunk::for_redis, Chunk::for_a_log] {
            let mut chunk = empty();
            assert!(chunk.is_empty());
            (1..MAX_COMMANDS).for_each(|_| chunk.push((0, "k"), &[(b"a", b"b")], 1));
            assert!(!chunk.is_full());
            chunk.push((0, "k"), &[(b"a", b"b")], 1);
            assert!(chunk.is_full());
            assert_eq!((chunk.take().entries(), chunk.entries()), (MAX_COMMANDS, 0));
            chunk.push((0, "k"), &[(b"a", &vec![0; MAX_BYTES])], 1);
            assert!(chunk.is_full());
        }
    }
}
