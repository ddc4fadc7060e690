//! Tests: when chunks are written, what a load finds, and how damaged files are handled.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use watchtower_dataflows::control::Control;
use watchtower_dataflows::timeline::{Chunk, TrackParts};
use watchtower_dataflows::views::Snapshots;
use watchtower_model::{Heading, Ignition, Mark, Millis, Place, Position, PositionEvent, Rules, Speed, VehicleId};

use super::block::{BlockError, Blocks, Kind};
use watchtower_core::{EntryId, StreamPosition};
use watchtower_engine::{Checkpoint, FlowState, InletState};

use super::contents::FileName;
use super::load::{Loaded, SkipReason, Skipped, Tables, load_newest};
use super::save::Saver;
use super::shelf::Shelf;
use super::shelf::folder::path_of;
use super::{CHECKPOINT, CHUNKS, FORMAT};
use watchtower_core::admission::Memory;
use watchtower_engine::{Batch, Engine};

/// Positions of a full chunk.
const CHUNK: i64 = watchtower_dataflows::timeline::CHUNK as i64;
const MINUTE_MS: Millis = 60_000;
const LINEAGE: &str = "lineage";
const PLAN: &str = "plan";

/// Driving vehicles, with a checkpoint after every stretch.
struct Drive {
    engine: Engine,
    folder: TempDir,
    saver: Saver,
    commit_seq: i64,
    driven: BTreeMap<u32, i64>,
}

