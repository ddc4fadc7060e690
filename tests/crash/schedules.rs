//! However many workers there are, in whatever portions the log comes, whenever the process is killed: at the
//! same cursor the tables are the same.

use std::time::Duration;

use super::scenario::append;
use super::{Entry, Scenario, World, in_parallel};
use crate::support::rng::Rng;
use crate::support::servers::redis::RedisServer;

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
    in_parallel(THREADS, &jobs, |redis, schedule| run(redis, *schedule));
}

fn run(redis: &RedisServer, schedule: Schedule) {
    let Schedule { workers, portions, seed } = schedule;
    let mut rng = Rng::new(seed);
    let mut world = World::new(redis, 1);
    let start = |world: &World, rng: &mut Rng| {
        let workers = workers.unwrap_or_else(|| 1 + rng.below(4)).to_string();
        world.start(&[], &[("WATCHTOWER_ENGINE_WORKERS", &workers)])
    };
    for third in 1..=3 {
        let entries = Scenario::shared().third(third);
        world.appended += entries.len() as u64;
        let (url, pace) = (redis.url(), rng.next());
        std::thread::scope(|scope| {
            scope.spawn(move || feed(&url, entries, portions, &mut Rng::new(pace)));
            for _ in 0..1 + rng.below(3) {
                let daemon = start(&world, &mut rng);
                std::thread::sleep(Duration::from_millis(rng.below(500) as u64));
                daemon.kill();
                if rng.chance(50) {
                    spoil_newest_checkpoint(&world, &mut rng);
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

fn feed(url: &str, entries: &[Entry], portions: Portions, rng: &mut Rng) {
    let mut redis = redis::Client::open(url).unwrap().get_connection().unwrap();
    let mut rest = entries;
    while !rest.is_empty() {
        let portion = match portions {
            Portions::AtOnce => rest.len(),
            Portions::EntryByEntry => 1,
            Portions::Random => 1 + rng.below(40).min(rest.len() - 1),
        };
        let (now, later) = rest.split_at(portion);
        append(&mut redis, now);
        rest = later;
        if matches!(portions, Portions::Random) {
            std::thread::sleep(Duration::from_millis(rng.below(80) as u64));
        }
    }
}

/// Breaks the newest checkpoint, if there is another one to fall back to.
fn spoil_newest_checkpoint(world: &World, rng: &mut Rng) {
    let mut files = world.checkpoints();
    let Some(newest) = files.pop() else { return };
    let mut bytes = std::fs::read(&newest).unwrap();
    let is_spoilt = |bytes: &[u8]| bytes.starts_with(b"spoilt");
    let others = files.iter().filter(|path| !is_spoilt(&std::fs::read(path).unwrap())).count();
    if others == 0 || is_spoilt(&bytes) {
        return;
    }
    if rng.chance(50) {
        bytes[..6].copy_from_slice(b"spoilt");
        std::fs::write(&newest, bytes).unwrap();
    } else {
        std::fs::remove_file(&newest).unwrap();
    }
}
