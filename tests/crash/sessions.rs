//! The database ends sessions of the daemon: what it was asked to commit has happened, or has not, and
//! either way it happens once.

use std::time::Duration;

use super::{Place, Scenario, World};
use crate::support::daemon::wait_until;
use crate::support::oracle::compare;
use crate::support::rng::Rng;
use crate::support::servers::postgres::{PostgresServer, psql};
use crate::support::servers::redis::{RedisOptions, RedisServer};

/// Sessions that are ended.
const ENDED: usize = 20;

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

/// The answer to a COMMIT never comes: once the commit has happened, once it has not.
#[test]
fn a_commit_whose_outcome_is_unknown_happens_once() {
    let redis = RedisServer::start(RedisOptions::default());
    let postgres = PostgresServer::start();
    let scenario = Scenario::shared();
    let mut world = World::on(&redis, &postgres, 1);
    let daemon = world.start(&[], &[]);
    world.append(scenario.third(1));
    world.assert_undisturbed("before", 1);

    // A commit waits for a standby that does not exist: it has happened when it is given up.
    let url = world.pipeline.setup.postgres.clone();
    let reload = "SELECT pg_reload_conf()";
    let (now, later) = scenario.third(2).split_at(scenario.third(2).len() / 2);
    let mut portions = now.chunks(now.len().div_ceil(20));
    for _ in 0..5 {
        psql(&url, &format!("ALTER SYSTEM SET synchronous_standby_names = 'nobody'; {reload}"));
        let waits = "AND wait_event = 'SyncRep' AND query = 'COMMIT'";
        while end_sessions(&world, waits) == 0 {
            // Not every process of the server has heard of the standby yet.
            world.append(portions.next().expect("a commit waits"));
            std::thread::sleep(Duration::from_millis(200));
        }
        psql(&url, &format!("ALTER SYSTEM RESET synchronous_standby_names; {reload}"));
        world.pipeline.wait_for_entries(world.appended);
    }
    portions.for_each(|portion| world.append(portion));
    let happened = daemon.log().matches("happened=true").count();
    assert!(happened >= 5, "{happened} commits had happened:\n{}", daemon.log());

    // A commit takes its time and is given up before it has happened.
    world.pipeline.sql(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END'; \
         CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON commit_log DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION dawdle()",
    );
    for portion in later.chunks(later.len().div_ceil(5)) {
        world.append(portion);
        wait_until("a commit dawdles", || end_sessions(&world, "AND wait_event = 'PgSleep' AND query = 'COMMIT'") > 0);
    }
    world.assert_undisturbed("in between", 2);
    world.pipeline.sql("DROP TRIGGER dawdle ON commit_log");
    let voided = daemon.log().matches("happened=false").count();
    assert!(voided >= 5, "{voided} commits had not happened:\n{}", daemon.log());
    world.append(scenario.third(3));
    world.assert_undisturbed("after", 3);
    assert!(daemon.stop().success());
}