impl Drive {
    /// Tracks retain this many positions; all with `None`.
    fn new(retained: Option<i64>) -> Self {
        let rules = Rules { retention_ms: retained.map(|positions| positions * MINUTE_MS), ..Rules::default() };
        let folder = tempfile::tempdir().unwrap();
        let saver = Saver::new(folder.path(), LINEAGE, PLAN).unwrap();
        Self { engine: Engine::start(1, rules), folder, saver, commit_seq: 0, driven: BTreeMap::new() }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Each of these vehicles drives `positions` positions further.
    fn drive(&mut self, vehicles: impl IntoIterator<Item = u32>, positions: i64) -> Checkpoint {
        let mut batch = Batch::default();
        for vehicle in vehicles {
            let driven = self.driven.entry(vehicle).or_default();
            let at = |i: i64| Position {
                ts: (*driven + i) * MINUTE_MS,
                place: Place { lon: (*driven + i) as i32 * 1_000, lat: vehicle as i32 * 1_000 },
                speed: Speed::from_kmh(i as f64),
                heading: Heading::NONE,
                ignition: Ignition::On,
                mark: Mark::None,
            };
            let vehicle = VehicleId(vehicle);
            let event = |i| PositionEvent { vehicle, seq: i as u32, position: at(i), withdrawn: false };
            batch.positions.extend((0..positions).map(event));
            *driven += positions;
        }
        let now = self.driven.values().max().copied().unwrap_or(0) * MINUTE_MS;
        batch.control.extend([Control::Now(now), Control::Snapshot]);
        self.engine.submit(batch);
        let (_, completed) = self.engine.next().unwrap();
        self.commit_seq += 1;
        let ids = |kind: &str| (0..3).map(|number| format!("{kind} {number}").into()).collect();
        let inlet = InletState {
            stream: "stream".to_owned(),
            position: position(self.commit_seq as u64),
            admission: Memory { now, ..Memory::default() },
            refused: watchtower_core::tables::Refused::default(),
        };
        let (vehicles, geofences) = (ids("vehicle"), ids("geofence"));
        let flow = FlowState { vehicles, geofences, rules: Vec::new(), edits: Vec::new(), now, inlets: vec![inlet] };
        Checkpoint { flow, snapshots: completed.snapshots }
    }

    /// The same, and writes the checkpoint; returns its contents as text.
    fn save(&mut self, vehicles: impl IntoIterator<Item = u32>, positions: i64) -> String {
        let checkpoint = self.drive(vehicles, positions);
        let text = text(&checkpoint);
        assert!(self.saver.save(self.commit_seq, checkpoint).unwrap() > Some(0));
        text
    }

    /// Loads as a restart would.
    fn load(&self) -> (Option<Loaded>, Vec<Skipped>) {
        load_newest(self.folder(), &tables(self.commit_seq))
    }

    /// Commits that have a file of this kind, the oldest first.
    fn commits(&self, kind: &str) -> Vec<i64> {
        Shelf::from(self.folder()).names(kind).unwrap().iter().rev().map(|name| name.commit_seq).collect()
    }

    fn path(&self, commit_seq: i64, kind: &str) -> PathBuf {
        let names = Shelf::from(self.folder()).names(kind).unwrap();
        path_of(self.folder(), *names.iter().find(|name| name.commit_seq == commit_seq).unwrap(), kind)
    }

    /// Number of chunks in a segment.
    fn chunks(&self, commit_seq: i64) -> usize {
        let names = Shelf::from(self.folder()).names(CHUNKS).unwrap();
        let name = *names.iter().find(|name| name.commit_seq == commit_seq).unwrap();
        let file = fs::File::open(path_of(self.folder(), name, CHUNKS)).unwrap();
        let blocks: Vec<Vec<Arc<Chunk>>> = Blocks::read(file, Kind::Chunks, name).unwrap().values(0).unwrap();
        blocks.iter().map(Vec::len).sum()
    }
}

fn position(entries: u64) -> StreamPosition {
    StreamPosition { last: EntryId { ms: entries, seq: 0 }, entries, skipped: 0, rebased: 0 }
}

fn tables(commit_seq: i64) -> Tables {
    let cursors = BTreeMap::from([("stream".to_owned(), position(commit_seq as u64))]);
    Tables { lineage: LINEAGE.to_owned(), plan: PLAN.to_owned(), commit_seq, cursors }
}

/// All contents as text.
fn text(checkpoint: &Checkpoint) -> String {
    let Checkpoint { flow, snapshots: Snapshots { timelines, groups } } = checkpoint;
    let parts = [serde_json::to_string(flow), serde_json::to_string(timelines), serde_json::to_string(groups)];
    parts.map(Result::unwrap).join("\n")
}

fn loaded_text((loaded, _): &(Option<Loaded>, Vec<Skipped>)) -> Option<String> {
    loaded.as_ref().map(|loaded| text(&loaded.checkpoint))
}

#[test]
fn a_chunk_is_written_once_and_the_last_two_checkpoints_stay() {
    let mut drive = Drive::new(None);
    drive.save(0..8, CHUNK);
    assert_eq!(drive.commits(CHUNKS).len(), 0, "all is in the tails");
    for stretch in 2..=6 {
        let text = drive.save(0..8, CHUNK);
        assert_eq!(drive.chunks(stretch), 8, "one more of each vehicle is full");
        assert_eq!(drive.commits(CHUNKS), Vec::from_iter(2..=stretch), "the older ones are still named");
        assert_eq!(drive.commits(CHECKPOINT), [stretch - 1, stretch]);
        assert_eq!(loaded_text(&drive.load()), Some(text));
    }
}

#[test]
fn what_was_loaded_is_not_written_again() {
    let mut drive = Drive::new(None);
    drive.save(0..8, 3 * CHUNK);
    let (loaded, _) = drive.load();
    let Loaded { checkpoint, known } = loaded.unwrap();
    drive.saver = Saver::new(drive.folder.path(), LINEAGE, PLAN).unwrap();
    drive.saver.register_loaded(known);
    assert_eq!(
        drive.saver.save(1, Checkpoint { flow: checkpoint.flow.clone(), snapshots: Snapshots::default() }).unwrap(),
        None
    );
    drive.saver.save(2, checkpoint).unwrap();
    assert_eq!((drive.commits(CHUNKS), drive.commits(CHECKPOINT)), (vec![1], vec![1, 2]));
}

#[test]
fn sparse_segments_are_written_anew_and_old_ones_go() {
    let mut drive = Drive::new(Some(CHUNK));
    drive.save(0..8, 2 * CHUNK);
    assert_eq!((drive.commits(CHUNKS), drive.chunks(1)), (vec![1], 8));
    // Vehicle 0 stands still: its chunks stay in use, those of the others do not.
    for _ in 0..4 {
        drive.save(1..8, CHUNK);
    }
    assert!(!drive.commits(CHUNKS).contains(&1), "one of eight is not worth a file: {:?}", drive.commits(CHUNKS));
    for stretch in 6..20 {
        let text = drive.save(1..8, CHUNK);
        let segments = drive.commits(CHUNKS);
        let chunks: usize = segments.iter().map(|&segment| drive.chunks(segment)).sum();
        assert!(chunks <= 8 * 5, "{chunks} chunks in {segments:?} after {stretch}");
        assert_eq!(loaded_text(&drive.load()), Some(text));
    }
    // All fall silent until only the ends of tracks are retained; the old segments go with the checkpoints.
    drive.save(8..9, 40 * CHUNK);
    drive.save(0..9, 1);
    drive.save(0..9, 40 * CHUNK);
    drive.save(0..9, 1);
    assert_eq!(drive.load().1.len(), 0);
}

#[test]
fn every_changed_byte_is_noticed_and_the_one_before_is_taken() {
    let mut drive = Drive::new(None);
    drive.save(0..2, CHUNK + 1);
    let older = drive.save(0..2, 1);
    let newest = drive.save(0..2, CHUNK);
    assert_eq!((drive.commits(CHUNKS), drive.commits(CHECKPOINT)), (vec![1, 3], vec![2, 3]));
    for (file, expected) in [
        (drive.path(3, CHECKPOINT), Some(&older)),
        (drive.path(3, CHUNKS), Some(&older)),
        (drive.path(2, CHECKPOINT), Some(&newest)),
        (drive.path(1, CHUNKS), None),
    ] {
        let bytes = fs::read(&file).unwrap();
        assert!((100..10_000).contains(&bytes.len()), "small enough: {}", bytes.len());
        let check = |what: &str, changed: &[u8]| {
            fs::write(&file, changed).unwrap();
            let found = drive.load();
            assert_eq!(loaded_text(&found).as_ref(), expected, "{}, {what}", file.display());
            let passed_over = if expected == Some(&newest) { 0 } else { 1 + usize::from(expected.is_none()) };
            assert_eq!(found.1.len(), passed_over, "{what}");
        };
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            check(&format!("byte {at}"), &changed);
        }
        for length in (0..bytes.len()).step_by(7) {
            check(&format!("cut at {length}"), &bytes[..length]);
        }
        check("more follows", &[&bytes[..], b"x"].concat());
        fs::write(&file, &bytes).unwrap();
    }
    assert_eq!(loaded_text(&drive.load()), Some(newest));
}

