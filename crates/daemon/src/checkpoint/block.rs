//! Files of blocks: each block compressed, each with a checksum; the last one holds their number.
//!
//! ```text
//! magic (8) | format (4) | kind of file (1) | commit (8) | writer (8): the name of the file
//! block: length compressed (4) | CRC-32 of what follows in the block (4) | number (4) | bytes
//! end:   length 0xffffffff (4) | CRC-32 (4) | number of blocks (4)
//! ```
//! Numbers are little-endian. Bytes are the zstd-compressed postcard of one value.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::FORMAT;
use super::contents::FileName;

const MAGIC: &[u8; 8] = b"WTCHKPT\0";
/// Marks the end of the file, in place of a length.
const END: u32 = u32::MAX;
/// Compression level of zstd: the fastest.
const LEVEL: i32 = 1;
/// Limit of a compressed block. A greater length means a broken file, and no memory is allocated for it.
const MAX_BLOCK_BYTES: u32 = 1 << 30;

/// What a checkpoint file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A checkpoint: heads, edits, and where its chunks are.
    Checkpoint = 1,
    /// A segment: full chunks of timelines.
    Chunks = 2,
}

/// A file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The operating system reported an error.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The file does not begin with the magic number.
    #[error("it is not a checkpoint file")]
    Foreign,
    /// The header holds another name: the file was copied or renamed.
    #[error("it is {0} under another name")]
    Renamed(FileName),
    /// Another version of this program wrote the file.
    #[error("it has format {found}, this program knows {FORMAT}")]
    Format {
        /// Format number in the file.
        found: u32,
    },
    /// The file was changed, or is incomplete.
    #[error("it is broken at block {block}: {fault}")]
    Broken {
        /// Number of the first broken block.
        block: u32,
        /// The fault of that block.
        fault: &'static str,
    },
}

/// Writes a file block by block.
#[derive(Debug)]
pub struct BlockWriter<W: Write> {
    out: W,
    blocks: u32,
}

impl<W: Write> BlockWriter<W> {
    /// Writes the header of a file.
    pub fn new(mut out: W, kind: Kind, name: FileName) -> Result<Self, BlockError> {
        out.write_all(MAGIC)?;
        out.write_all(&FORMAT.to_le_bytes())?;
        out.write_all(&[kind as u8])?;
        out.write_all(&name.commit_seq.to_le_bytes())?;
        out.write_all(&name.writer.to_le_bytes())?;
        Ok(Self { out, blocks: 0 })
    }

    /// Writes a value as the next block; returns the block's number.
    pub fn write(&mut self, value: &impl Serialize) -> Result<u32, BlockError> {
        let plain = postcard::to_stdvec(value).map_err(io::Error::other)?;
        let bytes = zstd::bulk::compress(&plain, LEVEL)?;
        let number = self.blocks;
        self.out.write_all(&(bytes.len() as u32).to_le_bytes())?;
        self.out.write_all(&checksum(number, &bytes).to_le_bytes())?;
        self.out.write_all(&number.to_le_bytes())?;
        self.out.write_all(&bytes)?;
        self.blocks += 1;
        Ok(number)
    }

    /// Writes the end of the file.
    pub fn finish(mut self) -> Result<W, BlockError> {
        self.out.write_all(&END.to_le_bytes())?;
        self.out.write_all(&checksum(self.blocks, b"").to_le_bytes())?;
        self.out.write_all(&self.blocks.to_le_bytes())?;
        Ok(self.out)
    }
}

