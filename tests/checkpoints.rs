//! Random logs through checkpoints: an engine that is replaced again and again by one that goes on from files
//! holds what one holds that was never stopped.

use std::collections::BTreeMap;
use std::path::Path;

use watchtower_core::admission::{Heard, Memory, VehicleMemory};
use watchtower_core::tables::Refused;
use watchtower_core::{EntryId, StreamPosition};
use watchtower_daemon::checkpoint::{Saver, Tables, load_newest};
use watchtower_dataflows::control::Control;
use watchtower_dataflows::timeline::{TimelineSnapshot, TrackParts};
use watchtower_dataflows::views::Snapshots;
use watchtower_engine::{Batch, Engine};
use watchtower_engine::{Checkpoint, FlowState, InletState};
use watchtower_model::{BEGINNING, Millis, VehicleId};

use crate::support::cases;
use crate::support::generate::{live, replay};
use crate::support::log::Case;
use crate::support::rng::Rng;

const CASES: u64 = 150;
const KEY: &str = "wt:lagos:control";

#[test]
fn engines_that_go_on_from_files_hold_what_one_holds_that_was_never_stopped() {
    let (mut positions, mut restarts) = (0, 0);
    for seed in 1..=cases(CASES, 10) {
        let case = if seed % 3 == 0 { replay(seed) } else { live(seed) };
        let folder = tempfile::tempdir().unwrap();
        restarts += run(seed, &case, folder.path());
        positions += case.events().count();
    }
    assert!(positions > 10_000 && restarts > 500, "worth it: {positions} events, {restarts} restarts");
}

/// How often the engine was replaced.
fn run(seed: u64, case: &Case, folder: &Path) -> usize {
    let mut rng = Rng::new(seed);
    let (mut steady, mut moody) = (Engine::start(1, case.rules.clone()), Engine::start(2, case.rules.clone()));
    let mut saver = Saver::new(folder, "lineage", "plan").unwrap();
    let (mut edits, mut now, mut restarts) = (Vec::new(), BEGINNING, 0);
    for epoch in 0..case.epochs.len() {
        let batch = case.batch(epoch);
        for control in &batch.control {
            match control {
                Control::Now(t) => now = now.max(*t),
                edit => edits.push(edit.clone()),
            }
        }
        let expected = advance(&mut steady, batch.clone());
        let found = advance(&mut moody, batch);
        let commit_seq = epoch as i64 + 1;
        let flow = flow(commit_seq, &edits, now);
        let wanted = text(&flow, &expected);
        assert_eq!(text(&flow, &found), wanted, "seed {seed}, after epoch {epoch}, {restarts} restarts");
        if !rng.chance(70) {
            continue;
        }
        saver.save(commit_seq, Checkpoint { flow, snapshots: found }).unwrap();
        if !rng.chance(40) {
            continue;
        }
        restarts += 1;
        let (loaded, skipped) = load_newest(folder, &tables(commit_seq));
        assert!(skipped.is_empty(), "seed {seed}: {skipped:?}");
        let loaded = loaded.unwrap();
        let Checkpoint { flow, snapshots } = loaded.checkpoint;
        assert_eq!(text(&flow, &snapshots), wanted, "seed {seed}, loaded after epoch {epoch}");
        saver = Saver::new(folder, "lineage", "plan").unwrap();
        saver.register_loaded(loaded.known);
        moody.finish();
        moody = Engine::start(1 + rng.below(3), case.rules.clone());
        let control = flow.edits.into_iter().chain([Control::Now(flow.now)]).collect();
        moody.submit(Batch { positions: Vec::new(), control, restored: Some(snapshots) });
        moody.next().unwrap();
    }
    restarts
}

/// What the engine holds after a batch.
fn advance(engine: &mut Engine, mut batch: Batch) -> Snapshots {
    batch.control.push(Control::Snapshot);
    engine.submit(batch);
    let (_, completed) = engine.next().unwrap();
    completed.snapshots
}

fn flow(commit_seq: i64, edits: &[Control], now: Millis) -> FlowState {
    let at = commit_seq.unsigned_abs();
    let refused = Refused::default();
    let heard = (0..at as u32).map(|i| VehicleMemory {
        vehicle: VehicleId(i),
        heard: Heard { newest: now, counts: [i, 1] },
        ahead: i % 2,
        kept_from: now.saturating_sub(Millis::from(i)),
        keys: (0..i).map(|k| now.saturating_sub(1_000 * Millis::from(k))).collect(),
    });
    let heard = heard.collect();
    let admission = Memory { now, edits: edits.len() as u64, heard, named: vec![VehicleId(0)] };
    let inlet = InletState { stream: KEY.to_owned(), position: position(at), admission, refused };
    let ids = |kind: &str| (0..commit_seq).map(|number| format!("{kind}-{number}").into()).collect();
    let (vehicles, geofences, rules) = (ids("truck"), ids("yard"), ids("rule"));
    FlowState { vehicles, geofences, rules, edits: edits.to_vec(), now, inlets: vec![inlet] }
}

fn position(entries: u64) -> StreamPosition {
    StreamPosition { last: EntryId { ms: entries, seq: 0 }, entries, skipped: 0, rebased: 0 }
}

fn tables(commit_seq: i64) -> Tables {
    let cursors = BTreeMap::from([(KEY.to_owned(), position(commit_seq.unsigned_abs()))]);
    Tables { lineage: "lineage".to_owned(), plan: "plan".to_owned(), commit_seq, cursors }
}

/// Everything, to be compared, but the box around a whole track: it need not be tight.
fn text(flow: &FlowState, snapshots: &Snapshots) -> String {
    let Snapshots { mut timelines, groups } = snapshots.clone();
    timelines.sort_by_key(|timeline| timeline.vehicle);
    let parts = timelines.into_iter().map(|TimelineSnapshot { vehicle, newest, track, ledger }| {
        let TrackParts { past, sealed, tail, head, undecided } = track.into();
        (vehicle, newest, ledger, past, sealed, tail, head, undecided)
    });
    let parts: Vec<_> = parts.collect();
    let mut groups: Vec<String> = groups.iter().map(|group| serde_json::to_string(group).unwrap()).collect();
    groups.sort();
    let timelines = serde_json::to_string(&parts).unwrap();
    format!("{}\n{timelines}\n{}", serde_json::to_string(flow).unwrap(), groups.join("\n"))
}
