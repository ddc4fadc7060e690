//! However many workers there are, in whatever portions the log comes, whenever the process is killed: at the
//! same cursor the tables are the same.

use std::time::Duration;

use super::one_file::OneFileWorld;
use super::{Entry, Place, Scenario, World, in_parallel, in_parallel_with};
use crate::support::rng::Rng;

const THREADS: usize = 4;

/// How the log comes.
#[derive(Clone, Copy, Debug)]
enum Portions {
    AtOnce,
    EntryByEntry,
    Random,
}

/// What is different from run to run.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    /// None: another number after every restart.
    workers: Option<usize>,
    portions: Portions,
    seed: u64,
}

#[test]
fn the_tables_know_neither_workers_nor_portions_nor_kills() {
    let mut jobs = Vec::new();
    for (seed, workers) in (1..).zip([Some(1), Some(2), Some(4), None]) {
        for (more, portions) in (0..).zip([Portions::AtOnce, Portions::EntryByEntry, Portions::Random]) {
            jobs.push(Schedule { workers, portions, seed: 10 * seed + more });
        }
    }
    in_parallel(THREADS, &jobs, |redis, schedule| run(World::new(redis, 1), *schedule));
}

#[test]
fn the_tables_of_a_file_know_neither_workers_nor_portions_nor_kills() {
    let mut jobs = Vec::new();
    for (seed, portions) in (101..).zip([Portions::AtOnce, Portions::EntryByEntry, Portions::Random]) {
        jobs.push(Schedule { workers: None, portions, seed });
        jobs.push(Schedule { workers: Some(1), portions, seed: seed + 10 });
    }
    in_parallel_with(|| (), THREADS, &jobs, |(), schedule| run(OneFileWorld::new(), *schedule));
}

fn run<P: Place>(mut world: P, schedule: Schedule) {
    let Schedule { workers, portions, seed } = schedule;
    let mut rng = Rng::new(seed);
    let start = |world: &P, rng: &mut Rng| {
        let workers = workers.unwrap_or_else(|| 1 + rng.below(4)).to_string();
        world.start(&[], &[("WATCHTOWER_ENGINE_WORKERS", &workers)])
    };
    for third in 1..=3 {
        let entries = Scenario::shared().third(third);
        world.count(entries);
        let (feeder, pace) = (world.feeder(), rng.next());
        std::thread::scope(|scope| {
            scope.spawn(move || feed(feeder, entries, portions, &mut Rng::new(pace)));
            for _ in 0..1 + rng.below(3) {
                let daemon = start(&world, &mut rng);
                std::thread::sleep(Duration::from_millis(rng.below(500) as u64));
                daemon.kill();
                if rng.chance(50) {
                    world.spoil_newest_checkpoint(&mut rng);
                }
            }
        });
        let daemon = start(&world, &mut rng);
        world.assert_undisturbed(&format!("{schedule:?}"), third);
        if rng.chance(50) {
            daemon.kill();
        } else {
            assert!(daemon.stop().success());
        }
    }
}

fn feed(mut append: impl FnMut(&[Entry]), entries: &[Entry], portions: Portions, rng: &mut Rng) {
    let mut rest = entries;
    while !rest.is_empty() {
        let portion = match portions {
            Portions::AtOnce => rest.len(),
            Portions::EntryByEntry => 1,
            Portions::Random => 1 + rng.below(40).min(rest.len() - 1),
        };
        let (now, later) = rest.split_at(portion);
        append(now);
        rest = later;
        if matches!(portions, Portions::Random) {
            std::thread::sleep(Duration::from_millis(rng.below(80) as u64));
        }
    }
}
