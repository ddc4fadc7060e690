//! How well a Redis keeps what it has acknowledged: the log is worth no more than that.

use std::fmt;

use super::RedisError;
use super::admin::Admin;

/// Which entries are lost when Redis or its machine fails, as far as its settings show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durability {
    /// How much of the log is written to disk, and when.
    pub kept: Kept,
    /// Replicas that are connected.
    pub replicas: u64,
    /// If it may throw away streams when memory is short: its `maxmemory-policy`.
    pub evicts: Option<String>,
}

/// How much of the log is written to disk, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Every event before it is acknowledged.
    All,
    /// Events older than a second.
    AllButASecond,
    /// Events that the operating system has written.
    WhatTheSystemWrote,
    /// A snapshot now and then.
    Snapshots,
    /// Its settings may not be read.
    Unknown,
}

impl Durability {
    /// Asks. What it does not tell, as a service in the cloud may not, is unknown.
    ///
    /// # Errors
    /// If it does not answer now, but will: what it might tell then is not unknown.
    pub async fn of(admin: &mut Admin) -> Result<Self, RedisError> {
        let mut info = String::new();
        for section in ["memory", "persistence", "replication"] {
            info.push_str(&told(admin.info(section).await)?);
        }
        let fsync = told(admin.settings("appendfsync").await)?.remove("appendfsync");
        Ok(Self::read(&info, fsync.as_deref()))
    }

    fn read(info: &str, fsync: Option<&str>) -> Self {
        let value = |name| info_value(info, name);
        let number = |name| value(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let kept = match (value("aof_enabled"), fsync) {
            (Some("1"), Some("always")) => Kept::All,
            (Some("1"), Some("everysec")) => Kept::AllButASecond,
            (Some("1"), Some("no")) => Kept::WhatTheSystemWrote,
            (Some("0"), _) => Kept::Snapshots,
            (_, _) => Kept::Unknown,
        };
        let policy = value("maxmemory_policy").filter(|policy| *policy != "noeviction");
        let evicts = policy.filter(|_| number("maxmemory") > 0).map(str::to_owned);
        Self { kept, replicas: number("connected_slaves"), evicts }
    }

    /// Whether a failure of its machine costs a second of events at most.
    pub fn is_good(&self) -> bool {
        match self.kept {
            Kept::All | Kept::AllButASecond => true,
            Kept::WhatTheSystemWrote | Kept::Snapshots | Kept::Unknown => false,
        }
    }
}

/// An answer; nothing if it is refused for good.
fn told<T: Default>(answer: Result<T, RedisError>) -> Result<T, RedisError> {
    match answer {
        Err(error) if !error.is_transient() => Ok(T::default()),
        answer => answer,
    }
}

/// As a sentence for logs and `watchtower check`.
impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kept {
            Kept::All => "Redis keeps every acknowledged event (appendonly yes, appendfsync always)",
            Kept::AllButASecond => {
                "Redis keeps all but the last second of events if its machine fails (appendonly yes, appendfsync everysec)"
            }
            Kept::WhatTheSystemWrote => {
                "Redis keeps the events that the operating system has written, which may take half a minute (appendonly \
                 yes, appendfsync no): set appendfsync everysec"
            }
            Kept::Snapshots => {
                "Redis has no append-only file: events since its last snapshot are lost if it stops; set appendonly yes"
            }
            Kept::Unknown => "Redis does not tell how it keeps events: durability is unknown",
        })?;
        match self.replicas {
            0 => f.write_str("; it has no replica"),
            1 => f.write_str("; it has 1 replica"),
            replicas => write!(f, "; it has {replicas} replicas"),
        }
    }
}

/// The finding about a Redis that may evict streams under this policy, with the remedy.
pub fn evicts(policy: &str) -> String {
    format!(
        "it may throw away streams when its memory is full (maxmemory-policy {policy}), and with them events that nobody \
         has read: set maxmemory-policy noeviction"
    )
}

/// A value of the text of `INFO`.
pub fn info_value<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "# Memory\r\nmaxmemory:0\r\nmaxmemory_human:0B\r\nmaxmemory_policy:allkeys-lru\r\n\
                        # Persistence\r\naof_enabled:1\r\n# Replication\r\nrole:master\r\nconnected_slaves:2\r\n";

    #[test]
    fn it_is_read_from_what_redis_says() {
        let durability = Durability::read(INFO, Some("everysec"));
        assert_eq!(durability, Durability { kept: Kept::AllButASecond, replicas: 2, evicts: None });
        assert!(durability.to_string().ends_with("appendfsync everysec); it has 2 replicas"), "{durability}");
        let full = INFO.replace("maxmemory:0", "maxmemory:1000000");
        assert_eq!(Durability::read(&full, None).evicts.as_deref(), Some("allkeys-lru"));
        assert_eq!(Durability::read(&full.replace("allkeys-lru", "noeviction"), None).evicts, None);
        assert_eq!(Durability::read(&INFO.replace("aof_enabled:1", "aof_enabled:0"), None).kept, Kept::Snapshots);
        assert_eq!(Durability::read(INFO, None).kept, Kept::Unknown);
        assert_eq!(Durability::read("", None), Durability { kept: Kept::Unknown, replicas: 0, evicts: None });
    }
}
