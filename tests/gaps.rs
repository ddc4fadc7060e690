//! Entries that the log no longer has: the daemon halts before them, says how many there are, and goes on
//! when somebody has accepted it.
//!
//! Each test does something to the streams of a real Redis that a daemon is reading. It knows all that was
//! ever added, and so which entries were lost before they were read.

use std::time::Duration;

use watchtower_log::Gap;

use crate::support::daemon::{Daemon, wait_until};
use crate::support::forwarder::Forwarder;
use crate::support::lossy::{EVENTS, Rig, text};
use crate::support::servers::redis::{RedisOptions, RedisServer};

/// What becomes of the daemon while something happens to Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meanwhile {
    /// It is stopped by a signal.
    Paused,
    /// It ends, and is started again.
    Down,
}

impl Meanwhile {
    /// Lets it happen; the daemon runs again afterwards.
    fn act(self, rig: &mut Rig, daemon: Daemon, act: impl FnOnce(&mut Rig)) -> Daemon {
        match self {
            Self::Paused => {
                daemon.freeze();
                act(rig);
                daemon.signal("CONT");
                daemon
            }
            Self::Down => {
                assert!(daemon.stop().success());
                act(rig);
                rig.pipeline.spawn(&[], &[])
            }
        }
    }
}

/// Waits until the daemon says that it has halted, makes sure that all who tell it tell the same, and that
/// the tables are those of the log before the gap. Returns why.
fn halted(rig: &Rig, daemon: &Daemon) -> String {
    let mut said = String::new();
    wait_until("the daemon has halted", || {
        let page = daemon.page("/readyz").filter(|(status, body)| *status == 503 && body.starts_with("halted: "));
        page.is_some_and(|(_, body)| {
            said = body;
            true
        })
    });
    let why = rig.pipeline.sql("SELECT halted FROM pipeline");
    let advice = "Nothing is written any more; `watchtower resume --accept-gap` continues without those entries";
    assert_eq!(said.trim(), format!("halted: {why}. {advice}"));
    assert!(rig.status().contains(&format!("HALTED    {why}\n")), "{}", rig.status());
    assert!(daemon.page("/healthz").is_some(), "it is alive");
    rig.assert_tables_are_those_of_what_is_read();
    why
}

/// What the daemon should say of the lost entries of the busy stream.
fn lost(rig: &Rig) -> (u64, String) {
    let (lost, last) = (rig.lost(EVENTS).len() as u64, rig.cursor(EVENTS));
    let entries = rig.number("SELECT entries FROM cursors WHERE stream = 'wt:lagos:events:0'");
    let rebased = rig.number("SELECT rebased FROM cursors WHERE stream = 'wt:lagos:events:0'");
    let added = rig.added(EVENTS) + rebased;
    (lost, Gap::Lost { stream: EVENTS.to_owned(), lost, last: text(last), entries, added }.to_string())
}

/// Accepts the loss, starts the daemon again, and makes sure that nothing else is missing.
fn accepted(rig: &mut Rig, daemon: Daemon, expected: &str) -> Daemon {
    assert!(daemon.stop().success());
    assert_eq!(rig.resume(), format!("{expected}\n"));
    let note = rig.pipeline.sql("SELECT note FROM commit_log ORDER BY commit_seq DESC LIMIT 1");
    assert_eq!(note, format!("accepted the loss: {expected}"));
    assert!(!rig.status().contains("HALTED"));
    let daemon = rig.pipeline.start();
    rig.send(100);
    rig.wait();
    rig.assert_tables_are_those_of_what_is_read();
    daemon
}

