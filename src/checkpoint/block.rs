//! Files of blocks: each compressed, each with a checksum, the last one saying how many there were.
//!
//! ```text
//! magic (8) | format (4) | kind of file (1)
//! block: length compressed (4) | CRC-32 of what follows in the block (4) | number (4) | bytes
//! end:   length 0xffffffff (4) | CRC-32 (4) | number of blocks (4)
//! ```
//! Numbers are little-endian. Bytes are the zstd-compressed postcard of one value.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::FORMAT;

const MAGIC: &[u8; 8] = b"WTCHKPT\0";
/// Instead of a length: the file ends here.
const END: u32 = u32::MAX;
/// Fast, and small enough.
const LEVEL: i32 = 1;
/// No block is larger, compressed; a length beyond it is a broken file, not a reason to ask for memory.
const MAX_BLOCK_BYTES: u32 = 1 << 30;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A checkpoint.
    Checkpoint = 1,
    /// Chunks.
    Chunks = 2,
}

/// A file is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// It cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is no file of ours.
    #[error("it is not a file of checkpoints")]
    Foreign,
    /// A later or earlier program wrote it.
    #[error("it has format {found}, this program knows {FORMAT}")]
    Format {
        /// Which.
        found: u32,
    },
    /// It was changed or not written to its end.
    #[error("it is broken at block {block}: {fault}")]
    Broken {
        /// Which block.
        block: u32,
        /// What is wrong with it.
        fault: &'static str,
    },
}

/// Writes blocks.
#[derive(Debug)]
pub struct BlockWriter<W: Write> {
    out: W,
    blocks: u32,
}

impl<W: Write> BlockWriter<W> {
    /// Begins a file.
    pub fn new(mut out: W, kind: Kind) -> Result<Self, BlockError> {
        out.write_all(MAGIC)?;
        out.write_all(&FORMAT.to_le_bytes())?;
        out.write_all(&[kind as u8])?;
        Ok(Self { out, blocks: 0 })
    }

    /// Writes a value; returns the number of its block.
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

    /// Ends the file.
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

/// A file's blocks, checked, still compressed.
#[derive(Debug)]
pub struct Blocks(Vec<Vec<u8>>);

impl Blocks {
    /// Reads a whole file.
    pub fn read(mut input: impl Read, kind: Kind) -> Result<Self, BlockError> {
        let mut head = [0; 13];
        input.read_exact(&mut head).map_err(|_| BlockError::Foreign)?;
        let (magic, rest) = head.split_at(8);
        let (format, file_kind) = rest.split_at(4);
        if magic != MAGIC {
            return Err(BlockError::Foreign);
        }
        let format = u32::from_le_bytes([format[0], format[1], format[2], format[3]]);
        if format != FORMAT {
            return Err(BlockError::Format { found: format });
        }
        if file_kind != [kind as u8] {
            return Err(BlockError::Foreign);
        }
        let mut blocks = Vec::new();
        loop {
            let block = blocks.len() as u32;
            let broken = |fault| BlockError::Broken { block, fault };
            let mut word = || -> Result<u32, BlockError> {
                let mut bytes = [0; 4];
                input.read_exact(&mut bytes).map_err(|_| broken("the file ends too early"))?;
                Ok(u32::from_le_bytes(bytes))
            };
            let (length, expected, number) = (word()?, word()?, word()?);
            if number != block {
                return Err(broken("another one is in its place"));
            }
            if length == END {
                if checksum(block, b"") != expected {
                    return Err(broken("the checksum differs"));
                }
                return match input.read(&mut [0])? {
                    0 => Ok(Self(blocks)),
                    _ => Err(broken("more follows")),
                };
            }
            if length > MAX_BLOCK_BYTES {
                return Err(broken("its length cannot be"));
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

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value of a block.
    pub fn value<T: DeserializeOwned>(&self, block: usize) -> Result<T, BlockError> {
        let broken = |fault| BlockError::Broken { block: block as u32, fault };
        let bytes = self.0.get(block).ok_or_else(|| broken("there is none"))?;
        let plain = zstd::stream::decode_all(&bytes[..]).map_err(|_| broken("it cannot be unpacked"))?;
        postcard::from_bytes(&plain).map_err(|_| broken("it holds something else"))
    }

    /// The values of all blocks from one on, decoded by as many threads as there are processors.
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
                values.extend(decoded.join().expect("decoding reports what is wrong and does not panic")?);
            }
            Ok::<_, BlockError>(())
        })?;
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let mut writer = BlockWriter::new(Vec::new(), Kind::Chunks).unwrap();
        assert_eq!(writer.write(&"first").unwrap(), 0);
        assert_eq!(writer.write(&"second").unwrap(), 1);
        writer.finish().unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let blocks = Blocks::read(&file()[..], Kind::Chunks).unwrap();
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
                assert!(Blocks::read(&flipped[..], Kind::Chunks).is_err(), "bit {bit} of byte {at}");
            }
            assert!(Blocks::read(&file[..at], Kind::Chunks).is_err(), "cut at {at}");
        }
        assert!(Blocks::read(&[&file[..], b"x"].concat()[..], Kind::Chunks).is_err(), "something after the end");
        assert!(matches!(Blocks::read(&file[..], Kind::Checkpoint), Err(BlockError::Foreign)));
        assert!(matches!(Blocks::read(&b"PK\x03\x04"[..], Kind::Chunks), Err(BlockError::Foreign)));
    }
}
