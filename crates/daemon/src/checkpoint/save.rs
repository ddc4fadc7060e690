//! Writes checkpoints.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use watchtower_dataflows::timeline::{Chunk, TimelineSnapshot, TrackParts};
use watchtower_dataflows::views::Snapshots;

use super::block::{BlockError, BlockWriter, Kind};
use watchtower_engine::Checkpoint;

use super::contents::{ChunkPlace, FileName, Head, StoredRef, StoredTimeline, Written};
use super::load::{CheckpointFiles, Skipped, read_head};
use super::shelf::Shelf;
use super::{CHECKPOINT, CHUNKS, KEPT};
use watchtower_core::crash;

/// Chunks per block: some hundred kilobytes.
const CHUNKS_PER_BLOCK: usize = 256;
/// Timelines per block.
const TIMELINES_PER_BLOCK: usize = 1024;
/// Groups of aggregates per block.
const GROUPS_PER_BLOCK: usize = 4096;
/// A segment is rewritten when fewer than one in this many of its chunks are in use.
const LIVE_ONE_IN: usize = 4;

/// A checkpoint could not be written. Earlier checkpoints are unaffected.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}", path.display())]
pub struct SaveError {
    path: PathBuf,
    source: BlockError,
}

/// Identity of a shared chunk: its address.
fn address(chunk: &Arc<Chunk>) -> usize {
    Arc::as_ptr(chunk).addr()
}

/// Writes checkpoints to a shelf, one after the other.
#[derive(Debug)]
pub struct Saver {
    shelf: Shelf,
    lineage: String,
    plan: String,
    /// Random number of this process, part of file names.
    writer: u64,
    /// Commit of the last checkpoint written or loaded.
    newest: Option<i64>,
    /// Checkpoints to remove, which do not count as kept: skipped at the load, or too old.
    removable: BTreeSet<FileName>,
    /// Written chunks by address. The engine shares them, and they never change.
    written: HashMap<usize, Written>,
    /// Number of chunks in each segment.
    sizes: BTreeMap<FileName, usize>,
}

impl Saver {
    /// Prepares `shelf` for the pipeline of this lineage and plan; creates it if missing.
    ///
    /// # Errors
    /// If the shelf cannot be created.
    pub fn new(shelf: impl Into<Shelf>, lineage: &str, plan: &str) -> Result<Self, SaveError> {
        let shelf = shelf.into();
        shelf.prepare().map_err(|error| SaveError { path: shelf.path().to_owned(), source: error.into() })?;
        Ok(Self {
            shelf,
            lineage: lineage.to_owned(),
            plan: plan.to_owned(),
            writer: RandomState::new().hash_one("writer"),
            newest: None,
            removable: BTreeSet::new(),
            written: HashMap::new(),
            sizes: BTreeMap::new(),
        })
    }

    /// Registers the files of a loaded checkpoint: its chunks are not written again.
    pub fn register_loaded(&mut self, loaded: CheckpointFiles) {
        let CheckpointFiles { commit_seq, written, sizes } = loaded;
        self.newest = Some(commit_seq);
        self.sizes.extend(sizes);
        self.written.extend(written.into_iter().map(|written| (address(&written.chunk), written)));
    }

    /// Registers checkpoints that were skipped at the load.
    pub fn register_skipped(&mut self, skipped: &[Skipped]) {
        self.removable.extend(skipped.iter().map(|skipped| skipped.name));
    }

