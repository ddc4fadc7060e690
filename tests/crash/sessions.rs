//! The database ends sessions of the daemon: what it was asked to commit has happened, or has not, and
//! either way it happens once.

use std::time::Duration;

use super::{Entry, Place, Scenario, World};
use crate::support::blocker::Blocker;
use crate::support::daemon::wait_until;
use crate::support::oracle::compare;
use crate::support::rng::Rng;
use crate::support::servers::postgres::PostgresServer;
use crate::support::servers::redis::{RedisOptions, RedisServer};
use crate::support::severing::{Cut, Severing};

/// Sessions that are ended.
const ENDED: usize = 20;

/// Commits that are given up at each place.
const FAULTS: usize = 5;

/// Ends the session that writes, or both, and says how many.
fn end_sessions(world: &World, more: &str) -> usize {
    let sql = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE application_name = 'watchtower lagos' AND datname = current_database() {more}"
    );
    world.pipeline.sql(&sql).parse().unwrap()
}

#[test]
fn sessions_that_are_ended_at_any_moment_lose_nothing() {
    let redis = RedisServer::start(RedisOptions::default());
    let scenario = Scenario::shared();
    let mut rng = Rng::new(5);
    let mut ended = 0;
    while ended < ENDED {
        let mut world = World::new(&redis, 1);
        let daemon = world.start(&[], &[]);
        daemon.wait_until_ready();
        for portion in scenario.entries.chunks(12) {
            world.append(portion);
            std::thread::sleep(Duration::from_millis(rng.below(25) as u64));
            if rng.chance(40) {
                ended += end_sessions(&world, "");
            }
        }
        world.assert_undisturbed("after the last session", 3);
        compare(&world.pipeline.setup.postgres, "lagos").unwrap();
        assert!(daemon.log().contains("PostgreSQL is back"));
        assert!(daemon.stop().success());
    }
    println!("{ended} sessions were ended");
}

/// The answer to a COMMIT never comes. Each fault is placed by what went over the wire, or by a lock that is held until
/// it has struck: however slow the machine is, it is known whether the commit happened.
#[test]
fn a_commit_whose_outcome_is_unknown_happens_once() {
    let redis = RedisServer::start(RedisOptions::default());
    let postgres = PostgresServer::start();
    let scenario = Scenario::shared();
    let mut world = World::on(&redis, &postgres, 1);
    let (server, database) = world.pipeline.setup.postgres.rsplit_once('/').unwrap();
    let (server, port) = server.rsplit_once(':').unwrap();
    let severing = Severing::before(port.parse().unwrap());
    world.pipeline.setup.postgres = format!("{server}:{}/{database}", severing.port());
    world.pipeline.configure();
    let daemon = world.start(&[], &[]);
    world.append(scenario.third(1));
    world.assert_undisturbed("before", 1);

    let (broken, stuck) = scenario.third(2).split_at(scenario.third(2).len() / 2);
    let places = [Cut::BeforeCommit, Cut::BeforeAnswer].repeat(FAULTS);
    for (fault, portion) in portions(broken, places.len()).enumerate() {
        severing.cut(places[fault]);
        world.append(portion);
        wait_until("the connection breaks", || severing.cuts() == fault + 1);
        world.pipeline.wait_for_entries(world.appended);
    }
    let outcomes = |happened| daemon.log().matches(&format!("happened={happened}")).count();
    wait_until("every outcome is known", || outcomes(true) + outcomes(false) == places.len());
    assert_eq!((outcomes(true), outcomes(false)), (FAULTS, FAULTS), "{}", daemon.log());
    commits_that_are_stuck(&mut world, stuck, || outcomes(false));
    world.assert_undisturbed("in between", 2);
    assert_eq!((outcomes(true), outcomes(false)), (FAULTS, 2 * FAULTS), "{}", daemon.log());
    world.append(scenario.third(3));
    world.assert_undisturbed("after", 3);
    assert!(daemon.stop().success());
}

/// So many parts of about the same size.
fn portions(entries: &[Entry], parts: usize) -> impl Iterator<Item = &[Entry]> {
    (0..parts).map(move |part| &entries[entries.len() * part / parts..entries.len() * (part + 1) / parts])
}

/// A commit is under way, and waits for a lock, when its session is ended: it has not happened.
fn commits_that_are_stuck(world: &mut World, entries: &[Entry], given_up: impl Fn() -> usize) {
    world.pipeline.sql(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql \
         AS 'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END'; \
         CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON commit_log DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION wait()",
    );
    let before = given_up();
    for (fault, portion) in portions(entries, FAULTS).enumerate() {
        let blocker = Blocker::start(&world.pipeline, "SELECT pg_advisory_xact_lock(7)");
        world.append(portion);
        let waits = "AND wait_event = 'advisory' AND query = 'COMMIT'";
        wait_until("a commit is stuck", || end_sessions(world, waits) == 1);
        wait_until("its outcome is asked for", || given_up() == before + fault + 1);
        blocker.end();
        world.pipeline.wait_for_entries(world.appended);
    }
    world.pipeline.sql("DROP TRIGGER wait ON commit_log");
}