/// Twice a gap, each accepted.
fn entries_are_lost(meanwhile: Meanwhile, remove: impl Fn(&Rig)) {
    let mut rig = Rig::new();
    let mut daemon = rig.pipeline.start();
    rig.send(200);
    rig.wait();
    for _ in 0..2 {
        daemon = meanwhile.act(&mut rig, daemon, |rig| {
            rig.send(200);
            remove(rig);
            rig.send(50);
        });
        let why = halted(&rig, &daemon);
        let (lost, expected) = lost(&rig);
        assert!(lost > 0);
        assert_eq!(why, expected);
        let metric = format!("watchtower_lost_entries{{stream=\"{EVENTS}\"}} {lost}\n");
        assert!(daemon.page("/metrics").unwrap().1.contains(&metric), "{metric}");
        rig.accept();
        daemon = accepted(&mut rig, daemon, &format!("{EVENTS}: continues without {lost} entries"));
    }
    assert!(daemon.stop().success());
}

/// The ids of those entries of the busy stream that the tables do not contain.
fn unread(rig: &Rig) -> Vec<String> {
    let last = rig.cursor(EVENTS);
    rig.present(EVENTS).into_iter().filter(|id| *id > last).map(text).collect()
}

fn trim_half(rig: &Rig) {
    let unread = unread(rig);
    rig.redis(&["XTRIM", EVENTS, "MINID", &unread[unread.len() / 2]]);
}

fn delete_some(rig: &Rig) {
    let unread = unread(rig);
    let (from, to) = (unread.len() / 3, unread.len() / 2);
    unread[from..to].iter().for_each(|id| rig.redis(&["XDEL", EVENTS, id]));
}

fn trim_all(rig: &Rig) {
    rig.redis(&["XTRIM", EVENTS, "MAXLEN", "0"]);
}

#[test]
fn entries_trimmed_while_the_daemon_is_paused_are_missed() {
    entries_are_lost(Meanwhile::Paused, trim_half);
}

#[test]
fn entries_trimmed_while_the_daemon_is_down_are_missed() {
    entries_are_lost(Meanwhile::Down, trim_half);
}

#[test]
fn entries_deleted_while_the_daemon_is_paused_are_missed() {
    entries_are_lost(Meanwhile::Paused, delete_some);
}

#[test]
fn entries_deleted_while_the_daemon_is_down_are_missed() {
    entries_are_lost(Meanwhile::Down, delete_some);
}

#[test]
fn a_stream_trimmed_to_nothing_is_missed() {
    entries_are_lost(Meanwhile::Paused, trim_all);
    entries_are_lost(Meanwhile::Down, trim_all);
}

#[test]
fn entries_that_were_read_may_go() {
    for meanwhile in [Meanwhile::Paused, Meanwhile::Down] {
        let mut rig = Rig::new();
        let mut daemon = rig.pipeline.start();
        rig.send(200);
        rig.wait();
        let with_the_last = |rig: &Rig| {
            let (ms, seq) = rig.cursor(EVENTS);
            rig.redis(&["XTRIM", EVENTS, "MINID", &text((ms, seq + 1))]);
        };
        let up_to_the_last = |rig: &Rig| rig.redis(&["XTRIM", EVENTS, "MINID", &text(rig.cursor(EVENTS))]);
        let some = |rig: &Rig| {
            let last = rig.cursor(EVENTS);
            let read: Vec<String> = rig.present(EVENTS).into_iter().filter(|id| *id <= last).map(text).collect();
            read.iter().step_by(3).chain(read.last()).for_each(|id| rig.redis(&["XDEL", EVENTS, id]));
        };
        for remove in [&up_to_the_last as &dyn Fn(&Rig), &with_the_last, &some] {
            daemon = meanwhile.act(&mut rig, daemon, |rig| {
                rig.send(50);
                remove(rig);
                rig.send(50);
            });
            rig.wait();
            rig.assert_tables_are_those_of_what_is_read();
            assert_eq!(rig.pipeline.sql("SELECT halted IS NULL FROM pipeline"), "t");
        }
        assert!(daemon.stop().success());
        assert_eq!(rig.resume(), "nothing is lost: start the daemon\n");
    }
}