fn checksum(number: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

fn bytes<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The blocks of a file: verified, still compressed.
#[derive(Debug)]
pub struct Blocks(Vec<Vec<u8>>);

impl Blocks {
    /// Reads and verifies a whole file.
    pub fn read(mut input: impl Read, kind: Kind, name: FileName) -> Result<Self, BlockError> {
        let magic = bytes::<8>(&mut input).map_err(|_| BlockError::Foreign)?;
        if magic != *MAGIC {
            return Err(BlockError::Foreign);
        }
        let format = u32::from_le_bytes(bytes(&mut input)?);
        if format != FORMAT {
            return Err(BlockError::Format { found: format });
        }
        if bytes(&mut input)? != [kind as u8] {
            return Err(BlockError::Foreign);
        }
        let commit_seq = i64::from_le_bytes(bytes(&mut input)?);
        let found = FileName { commit_seq, writer: u64::from_le_bytes(bytes(&mut input)?) };
        if found != name {
            return Err(BlockError::Renamed(found));
        }
        let mut blocks = Vec::new();
        loop {
            let block = blocks.len() as u32;
            let broken = |fault| BlockError::Broken { block, fault };
            let mut word = || match bytes(&mut input) {
                Ok(bytes) => Ok(u32::from_le_bytes(bytes)),
                Err(_) => Err(broken("the file ends too early")),
            };
            let (length, expected, number) = (word()?, word()?, word()?);
            if number != block {
                return Err(broken("the block has another number"));
            }
            if length == END {
                if checksum(block, b"") != expected {
                    return Err(broken("the checksum differs"));
                }
                return match input.read(&mut [0])? {
                    0 => Ok(Self(blocks)),
                    _ => Err(broken("bytes follow the end")),
                };
            }
            if length > MAX_BLOCK_BYTES {
                return Err(broken("the length is out of range"));
            }
            let mut bytes = Vec::new();
            input.by_ref().take(length.into()).read_to_end(&mut bytes)?;
            if bytes.len() != length as usize {
                return Err(broken("the file ends too early"));
            }
            if checksum(block, &bytes) != expected {
                return Err(broken("the checksum differs"));
            }
            blocks.push(bytes);
        }
    }

    /// Number of blocks.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Decodes a block.
    pub fn value<T: DeserializeOwned>(&self, block: usize) -> Result<T, BlockError> {
        let broken = |fault| BlockError::Broken { block: block as u32, fault };
        let bytes = self.0.get(block).ok_or_else(|| broken("the block is missing"))?;
        let plain = zstd::stream::decode_all(&bytes[..]).map_err(|_| broken("it cannot be decompressed"))?;
        postcard::from_bytes(&plain).map_err(|_| broken("it holds a value of another type"))
    }

    /// Decodes all blocks from `from` on, on as many threads as there are processors.
    pub fn values<T: DeserializeOwned + Send>(&self, from: usize) -> Result<Vec<T>, BlockError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let numbers: Vec<usize> = (from..self.len()).collect();
        let share = numbers.len().div_ceil(threads).max(1);
        let mut values = Vec::with_capacity(numbers.len());
        std::thread::scope(|scope| {
            let decoding: Vec<_> = numbers
                .chunks(share)
                .map(|mine| scope.spawn(|| mine.iter().map(|&i| self.value(i)).collect::<Result<Vec<T>, _>>()))
                .collect();
            for decoded in decoding {
                values.extend(decoded.join().expect("decoding returns errors and does not panic")?);
            }
            Ok::<_, BlockError>(())
        })?;
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: FileName = FileName { commit_seq: 7, writer: 3 };

    fn file() -> Vec<u8> {
        let mut writer = BlockWriter::new(Vec::new(), Kind::Chunks, NAME).unwrap();
        assert_eq!(writer.write(&"first").unwrap(), 0);
        assert_eq!(writer.write(&"second").unwrap(), 1);
        writer.finish().unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let blocks = Blocks::read(&file()[..], Kind::Chunks, NAME).unwrap();
        assert_eq!(blocks.values::<String>(0).unwrap(), ["first", "second"]);
        assert_eq!(blocks.values::<String>(1).unwrap(), ["second"]);
    }

    #[test]
    fn every_flipped_bit_and_every_missing_end_is_noticed() {
        let file = file();
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut flipped = file.clone();
                flipped[at] ^= 1 << bit;
                assert!(Blocks::read(&flipped[..], Kind::Chunks, NAME).is_err(), "bit {bit} of byte {at}");
            }
            assert!(Blocks::read(&file[..at], Kind::Chunks, NAME).is_err(), "cut at {at}");
        }
        assert!(Blocks::read(&[&file[..], b"x"].concat()[..], Kind::Chunks, NAME).is_err(), "something after the end");
        assert!(matches!(Blocks::read(&file[..], Kind::Checkpoint, NAME), Err(BlockError::Foreign)));
        assert!(matches!(Blocks::read(&b"PK\x03\x04"[..], Kind::Chunks, NAME), Err(BlockError::Foreign)));
        let other = FileName { commit_seq: 8, ..NAME };
        assert!(matches!(Blocks::read(&file[..], Kind::Chunks, other), Err(BlockError::Renamed(NAME))));
    }
}
