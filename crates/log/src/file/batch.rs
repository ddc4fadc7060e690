//! Entries in memory: on their way into the log, and out of it.
//!
//! The fields of an entry are one blob: for each its name and its value, each behind its length (LEB128).

use std::ops::Range;

use watchtower_core::EntryId;

/// Entries to be appended, in order.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    entries: Vec<(usize, Option<EntryId>, usize)>,
}

impl Batch {
    /// Adds an entry to a stream, by the stream's number (the control stream is the last one): names and values
    /// of its fields. Without an id it gets that of the moment at which it is appended.
    pub fn push(&mut self, stream: usize, id: Option<EntryId>, fields: &[(&[u8], &[u8])]) {
        for part in fields.iter().flat_map(|(name, value)| [name, value]) {
            put_length(&mut self.bytes, part.len());
            self.bytes.extend_from_slice(part);
        }
        self.entries.push((stream, id, self.bytes.len()));
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How large they are.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Stream, id and packed fields of each.
    pub(super) fn packed(&self) -> impl Iterator<Item = (usize, Option<EntryId>, &[u8])> {
        let mut begin = 0;
        self.entries
            .iter()
            .map(move |&(stream, id, end)| (stream, id, &self.bytes[std::mem::replace(&mut begin, end)..end]))
    }
}

/// Entries that were read, in order, without a gap.
#[derive(Debug, Default)]
pub struct Entries {
    bytes: Vec<u8>,
    entries: Vec<(usize, EntryId, Range<usize>)>,
    /// The number of the last one; where reading began, if there is none.
    last: u64,
}

impl Entries {
    pub(super) fn after(position: u64) -> Self {
        Self { last: position, ..Self::default() }
    }

    /// Takes in the next one. False if its fields are none.
    pub(super) fn push(&mut self, stream: usize, id: EntryId, packed: &[u8]) -> bool {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(packed);
        self.entries.push((stream, id, begin..self.bytes.len()));
        self.last += 1;
        Unpacked(packed).all(|part| part.is_some())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How large they are.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The number of the last one; where reading began, if there is none.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// One after the other.
    pub fn iter(&self) -> Iter<'_> {
        Iter { entries: self, next: 0 }
    }
}

/// Entries, one after the other.
#[derive(Debug)]
pub struct Iter<'a> {
    entries: &'a Entries,
    next: usize,
}

impl<'a> Iter<'a> {
    /// The next entry: the number of its stream, its id, and in `fields` its fields.
    pub fn next(&mut self, fields: &mut Vec<(&'a [u8], &'a [u8])>) -> Option<(usize, EntryId)> {
        let (stream, id, range) = self.entries.entries.get(self.next)?;
        self.next += 1;
        let mut parts = Unpacked(&self.entries.bytes[range.clone()]).flatten();
        let pair = || Some((parts.next()?, parts.next()?));
        fields.clear();
        fields.extend(std::iter::from_fn(pair));
        Some((*stream, *id))
    }
}

fn put_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// The parts of a blob; one that is cut off is none, and the last.
struct Unpacked<'a>(&'a [u8]);

impl<'a> Iterator for Unpacked<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let part = self.part();
        if part.is_none() {
            self.0 = &[];
        }
        Some(part)
    }
}

impl<'a> Unpacked<'a> {
    fn part(&mut self) -> Option<&'a [u8]> {
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            length |= usize::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                break;
            }
            shift += 7;
        }
        let (part, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_any_length_come_back() {
        let long = vec![b'x'; 20_000];
        let fields: [&[(&[u8], &[u8])]; 3] =
            [&[(b"json", &long), (b"", b"")], &[], &[(b"a", b"1"), (b"b", &long[..128])]];
        let mut batch = Batch::default();
        fields.iter().enumerate().for_each(|(stream, fields)| batch.push(stream, None, fields));
        let mut entries = Entries::after(7);
        for (stream, _, packed) in batch.packed() {
            assert!(entries.push(stream, EntryId::ZERO, packed));
        }
        let (mut found, mut next) = (entries.iter(), Vec::new());
        for (stream, fields) in fields.iter().enumerate() {
            assert_eq!(found.next(&mut next), Some((stream, EntryId::ZERO)));
            assert_eq!(next, *fields);
        }
        assert_eq!(found.next(&mut next), None);
        assert_eq!((entries.len(), entries.last()), (3, 10));
    }

    #[test]
    fn a_blob_that_is_cut_off_is_noticed() {
        let mut batch = Batch::default();
        batch.push(0, None, &[(b"name", b"value")]);
        let packed = batch.packed().next().unwrap().2;
        for end in 1..packed.len() {
            // Between two parts nothing is missing but the value.
            assert_eq!(Entries::default().push(0, EntryId::ZERO, &packed[..end]), end == 5, "{end}");
        }
        assert!(!Entries::default().push(0, EntryId::ZERO, &[0xff; 30]));
    }
}