/// The busy stream, or all of them, make room for new ones.
fn streams_are_replaced(meanwhile: Meanwhile, all: bool, ids_from: Option<u64>, positions: usize) {
    let mut rig = Rig::new();
    let mut daemon = rig.pipeline.start();
    rig.send(200);
    rig.wait();
    daemon = meanwhile.act(&mut rig, daemon, |rig| {
        rig.send(50);
        let keys = if all { rig.pipeline.keys() } else { vec![EVENTS.to_owned()] };
        rig.replace(&keys);
        rig.explicit = ids_from;
        rig.send(positions);
    });
    let why = halted(&rig, &daemon);
    assert!(why.contains("it is not the stream that was read"), "{why}");
    assert!(daemon.stop().success());
    rig.accept();
    let told = rig.resume();
    for key in rig.pipeline.keys() {
        let went_on = format!("{key}: continues from the beginning of the present stream, {} entries", rig.added(&key));
        assert_eq!(told.contains(&went_on), all || key == EVENTS, "{key}: {told}");
    }
    daemon = rig.pipeline.start();
    rig.wait();
    rig.assert_tables_are_those_of_what_is_read();
    // Killed, it goes on in the new stream from a checkpoint that may be of the old one.
    daemon.kill();
    rig.send(30);
    daemon = rig.pipeline.start();
    rig.wait();
    rig.assert_tables_are_those_of_what_is_read();
    // And then, as ever.
    daemon = meanwhile.act(&mut rig, daemon, |rig| {
        rig.send(100);
        trim_half(rig);
    });
    assert_eq!(halted(&rig, &daemon), lost(&rig).1);
    let (lost, _) = lost(&rig);
    rig.accept();
    daemon = accepted(&mut rig, daemon, &format!("{EVENTS}: continues without {lost} entries"));
    assert!(daemon.stop().success());
}

#[test]
fn a_stream_that_was_deleted_and_has_fewer_entries_since() {
    streams_are_replaced(Meanwhile::Paused, false, None, 20);
    streams_are_replaced(Meanwhile::Down, false, None, 20);
}

#[test]
fn a_stream_that_was_deleted_and_has_more_entries_since() {
    streams_are_replaced(Meanwhile::Paused, false, None, 700);
    streams_are_replaced(Meanwhile::Down, false, None, 700);
}

#[test]
fn a_stream_that_was_deleted_and_has_smaller_ids_since() {
    streams_are_replaced(Meanwhile::Paused, false, Some(1_000), 700);
    streams_are_replaced(Meanwhile::Down, false, Some(1_000), 20);
}

#[test]
fn streams_that_were_flushed() {
    streams_are_replaced(Meanwhile::Paused, true, None, 300);
    streams_are_replaced(Meanwhile::Down, true, Some(1_000), 300);
}

#[test]
fn streams_that_are_gone_are_missed_though_nothing_comes() {
    let mut rig = Rig::new();
    let daemon = rig.pipeline.start();
    rig.send(50);
    rig.wait();
    rig.replace(&[EVENTS.to_owned()]);
    assert!(halted(&rig, &daemon).contains("0 entries up to 0-0"));
    assert!(daemon.stop().success());
    let mut rig = Rig::new();
    let mut daemon = rig.pipeline.start();
    rig.send(50);
    rig.wait();
    rig.lose_redis();
    let why = halted(&rig, &daemon);
    assert!(why.contains("it is not the stream that was read"), "{why}");
    daemon.signal("TERM");
    assert!(daemon.wait().success());
    rig.accept();
    assert!(rig.resume().contains("from the beginning of the present stream, 0 entries, without 0 entries"));
    daemon = rig.pipeline.start();
    rig.send(50);
    rig.wait();
    rig.assert_tables_are_those_of_what_is_read();
    assert!(daemon.stop().success());
}

