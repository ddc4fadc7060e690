//! Checkpoints of a daemon that are broken, gone, or cannot be written.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Place, Scenario, World};
use crate::support::daemon::{Daemon, wait_until};
use crate::support::servers::redis::{RedisOptions, RedisServer};

/// The commit of a checkpoint's file.
fn commit_of(path: &Path) -> i64 {
    path.file_name().unwrap().to_str().unwrap()[..20].parse().unwrap()
}

/// A world whose first two thirds are in the tables, and a daemon that was killed after it had trimmed.
fn trimmed(redis: &RedisServer) -> World {
    let scenario = Scenario::shared();
    let mut world = World::new(redis, 1);
    let daemon = world.start(&[], &[]);
    for portion in [scenario.third(1), scenario.third(2)] {
        for part in portion.chunks(50) {
            world.append(part);
            world.pipeline.wait_for_entries(world.appended);
        }
    }
    wait_until("the log is trimmed", || world.trimmed() > 0);
    world.assert_undisturbed("before", 2);
    assert!(daemon.stop().success());
    assert_eq!(world.checkpoints().len(), 2);
    world
}

fn finish(mut world: World, daemon: Daemon, what: &str) {
    world.append(Scenario::shared().third(3));
    world.assert_undisturbed(what, 3);
    assert!(daemon.stop().success());
}

