//! Variable-size blocks of words in one allocation.

/// Unit of the blocks' contents.
pub(super) type Word = u64;

/// Alignment of blocks, in words: 32 bytes.
const GRAIN: usize = 4;

/// Offsets of the words that a prefetch reads, one per cache line of 64 bytes: few blocks are longer.
const PREFETCHED: [usize; 3] = [0, 8, 16];

/// An allocator of blocks, each identified by the index of its first word. Freed blocks are reused for the same size.
#[derive(Debug)]
pub(super) struct Arena {
    words: Vec<Word>,
    /// Free blocks, by their size in grains.
    free: Vec<Vec<u32>>,
}

impl Default for Arena {
    /// Index 0 is never a block.
    fn default() -> Self {
        Self { words: vec![0; GRAIN], free: Vec::new() }
    }
}

impl Arena {
    /// Stores a block; returns its index.
    pub(super) fn keep(&mut self, block: &[Word]) -> u32 {
        let grains = block.len().div_ceil(GRAIN);
        if let Some(begin) = self.free.get_mut(grains).and_then(Vec::pop) {
            let at = begin as usize * GRAIN;
            self.words[at..at + block.len()].copy_from_slice(block);
            return begin;
        }
        let begin = self.words.len() / GRAIN;
        self.words.extend_from_slice(block);
        self.words.resize((begin + grains) * GRAIN, 0);
        begin as u32
    }

    /// Frees a block of `words` words.
    pub(super) fn free(&mut self, begin: u32, words: usize) {
        let grains = words.div_ceil(GRAIN);
        if self.free.len() <= grains {
            self.free.resize_with(grains + 1, Vec::new);
        }
        self.free[grains].push(begin);
    }

    /// The words from the begin of a block on, including those of later blocks.
    #[inline]
    pub(super) fn from(&self, begin: u32) -> &[Word] {
        &self.words[begin as usize * GRAIN..]
    }

    /// Touches one word of each of the block's first cache lines, so that the misses of several blocks overlap.
    #[inline]
    pub(super) fn prefetch(&self, begin: u32) -> Word {
        let words = self.from(begin);
        PREFETCHED.iter().filter_map(|&at| words.get(at)).fold(0, |read, word| read ^ word)
    }

    /// Bytes of all blocks, free ones included.
    pub(super) fn bytes(&self) -> usize {
        self.words.len() * size_of::<Word>()
    }
}
