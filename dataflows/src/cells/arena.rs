//! Blocks of words, side by side.

/// Words that blocks are made of.
pub(super) type Word = u64;

/// Blocks begin at multiples of this many words: 32 bytes.
const GRAIN: usize = 4;

/// One word in each of the first lines of 64 bytes: few blocks are longer.
const PEEKED: [usize; 3] = [0, 8, 16];

/// Blocks of words, named by where they begin. Room that becomes free is used for blocks of the same size.
#[derive(Debug)]
pub(super) struct Arena {
    words: Vec<Word>,
    /// Beginnings of free blocks, by their size in grains.
    free: Vec<Vec<u32>>,
}

impl Default for Arena {
    /// Nothing begins at 0.
    fn default() -> Self {
        Self { words: vec![0; GRAIN], free: Vec::new() }
    }
}

impl Arena {
    /// Keeps a block.
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

    /// Gives up a block of so many words.
    pub(super) fn give_up(&mut self, begin: u32, words: usize) {
        let grains = words.div_ceil(GRAIN);
        if self.free.len() <= grains {
            self.free.resize_with(grains + 1, Vec::new);
        }
        self.free[grains].push(begin);
    }

    /// A block and what lies behind it.
    #[inline]
    pub(super) fn from(&self, begin: u32) -> &[Word] {
        &self.words[begin as usize * GRAIN..]
    }

    /// Some words of the block's first lines, for nothing but to have read them.
    #[inline]
    pub(super) fn peek(&self, begin: u32) -> Word {
        let words = self.from(begin);
        PEEKED.iter().filter_map(|&at| words.get(at)).fold(0, |read, word| read ^ word)
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<Word>() + self.free.iter().map(|free| free.capacity() * 4).sum::<usize>()
    }
}