#[test]
fn a_checkpoint_that_does_not_fit_is_passed_over_by_name() {
    let mut drive = Drive::new(None);
    let older = drive.save(0..2, CHUNK + 1);
    drive.save(0..2, CHUNK);
    let newest = drive.path(2, CHECKPOINT);
    let why = |tables: &Tables, expected: &str| {
        let (loaded, skipped) = load_newest(drive.folder(), tables);
        let said: Vec<String> = skipped.iter().map(ToString::to_string).collect();
        assert!(said.iter().all(|said| said.contains(expected)), "{expected}: {said:?}");
        (loaded.map(|loaded| text(&loaded.checkpoint)), said.len())
    };
    let other = |change: fn(&mut Tables)| {
        let mut tables = tables(2);
        change(&mut tables);
        tables
    };
    assert_eq!(why(&other(|tables| tables.lineage = "other".into()), "another pipeline"), (None, 2));
    assert_eq!(why(&other(|tables| tables.plan = "other".into()), "another plan"), (None, 2));
    let restored = other(|tables| tables.commit_seq = 1);
    assert_eq!(why(&restored, "it is of commit 2, ahead of the database, which is at 1"), (Some(older.clone()), 1));
    let behind = other(|tables| tables.cursors.iter_mut().for_each(|(_, at)| *at = position(1)));
    assert_eq!(why(&behind, "ahead of the database"), (Some(older.clone()), 1));
    assert_eq!(why(&other(|tables| tables.cursors.clear()), "ahead of the database"), (None, 2));

    let bytes = fs::read(&newest).unwrap();
    let with = |at: usize, new: &[u8]| {
        let mut changed = bytes.clone();
        changed[at..at + new.len()].copy_from_slice(new);
        fs::write(&newest, changed).unwrap();
    };
    with(8, &(FORMAT + 1).to_le_bytes());
    let expected = format!("it has format {}, this program knows {FORMAT}", FORMAT + 1);
    assert_eq!(why(&tables(2), &expected), (Some(older.clone()), 1));
    with(0, b"PK\x03\x04");
    assert_eq!(why(&tables(2), "it is not a checkpoint file"), (Some(older.clone()), 1));
    fs::copy(drive.path(2, CHUNKS), &newest).unwrap();
    assert_eq!(why(&tables(2), "it is not a checkpoint file"), (Some(older.clone()), 1));
    fs::write(&newest, &bytes).unwrap();
    // A segment of another checkpoint, with as many chunks, takes the place of its own.
    fs::copy(drive.path(1, CHUNKS), drive.path(2, CHUNKS)).unwrap();
    assert_eq!(why(&tables(2), "under another name"), (Some(older.clone()), 1));
    fs::remove_file(drive.path(2, CHUNKS)).unwrap();
    let (loaded, skipped) = load_newest(drive.folder(), &tables(2));
    assert!(matches!(skipped[0].reason, SkipReason::File(BlockError::Io(_))), "{}", skipped[0]);
    assert_eq!(loaded.map(|loaded| text(&loaded.checkpoint)), Some(older));
}