    /// Writes the checkpoint of a completed commit and removes old ones. Returns the bytes written, or `None` if a
    /// checkpoint of this commit already exists.
    ///
    /// # Errors
    /// If a file cannot be written, for example because the disk is full. Incomplete files are removed.
    pub fn save(&mut self, commit_seq: i64, checkpoint: Checkpoint) -> Result<Option<u64>, SaveError> {
        // Two files for the same position of the log would count as two kept checkpoints but be only one fallback.
        if self.newest >= Some(commit_seq) {
            return Ok(None);
        }
        let name = FileName { commit_seq, writer: self.writer };
        let Checkpoint { flow, snapshots: Snapshots { timelines, groups } } = checkpoint;
        let timelines: Vec<_> = timelines
            .into_iter()
            .map(|TimelineSnapshot { vehicle, newest, track, ledger }| {
                (vehicle, newest, TrackParts::from(track), ledger)
            })
            .collect();
        let named: Vec<&Arc<Chunk>> = timelines.iter().flat_map(|(_, _, track, _)| &track.sealed).collect();
        let new = self.unwritten(&named);
        let mut bytes = 0;
        if !new.is_empty() {
            bytes += self.write_file(name, CHUNKS, Kind::Chunks, |out| {
                new.chunks(CHUNKS_PER_BLOCK).try_for_each(|chunks| out.write(&chunks).map(drop))
            })?;
            self.sizes.insert(name, new.len());
            for (at, chunk) in new.iter().enumerate() {
                let (block, index) = ((at / CHUNKS_PER_BLOCK) as u32, (at % CHUNKS_PER_BLOCK) as u32);
                let written = Written { chunk: Arc::clone(chunk), segment: name, block, index };
                self.written.insert(address(chunk), written);
            }
        }
        crash::point("mid-checkpoint");
        let current: BTreeSet<usize> = named.iter().map(|chunk| address(chunk)).collect();
        self.written.retain(|address, _| current.contains(address));
        let segments: BTreeSet<FileName> = self.written.values().map(|written| written.segment).collect();
        let segments: Vec<FileName> = segments.into_iter().collect();
        let place = |chunk: &Arc<Chunk>| {
            let Written { chunk: _, segment, block, index } = &self.written[&address(chunk)];
            let segment = segments.binary_search(segment).expect("the segments are those of all written chunks");
            ChunkPlace { segment: segment as u32, block: *block, index: *index }
        };
        let stored: Vec<StoredTimeline> = timelines
            .iter()
            .map(|(vehicle, newest, track, ledger)| StoredTimeline {
                vehicle: *vehicle,
                newest: *newest,
                ledger: ledger.clone(),
                past: track.past.clone(),
                sealed: track.sealed.iter().map(place).collect(),
                tail: Arc::clone(&track.tail),
                head: track.head.clone(),
                undecided: track.undecided,
            })
            .collect();
        let head =
            Head { lineage: self.lineage.clone(), plan: self.plan.clone(), commit_seq, segments: segments.clone() };
        bytes += self.write_file(name, CHECKPOINT, Kind::Checkpoint, |out| {
            out.write(&head)?;
            out.write(&flow)?;
            let timelines = stored.chunks(TIMELINES_PER_BLOCK).map(StoredRef::Timelines);
            let groups = groups.chunks(GROUPS_PER_BLOCK).map(StoredRef::Groups);
            timelines.chain(groups).try_for_each(|block| out.write(&block).map(drop))
        })?;
        self.newest = Some(commit_seq);
        self.remove_old(commit_seq);
        Ok(Some(bytes))
    }

    /// The chunks to write: those in no segment, and those in segments of which little else is in use.
    fn unwritten<'a>(&self, named: &[&'a Arc<Chunk>]) -> Vec<&'a Arc<Chunk>> {
        let mut live = BTreeMap::<FileName, usize>::new();
        for written in named.iter().filter_map(|chunk| self.written.get(&address(chunk))) {
            *live.entry(written.segment).or_default() += 1;
        }
        let is_sparse =
            |segment: FileName| live[&segment] * LIVE_ONE_IN < self.sizes.get(&segment).copied().unwrap_or(0);
        let mut seen = BTreeSet::new();
        named
            .iter()
            .copied()
            .filter(|chunk| self.written.get(&address(chunk)).is_none_or(|written| is_sparse(written.segment)))
            .filter(|chunk| seen.insert(address(chunk)))
            .collect()
    }

    fn write_file(
        &self,
        name: FileName,
        kind: &str,
        file_kind: Kind,
        blocks: impl FnOnce(&mut BlockWriter<&mut dyn Write>) -> Result<(), BlockError>,
    ) -> Result<u64, SaveError> {
        let written = self.shelf.write(name, kind, |out| {
            let mut out = BlockWriter::new(out, file_kind, name)?;
            blocks(&mut out)?;
            out.finish().map(drop)
        });
        written.map_err(|source| SaveError { path: self.shelf.path_of(name, kind), source })
    }

    /// Removes all but the last [`KEPT`] checkpoints, and unused segments. Files that cannot be removed are retried
    /// after the next checkpoint.
    fn remove_old(&mut self, commit_seq: i64) {
        let Ok(names) = self.shelf.names(CHECKPOINT) else { return };
        let good: Vec<FileName> = names.into_iter().filter(|name| !self.removable.contains(name)).collect();
        let (kept, old) = good.split_at(good.len().min(KEPT));
        self.removable.extend(old);
        self.removable.retain(|&name| self.shelf.remove(name, CHECKPOINT).is_err());
        let heads: Option<Vec<Head>> = kept.iter().map(|&name| read_head(&self.shelf, name)).collect();
        let Some(heads) = heads else { return }; // a head that cannot be read may refer to any segment
        let named: BTreeSet<FileName> = heads.into_iter().flat_map(|head| head.segments).collect();
        for segment in self.shelf.names(CHUNKS).unwrap_or_default() {
            // A segment of a later commit may belong to a checkpoint that a successor is writing.
            if segment.commit_seq < commit_seq && !named.contains(&segment) {
                let _ = self.shelf.remove(segment, CHUNKS);
                self.sizes.remove(&segment);
            }
        }
    }
}