/// A replica hears nothing for a while and takes the place of its master then.
#[test]
fn a_replica_that_was_behind_is_an_older_state() {
    for meanwhile in [None, Some(Meanwhile::Paused), Some(Meanwhile::Down)] {
        let master = RedisServer::start(RedisOptions::default());
        let forwarder = Forwarder::to(port(&master));
        let mut rig = Rig::on(master, format!("redis://127.0.0.1:{}", forwarder.port()), "");
        let mut daemon = rig.pipeline.start();
        rig.send(100);
        rig.wait();
        let replica = RedisServer::start(RedisOptions::default());
        replica.command(&["REPLICAOF", "127.0.0.1", &port(&rig.redis).to_string()]);
        wait_until("the replica has it all", || {
            let links = replica.command(&["INFO", "replication"]);
            links.contains("master_link_status:up") && rig.pipeline.keys().iter().all(|key| rig.is_same(&replica, key))
        });
        replica.command(&["REPLICAOF", "127.0.0.1", "1"]);
        rig.send(100);
        rig.wait(); // the tables have what the replica has not
        let promote = |rig: &mut Rig| {
            rig.send(10); // nobody has these
            std::thread::sleep(Duration::from_millis(20)); // no fail-over is so quick that ids are the same
            replica.command(&["REPLICAOF", "NO", "ONE"]);
            rig.serve_from(&replica);
            forwarder.switch(port(&replica));
            rig.send(120);
        };
        match meanwhile {
            Some(meanwhile) => daemon = meanwhile.act(&mut rig, daemon, promote),
            None => {
                forwarder.switch(1); // the master fails
                promote(&mut rig);
            }
        }
        let why = halted(&rig, &daemon);
        assert!(why.contains("it is not the stream that was read"), "{why}");
        assert!(daemon.stop().success());
        rig.accept();
        let told = rig.resume();
        for key in rig.pipeline.keys() {
            assert!(told.contains(&format!("{key}: continues after ")), "{told}");
        }
        assert!(told.contains("where both streams are the same"), "{told}");
        let daemon = rig.pipeline.start();
        rig.send(50);
        rig.wait();
        rig.assert_tables_are_those_of_what_is_read();
        assert!(daemon.stop().success());
    }
}

fn port(redis: &RedisServer) -> u16 {
    redis.url().rsplit_once(':').unwrap().1.parse().unwrap()
}

/// What the tables contain is gone, and there is no checkpoint that has it.
#[test]
fn there_is_no_going_on_without_what_the_tables_contain() {
    let mut rig = Rig::new();
    let daemon = rig.pipeline.start();
    rig.send(100);
    rig.wait();
    daemon.kill();
    std::fs::remove_dir_all(rig.pipeline.checkpoints()).unwrap();
    rig.redis(&["XTRIM", EVENTS, "MAXLEN", "10"]);
    let mut daemon = rig.pipeline.spawn(&[], &[]);
    assert_eq!(daemon.wait().code(), Some(1));
    let contained = rig.number("SELECT entries FROM cursors WHERE stream = 'wt:lagos:events:0'");
    let why = Gap::Unreplayable {
        stream: EVENTS.to_owned(),
        needed: contained,
        last: text(rig.cursor(EVENTS)),
        wanted: contained,
        found: 10,
    };
    assert!(daemon.log().contains(&format!("watchtower: {why}; the tables are left unchanged")), "{}", daemon.log());
    assert_eq!(rig.pipeline.sql("SELECT halted FROM pipeline"), why.to_string());
    assert!(rig.status().contains(&format!("HALTED    {why}\n")));
    let output = rig.pipeline.run("resume", &["--accept-gap"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&why.to_string()) && said.contains("there is no loss to accept"), "{said}");
}

/// Connections that break at any moment lose nothing.
#[test]
fn connections_that_break_lose_no_entry() {
    let mut rig = Rig::new();
    let daemon = rig.pipeline.start();
    for _ in 0..150 {
        rig.send(5);
        rig.redis(&["CLIENT", "KILL", "TYPE", "normal"]);
    }
    rig.wait();
    rig.assert_tables_are_those_of_what_is_read();
    assert_eq!(rig.pipeline.sql("SELECT halted IS NULL FROM pipeline"), "t");
    assert!(daemon.log().contains("connecting again"));
    assert!(daemon.stop().success());
}
