//! A fleet that grows out of its file moves to servers.

use std::process::{Command, Output};

use super::one_file::OneFileWorld;
use super::{Place, Scenario, World};
use crate::support::servers::redis::{RedisOptions, RedisServer};

fn export(from: &OneFileWorld, redis: &RedisServer) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchtower"));
    command.arg("export").arg("--embedded").arg(from.one.path());
    command.args(["--redis", &redis.url(), "--pipeline", "lagos"]).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// The servers come to the very same tables, archive and cursors included: as if they had always been there.
#[test]
fn a_log_that_moves_from_a_file_to_servers_keeps_every_decision() {
    let redis = RedisServer::start(RedisOptions::default());
    let scenario = Scenario::shared();
    let (mut file, mut servers) = (OneFileWorld::new(), World::new(&redis, 1));
    let daemon = file.one.spawn(&[], &[]);
    file.append(scenario.third(1));
    file.append(scenario.third(2));
    file.assert_undisturbed("in the file", 2);
    for new in [scenario.third(1).len() + scenario.third(2).len(), 0] {
        let output = export(&file, &redis);
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains(&format!("{new} of them new")), "{}", said(&output));
    }
    servers.count(scenario.third(1));
    servers.count(scenario.third(2));
    let moved = servers.start(&[], &[]);
    servers.assert_undisturbed("moved", 2);
    // What came meanwhile follows, though the daemon has trimmed what was there.
    file.append(scenario.third(3));
    file.assert_undisturbed("in the file", 3);
    assert!(daemon.stop().success());
    assert!(said(&export(&file, &redis)).contains(&format!("{} of them new", scenario.third(3).len())));
    servers.count(scenario.third(3));
    servers.assert_undisturbed("moved", 3);
    assert!(moved.stop().success());
    let mut other = OneFileWorld::new();
    other.append(scenario.third(2));
    let refused = export(&other, &redis);
    assert!(!refused.status.success() && said(&refused).contains("not those of this log"), "{}", said(&refused));
}
