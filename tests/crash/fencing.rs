//! Two daemons on one pipeline: one writes, the other one is told who does, or takes over.

use std::time::Duration;

use watchtower_core::crash::FREEZE_VARIABLE;

use super::one_file::OneFileWorld;
use super::{Place, Scenario, World, has_ended, in_parallel, state};
use crate::support::daemon::{Daemon, wait_until};
use crate::support::rng::Rng;
use crate::support::servers::redis::{RedisOptions, RedisServer};

/// Races of two starters, unless `WATCHTOWER_CASES` says otherwise.
const RACES: usize = 20;

/// How a daemon is called to others.
fn name(daemon: &Daemon) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    format!("process {} on {} (since ", daemon.pid(), host.trim())
}

#[test]
fn a_second_daemon_is_refused_or_takes_over() {
    let redis = RedisServer::start(RedisOptions::default());
    second(World::new(&redis, 1));
}

#[test]
fn a_second_daemon_on_a_file_is_refused_or_takes_over() {
    second(OneFileWorld::new());
}

fn second(mut world: impl Place) {
    let scenario = Scenario::shared();
    let first = world.start(&[], &[]);
    first.wait_until_ready();
    world.append(scenario.third(1));
    world.assert_undisturbed("one daemon", 1);

    let refused = world.start_beside(&[]).ends_with(1);
    assert!(refused.contains(" is being written by ") && refused.contains(&name(&first)), "{refused}");
    assert!(refused.contains("--takeover"), "{refused}");
    world.append(scenario.third(2));
    world.assert_undisturbed("the first goes on", 2);

    let second = world.start_beside(&["--takeover"]);
    wait_until("the second has the pipeline", || world.term().as_deref() == Some("2"));
    world.append(scenario.third(3));
    let fenced = first.ends_with(3);
    assert!(fenced.contains("fenced: ") && fenced.contains(&name(&second)), "{fenced}");
    world.assert_undisturbed("the second goes on", 3);
    assert!(second.stop().success());
}

/// What a daemon without its address says.
const WITHOUT_PAGES: &str = "goes on without /healthz, /readyz and /metrics until the address is free";

#[test]
fn a_successor_of_a_daemon_that_hangs_does_not_wait_for_its_address() {
    let redis = RedisServer::start(RedisOptions::default());
    let mut world = World::new(&redis, 1);
    let scenario = Scenario::shared();
    let first = world.start(&[], &[]);
    first.wait_until_ready();
    world.append(scenario.third(1));
    world.assert_undisturbed("one daemon", 1);
    first.freeze();
    wait_until("the first hangs", || state(&first) == 'T');

    let second = world.start(&["--takeover"], &[]);
    world.append(scenario.third(2));
    world.assert_undisturbed("the first hangs", 2);
    wait_until("it says what it goes without", || second.log().contains(WITHOUT_PAGES));
    assert!(!second.log().contains("serving /healthz"), "{}", second.log());
    first.kill();
    second.wait_until_ready();
    assert_eq!(second.log().matches(WITHOUT_PAGES).count(), 1, "{}", second.log());
    world.append(scenario.third(3));
    world.assert_undisturbed("the first is gone", 3);
    assert!(second.stop().success());
}

#[test]
fn an_address_that_another_program_has_keeps_no_daemon_from_its_work() {
    let redis = RedisServer::start(RedisOptions::default());
    let mut world = World::new(&redis, 1);
    let other = std::net::TcpListener::bind(("127.0.0.1", world.pipeline.port())).unwrap();
    let daemon = world.start(&[], &[]);
    world.append(Scenario::shared().third(1));
    world.assert_undisturbed("without pages", 1);
    wait_until("it says what it goes without", || daemon.log().contains(WITHOUT_PAGES));
    drop(other);
    daemon.wait_until_ready();
    assert!(daemon.stop().success());
    // An address of another machine is never free.
    let elsewhere = world.start(&[], &[("WATCHTOWER_HTTP_LISTEN", "192.0.2.1:9464")]).ends_with(1);
    assert!(elsewhere.contains("cannot listen on 192.0.2.1:9464"), "{elsewhere}");
}

/// As when a machine is copied with its memory: term and owner are the same.
#[test]
fn a_daemon_whose_last_commit_is_not_the_last_writes_nothing_more() {
    let redis = RedisServer::start(RedisOptions::default());
    let mut world = World::new(&redis, 1);
    let scenario = Scenario::shared();
    let daemon = world.start(&[], &[]);
    world.append(scenario.third(1));
    world.assert_undisturbed("one daemon", 1);
    world.pipeline.sql("UPDATE pipeline SET commit_seq = commit_seq + 1");
    let before = world.digest_now();
    world.append(scenario.third(2));
    let fenced = daemon.ends_with(3);
    assert!(fenced.contains("fenced: "), "{fenced}");
    assert_eq!(world.digest_now(), before, "nothing is written");
}

