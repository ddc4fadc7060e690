//! The process is killed at every place that has a name, each of the first three times it comes there.

use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use watchtower_core::crash::{POINTS, VARIABLE};

use super::one_file::OneFileWorld;
use super::{Place, Scenario, World, commit_seq, has_ended, in_parallel, in_parallel_with};
use crate::support::daemon::{Daemon, PATIENCE, wait_until};

const HITS: usize = 3;
/// Daemons at the same time: they wait more than they work.
const THREADS: usize = 5;
/// Places of the writer of checkpoints.
const OF_CHECKPOINTS: [&str; 4] = ["mid-checkpoint", "before-rename", "after-rename", "before-trim"];
/// The log comes in so many portions, each after the one before was committed and a little more; after the next
/// checkpoint where that is what counts.
const PORTIONS: usize = 18;
const PAUSE: Duration = Duration::from_millis(60);

/// What happened on the way, to know that it was worth it.
#[derive(Default)]
struct Seen {
    from_checkpoints: AtomicUsize,
    trimmed: AtomicUsize,
}

#[test]
fn a_crash_anywhere_changes_nothing() {
    let jobs = jobs(&POINTS);
    let seen = Seen::default();
    in_parallel(THREADS, &jobs, |redis, (point, hit)| crash(World::new(redis, 1), point, *hit, &seen));
    seen.assert_worth_it(jobs.len());
}

#[test]
fn a_crash_anywhere_changes_nothing_in_a_file() {
    let points: Vec<&str> = POINTS.into_iter().filter(|point| *point != "before-move-groups").collect();
    let jobs = jobs(&points);
    let seen = Seen::default();
    in_parallel_with(|| (), THREADS, &jobs, |(), (point, hit)| crash(OneFileWorld::new(), point, *hit, &seen));
    seen.assert_worth_it(jobs.len());
}

fn jobs<'a>(points: &[&'a str]) -> Vec<(&'a str, usize)> {
    points.iter().flat_map(|point| (1..=HITS).map(move |hit| (*point, hit))).collect()
}

impl Seen {
    fn assert_worth_it(self, crashes: usize) {
        let seen = [self.from_checkpoints.into_inner(), self.trimmed.into_inner()];
        println!("of {crashes} crashes, restarts from a checkpoint, logs that were trimmed: {seen:?}");
        assert!(seen.iter().all(|&count| count > crashes / HITS), "{seen:?}");
    }
}

fn crash(mut world: impl Place, point: &str, hit: usize, seen: &Seen) {
    let what = format!("{point}:{hit}");
    let begun = Instant::now();
    let scenario = Scenario::shared();
    let (earlier, hit_of_process) = match point {
        // A process comes here once: the others are those of its successors.
        "after-claim" => (hit - 1, 1),
        // With chunks that are full, and some that are no longer needed.
        point if OF_CHECKPOINTS.contains(&point) => (2, hit),
        _ => (0, hit),
    };
    let mut rest = &scenario.entries[..];
    for third in 1..=earlier {
        let daemon = world.start(&[], &[]);
        world.append(scenario.third(third));
        rest = &rest[scenario.third(third).len()..];
        world.wait();
        daemon.kill();
    }
    let mut daemon = world.start(&[], &[(VARIABLE, &format!("{point}:{hit_of_process}"))]);
    let portion = rest.len().div_ceil(PORTIONS);
    while !rest.is_empty() && !has_ended(&daemon) {
        let (now, later) = rest.split_at(portion.min(rest.len()));
        let written = || daemon.log().matches("checkpoint written").count();
        let (before, written_before) = (commit_seq(&daemon), written());
        world.append(now);
        rest = later;
        wait_for_commit_or_end(&daemon, before, &what);
        if OF_CHECKPOINTS.contains(&point) {
            wait_until(&format!("{what}: a checkpoint"), || has_ended(&daemon) || written() > written_before);
        }
        std::thread::sleep(PAUSE);
    }
    let status = daemon.wait();
    let log = daemon.log();
    assert_eq!(status.signal(), Some(9), "{what}: {status}\n{log}");
    assert_eq!(log.lines().last(), Some(&*format!("crash point {point}")), "{what}: the last words");

    let daemon = world.start(&[], &[]);
    world.append(rest);
    world.assert_undisturbed(&what, 3);
    if hit == HITS {
        world.assert_recomputed(&what);
    }
    let loaded = daemon.log().contains("checkpoint loaded");
    seen.from_checkpoints.fetch_add(loaded.into(), Ordering::Relaxed);
    assert!(daemon.stop().success(), "{what}");
    seen.trimmed.fetch_add((world.trimmed() > 0).into(), Ordering::Relaxed);
    println!("{what}: {} ms", begun.elapsed().as_millis());
}

fn wait_for_commit_or_end(daemon: &Daemon, before: Option<u64>, what: &str) {
    let begun = Instant::now();
    while !has_ended(daemon) {
        let now = commit_seq(daemon);
        if now.is_some() && now > before {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: no commit\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(5));
    }
}
