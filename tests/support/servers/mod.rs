//! Real servers for tests: those of the benchmarks, and panics where those have errors.

pub(crate) mod pgbouncer;
pub(crate) mod postgres;
pub(crate) mod redis;

pub(crate) use watchtower_testing::servers::is_running;

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    watchtower_testing::servers::free_port().unwrap()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::is_running;
    use super::postgres::PostgresServer;
    use super::redis::{RedisOptions, RedisServer};

    /// A server that does not end for so long never will. Busy machines are slow.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Set for the copy of this program that is killed: where it says what it started.
    const STARTED: &str = "WATCHTOWER_TEST_STARTED";

    #[test]
    fn a_killed_test_process_leaves_no_server_behind() {
        if let Some(path) = std::env::var_os(STARTED) {
            let redis = RedisServer::start(RedisOptions::default());
            let (one, two) = (redis.process(), PostgresServer::shared().process());
            std::fs::write(path, format!("{} {}\n{} {}", one.0, one.1.display(), two.0, two.1.display())).unwrap();
            std::thread::sleep(PATIENCE);
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let started = dir.path().join("started");
        let name = "support::servers::tests::a_killed_test_process_leaves_no_server_behind";
        let mut copy = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(STARTED, &started)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let servers = || -> Vec<(u32, PathBuf)> {
            let text = std::fs::read_to_string(&started).unwrap_or_default();
            let pair = |line: &str| line.split_once(' ').map(|(pid, dir)| (pid.parse().unwrap(), PathBuf::from(dir)));
            text.lines().filter_map(pair).collect()
        };
        wait_until("two servers run", || servers().len() == 2);
        let servers = servers();
        assert!(servers.iter().all(|(pid, folder)| is_running(*pid) && folder.is_dir()));
        copy.kill().unwrap();
        copy.wait().unwrap();
        wait_until("they have ended", || servers.iter().all(|(pid, folder)| !is_running(*pid) && !folder.exists()));
    }

    fn wait_until(what: &str, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