#[test]
fn what_was_passed_over_is_not_kept_instead_of_what_is_good() {
    let mut drive = Drive::new(None);
    for _ in 0..4 {
        drive.save(0..2, CHUNK);
    }
    // The tables were restored to an earlier state, and the newest file is broken.
    let good = drive.path(3, CHECKPOINT);
    let ahead = FileName { commit_seq: 90, writer: 7 };
    fs::copy(drive.path(4, CHECKPOINT), path_of(drive.folder(), ahead, CHECKPOINT)).unwrap();
    fs::write(drive.path(4, CHECKPOINT), "spoilt").unwrap();
    let (loaded, skipped) = load_newest(drive.folder(), &tables(3));
    assert_eq!(skipped.iter().map(|skipped| skipped.name.commit_seq).collect::<Vec<_>>(), [90, 4]);
    let Loaded { checkpoint: _, known } = loaded.unwrap();
    drive.saver = Saver::new(drive.folder.path(), LINEAGE, PLAN).unwrap();
    drive.saver.register_skipped(&skipped);
    drive.saver.register_loaded(known);
    drive.commit_seq = 3;
    let newest = drive.save(0..2, CHUNK);
    assert_eq!(drive.commits(CHECKPOINT), [3, 4]);
    assert!(good.exists());
    assert_eq!(loaded_text(&drive.load()), Some(newest));
}

#[test]
fn who_wakes_up_late_disturbs_nobody() {
    let mut drive = Drive::new(None);
    drive.save(0..2, 2 * CHUNK);
    let mut fenced = Saver::new(drive.folder(), LINEAGE, PLAN).unwrap();
    fenced.register_loaded(drive.load().0.unwrap().known);
    // Both write the checkpoint of commit 2, the fenced one after its successor has continued.
    let late = drive.drive(0..2, CHUNK);
    let again = Checkpoint { flow: late.flow.clone(), snapshots: late.snapshots.clone() };
    drive.saver = Saver::new(drive.folder.path(), LINEAGE, PLAN).unwrap();
    drive.saver.register_loaded(drive.load().0.unwrap().known);
    drive.saver.save(2, again).unwrap();
    drive.save(0..2, CHUNK);
    let newest = drive.save(0..2, CHUNK);
    let before = (drive.commits(CHECKPOINT), drive.commits(CHUNKS));
    fenced.save(2, late).unwrap();
    assert_eq!(loaded_text(&drive.load()), Some(newest));
    let newest = drive.save(0..2, CHUNK);
    assert_eq!(drive.commits(CHECKPOINT), [4, 5]);
    assert_eq!(loaded_text(&drive.load()), Some(newest));
    assert!(drive.load().1.is_empty() && before.0 == [3, 4], "{before:?}");
}

#[test]
fn what_cannot_be_written_is_said_and_leaves_nothing_behind() {
    let mut drive = Drive::new(None);
    let text = drive.save(0..2, 2 * CHUNK);
    let folder = drive.folder().to_owned();
    let files = || fs::read_dir(&folder).unwrap().count();
    let before = files();
    // A folder occupies the path of the file.
    let checkpoint = {
        let mut other = Drive::new(None);
        other.drive(0..2, 4 * CHUNK)
    };
    let name = Shelf::from(drive.folder()).names(CHECKPOINT).unwrap()[0];
    let next = FileName { commit_seq: 2, ..name };
    let beside = path_of(drive.folder.path(), next, CHECKPOINT).with_extension("checkpoint.new");
    fs::create_dir(&beside).unwrap();
    let error = drive.saver.save(2, checkpoint).unwrap_err().to_string();
    assert!(error.contains("cannot write") && error.contains(&next.to_string()), "{error}");
    fs::remove_dir(&beside).unwrap();
    assert_eq!(files(), before + 1, "the chunks are there for the next one");
    assert_eq!(loaded_text(&drive.load()), Some(text));
    drive.commit_seq = 2;
    let text = drive.save(0..2, 1);
    assert_eq!(drive.commits(CHECKPOINT), [1, 3]);
    assert_eq!(loaded_text(&drive.load()), Some(text));
    // The next start removes the files of a killed process.
    fs::write(drive.folder().join("00000000000000000009-0000000000000007.chunks.new"), "begun").unwrap();
    let before = files();
    Saver::new(drive.folder.path(), LINEAGE, PLAN).unwrap();
    assert_eq!(files(), before - 1);
}

#[test]
fn tracks_come_back_as_they_were() {
    let mut drive = Drive::new(Some(3 * CHUNK));
    let checkpoint = drive.drive(0..3, 10 * CHUNK + 7);
    for timeline in checkpoint.snapshots.timelines {
        let parts = TrackParts::from(timeline.track.clone());
        assert!(parts.sealed.len() >= 3);
        let again = TrackParts::from(watchtower_dataflows::timeline::Track::from(parts.clone()));
        assert_eq!(serde_json::to_string(&again.tail).unwrap(), serde_json::to_string(&parts.tail).unwrap());
        assert_eq!(again.sealed.len(), parts.sealed.len());
    }
}
