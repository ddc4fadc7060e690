//! Entries as they were read, in the form of their backend.

use watchtower_core::EntryId;

use crate::file;
use crate::redis::{ProtocolError, Reply};

/// Entries of several streams, in the order of each stream.
#[derive(Debug)]
pub enum Entries {
    /// A reply of Redis, not parsed yet.
    Redis(Reply),
    /// Rows of the log in a GeoPackage.
    File(file::Entries),
}

impl Entries {
    /// Bytes of all entries together, as the backend holds them.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Redis(reply) => reply.len(),
            Self::File(entries) => entries.size_bytes(),
        }
    }

    /// Passes stream, id and fields of each entry to `take`, in order. `keys` are the names of the streams.
    ///
    /// # Errors
    /// If a reply is malformed, or `take` fails; the rest is then not passed.
    pub fn each<E: From<ProtocolError>>(
        &self,
        keys: &[String],
        mut take: impl FnMut(usize, EntryId, &[(&[u8], &[u8])]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut fields = Vec::new();
        match self {
            Self::Redis(reply) => {
                let mut entries = reply.entries(keys)?;
                while let Some((stream, id)) = entries.next(&mut fields)? {
                    take(stream, id, &fields)?;
                }
            }
            Self::File(entries) => {
                let mut entries = entries.iter();
                while let Some((stream, id)) = entries.next(&mut fields) {
                    take(stream, id, &fields)?;
                }
            }
        }
        Ok(())
    }
}