/// It has no checkpoint and reads the log again.
#[test]
fn another_machine_takes_over() {
    let redis = RedisServer::start(RedisOptions::default());
    let mut world = World::new(&redis, 1);
    let scenario = Scenario::shared();
    let rarely = [("WATCHTOWER_CHECKPOINTS_EVERY", "1d")];
    let first = world.start(&[], &rarely);
    world.append(scenario.third(1));
    world.assert_undisturbed("one machine", 1);
    let twin = world.pipeline.twin();
    let second = twin.spawn(&["--takeover"], &rarely);
    second.wait_until_ready();
    world.append(scenario.third(2));
    let fenced = first.ends_with(3);
    assert!(fenced.contains(&name(&second)), "{fenced}");
    world.assert_undisturbed("another machine", 2);
    assert!(second.log().contains("reading again what the tables contain"), "{}", second.log());
    world.append(scenario.third(3));
    world.assert_undisturbed("another machine", 3);
    assert!(second.stop().success());
}

#[test]
fn a_frozen_daemon_changes_nothing_when_it_wakes() {
    let jobs = ["before-begin:3", "before-commit:4", "mid-upserts:9", "before-rename:2", "before-trim:2", "at random"];
    in_parallel(jobs.len(), &jobs, |redis, job| freeze(redis, job));
}

fn freeze(redis: &RedisServer, job: &str) {
    let scenario = Scenario::shared();
    let mut world = World::new(redis, 1);
    let mut rng = Rng::new(7);
    let first = match job {
        "at random" => {
            let daemon = world.start(&[], &[]);
            daemon.wait_until_ready(); // one that hangs while it migrates has to be killed by hand
            daemon
        }
        point => world.start(&[], &[(FREEZE_VARIABLE, point)]),
    };
    let mut portions = scenario.third(1).chunks(8);
    while state(&first) != 'T' {
        // Points are counted by commits: a slow daemon is not to take several portions at once.
        let before = world.commits();
        let Some(portion) = portions.next() else {
            // What is behind the commits, such as a checkpoint, may come later.
            wait_until(&format!("{job} is reached"), || state(&first) == 'T');
            break;
        };
        world.append(portion);
        std::thread::sleep(Duration::from_millis(40)); // for some checkpoints on the way
        wait_until(&format!("{job}: a commit"), || state(&first) == 'T' || world.commits() != before);
        if job == "at random" && rng.chance(15) {
            first.freeze();
        }
        assert!(!has_ended(&first), "{job}: {}", first.log());
    }
    portions.for_each(|portion| world.append(portion));

    let second = world.start_beside(&["--takeover"]);
    world.assert_undisturbed(job, 1);
    world.append(scenario.third(2));
    world.assert_undisturbed(job, 2);
    first.signal("CONT");
    let fenced = first.ends_with(3);
    assert!(fenced.contains(&name(&second)), "{job}: {fenced}");
    world.append(scenario.third(3));
    world.assert_undisturbed(job, 3);
    second.kill();
    // What the first did to the folder and the streams, if anything, is no harm either.
    let third = world.start(&[], &[]);
    third.wait_until_ready();
    assert!(third.stop().success());
}

#[test]
fn of_those_who_start_at_once_one_remains() {
    let races: usize = std::env::var("WATCHTOWER_CASES").map_or(RACES, |cases| cases.parse().unwrap());
    let redis = RedisServer::start(RedisOptions::default());
    let mut world = World::new(&redis, 1);
    let mut rng = Rng::new(3);
    let scenario = Scenario::shared();
    let cut = |half_races: usize| scenario.entries.len() * half_races / (2 * races);
    assert!(races > 0 && cut(1) > 0, "the log is long enough for {races} races");
    let mut alive: Vec<Daemon> = Vec::new();
    let mut fenced = 0;
    for race in 0..races {
        alive.extend([world.start_beside(&["--takeover"]), world.start_beside(&["--takeover"])]);
        std::thread::sleep(Duration::from_millis(rng.below(150) as u64));
        world.append(&scenario.entries[cut(2 * race)..cut(2 * race + 1)]);
        world.pipeline.wait_for_entries(world.appended);
        // Whoever has nothing to write does not notice that he is fenced: each gets something to write, once all
        // have claimed.
        wait_until("both have claimed", || {
            world.pipeline.sql("SELECT term FROM pipeline") == (2 * race + 2).to_string()
        });
        world.append(&scenario.entries[cut(2 * race + 1)..cut(2 * race + 2)]);
        world.pipeline.wait_for_entries(world.appended);
        wait_until("one remains", || {
            let (ended, running) = std::mem::take(&mut alive).into_iter().partition(has_ended);
            alive = running;
            for loser in Vec::<Daemon>::into_iter(ended) {
                let log = loser.ends_with(3);
                assert!(log.contains("fenced: "), "{log}");
                fenced += 1;
            }
            alive.len() == 1
        });
    }
    world.assert_undisturbed("after all races", 3);
    println!("{} started at {races} races, {fenced} were fenced", 2 * races);
    assert_eq!(fenced + 1, 2 * races);
    assert!(alive.pop().unwrap().stop().success());
}
