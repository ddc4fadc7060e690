//! What is sent to Redis in one piece: packed XADD commands, and how many events each carries.

/// A chunk of more commands is sent.
const MAX_COMMANDS: usize = 512;

/// A chunk of more bytes is sent. One large geofence may be more than that by itself.
const MAX_BYTES: usize = 1 << 20;

/// Packed commands, in order.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    events: Vec<u32>,
}

impl Chunk {
    /// Appends `XADD key * name value ..`. `events`: how many it counts for.
    pub(crate) fn xadd(&mut self, key: &str, fields: &[(&[u8], &[u8])], events: u32) {
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

    /// Whether it should be sent before more is put in.
    pub(crate) fn is_full(&self) -> bool {
        self.events.len() >= MAX_COMMANDS || self.bytes.len() >= MAX_BYTES
    }

    /// Whether there is nothing to send.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The commands as Redis reads them.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many events each command counts for.
    pub(crate) fn events(&self) -> &[u32] {
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
        let mut chunk = Chunk::default();
        assert!(chunk.is_empty());
        chunk.xadd("wt:a:control", &[(b"json", b"{}"), (b"x", b"0123456789")], 3);
        let expected = b"*7\r\n$4\r\nXADD\r\n$12\r\nwt:a:control\r\n$1\r\n*\r\n$4\r\njson\r\n$2\r\n{}\r\n\
                         $1\r\nx\r\n$10\r\n0123456789\r\n";
        assert_eq!(chunk.bytes(), expected);
        assert_eq!(chunk.events(), [3]);
    }

    #[test]
    fn a_chunk_is_full_by_number_or_by_size() {
        let mut chunk = Chunk::default();
        (1..MAX_COMMANDS).for_each(|_| chunk.xadd("k", &[(b"a", b"b")], 1));
        assert!(!chunk.is_full());
        chunk.xadd("k", &[(b"a", b"b")], 1);
        assert!(chunk.is_full());
        let mut chunk = Chunk::default();
        chunk.xadd("k", &[(b"a", &vec![0; MAX_BYTES])], 1);
        assert!(chunk.is_full());
    }
}