#[test]
fn a_broken_checkpoint_is_told_of_and_the_one_before_is_taken() {
    let redis = RedisServer::start(RedisOptions::default());
    let world = trimmed(&redis);
    let [older, newest] = &world.checkpoints()[..] else { panic!("two are kept") };
    let mut bytes = std::fs::read(newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(newest, bytes).unwrap();
    let daemon = world.start(&[], &[]);
    daemon.wait_until_ready();
    let log = daemon.log();
    assert!(log.contains("WARN a checkpoint is not used"), "{log}");
    assert!(log.contains(&newest.display().to_string()) && log.contains("the checksum differs"), "{log}");
    assert!(log.contains(&format!("checkpoint loaded commit_seq={} ", commit_of(older))), "{log}");
    assert!(log.contains("reading again what the tables contain"), "{log}");
    finish(world, daemon, "after a broken checkpoint");
}

#[test]
fn without_any_checkpoint_the_log_is_read_again() {
    let redis = RedisServer::start(RedisOptions::default());
    let mut world = World::new(&redis, 1);
    let rarely = [("WATCHTOWER_CHECKPOINTS_EVERY", "1d")];
    let daemon = world.start(&[], &rarely);
    world.append(Scenario::shared().third(1));
    world.append(Scenario::shared().third(2));
    world.assert_undisturbed("before", 2);
    assert!(daemon.stop().success());
    assert_eq!((world.trimmed(), world.checkpoints().len()), (0, 1));
    std::fs::remove_dir_all(world.pipeline.checkpoints()).unwrap();
    let daemon = world.start(&[], &rarely);
    daemon.wait_until_ready();
    let log = daemon.log();
    assert!(log.contains(&format!("reading again what the tables contain entries={}", world.appended)), "{log}");
    finish(world, daemon, "without a checkpoint");
}

#[test]
fn without_any_checkpoint_a_trimmed_log_is_refused_with_the_number_of_lost_entries() {
    let redis = RedisServer::start(RedisOptions::default());
    let mut world = trimmed(&redis);
    std::fs::remove_dir_all(world.pipeline.checkpoints()).unwrap();
    let digest = world.digest();
    let log = world.start(&[], &[]).ends_with(1);
    let keys = world.pipeline.keys();
    let left = |world: &mut World, key: &str| redis::cmd("XLEN").arg(key).query::<u64>(&mut world.redis).unwrap();
    let added = |world: &World, key: &str| -> u64 {
        world.pipeline.sql(&format!("SELECT entries FROM cursors WHERE stream = '{key}'")).parse().unwrap()
    };
    let key = keys.iter().find(|key| log.contains(&format!("{key}: the tables contain"))).unwrap();
    let (added, left) = (added(&world, key), left(&mut world, key));
    assert!(left < added);
    let expected = format!("{key}: the tables contain {added} entries up to ");
    assert!(log.contains(&expected), "{log}");
    let expected = format!("Redis no longer holds {} of the", added - left);
    assert!(log.contains(&expected), "{expected}: {log}");
    // But for the pipeline's own row, which says why it has halted.
    assert_eq!(world.digest()[1..], digest[1..]);
}

/// A file system of its own, if this user may mount one; gone with this value.
struct Mounted(PathBuf);

impl Mounted {
    fn new(folder: &Path, size: &str) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]).arg(folder);
        mount.output().is_ok_and(|output| output.status.success()).then(|| Self(folder.to_owned()))
    }

    fn resize(&self, size: &str) {
        let remount = format!("remount,size={size}");
        assert!(Command::new("mount").args(["-o", &remount]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_an_alarm_and_no_reason_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Mounted::new(folder.path(), "64k") else {
        println!("skipped: only root can mount a small file system");
        return;
    };
    let redis = RedisServer::start(RedisOptions::default());
    let scenario = Scenario::shared();
    let mut world = World::new(&redis, 1);
    let path = folder.path().display().to_string();
    let here = [("WATCHTOWER_CHECKPOINTS_FOLDER", &*path)];
    let daemon = world.start(&[], &here);
    let alarm = "ERROR cannot write the checkpoint";
    world.append(scenario.third(1));
    world.append(scenario.third(2));
    world.assert_undisturbed("while there is room, or none", 2);
    std::fs::write(folder.path().join("filler"), vec![0; 1 << 20]).unwrap_err();
    let mut portions = scenario.third(3).chunks(10);
    let written = || daemon.log().matches("checkpoint written").count();
    while !daemon.log().contains(alarm) {
        let before = written();
        world.append(portions.next().expect("the disk is full by now"));
        world.pipeline.wait_for_entries(world.appended);
        wait_until("a checkpoint is written, or not", || written() > before || daemon.log().contains(alarm));
    }
    assert!(daemon.log().contains("No space left on device"), "{}", daemon.log());
    let before = written();
    disk.resize("16m");
    portions.for_each(|portion| world.append(portion));
    world.assert_undisturbed("when there is room again", 3);
    let daemon_log = || daemon.log();
    wait_until("a checkpoint is written again", || daemon_log().matches("checkpoint written").count() > before);
    daemon.kill();
    let daemon = world.start(&[], &here);
    daemon.wait_until_ready();
    assert!(daemon.log().contains("checkpoint loaded"), "{}", daemon.log());
    world.assert_undisturbed("after a restart", 3);
    assert!(daemon.stop().success());
}

/// The checkpoint at the end does not claim what no commit contains.
#[test]
fn an_entry_of_a_later_program_is_refused_by_every_start() {
    let redis = RedisServer::start(RedisOptions::default());
    let mut world = World::new(&redis, 1);
    let daemon = world.start(&[], &[]);
    world.append(Scenario::shared().third(1));
    world.assert_undisturbed("before", 1);
    let key = &world.pipeline.keys()[0];
    redis::cmd("XADD").arg(key).arg("*").arg("bin").arg(b"WTB\xff\x01\0\0\0").exec(&mut world.redis).unwrap();
    let first = daemon.ends_with(1);
    assert!(first.contains("upgrade this daemon"), "{first}");
    for _ in 0..2 {
        let again = world.start(&[], &[]).ends_with(1);
        assert!(again.contains("checkpoint loaded") && again.contains("upgrade this daemon"), "{again}");
    }
    let digest = world.digest_now();
    assert_eq!(&digest, Scenario::shared().digest(1), "nothing was committed since");
}
