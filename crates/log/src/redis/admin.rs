//! Short commands: announcing the pipeline, clock events, consumer groups, trimming, state of streams.

use std::collections::HashMap;

use redis::aio::MultiplexedConnection;
use watchtower_core::EntryId;
use watchtower_model::Millis;

use super::server::{RedisError, Server};
use super::{GROUP, announcement_key};
use crate::ClockSource;

/// Attempts of [`Admin::anchor`] on a stream that changes while memory is short.
const ANCHOR_ATTEMPTS: usize = 10;

/// A connection for short commands.
#[derive(Clone)]
pub struct Admin {
    server: Server,
    connection: MultiplexedConnection,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("server", &self.server.name()).finish_non_exhaustive()
    }
}

/// State of a stream in Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamInfo {
    /// Number of entries that it holds.
    pub length: u64,
    /// Number of entries ever added.
    pub added: u64,
    /// The id of the first entry it holds; zero if it holds none.
    pub first: EntryId,
    /// The id of the last entry ever added.
    pub last: EntryId,
    /// The greatest id of any deleted (not trimmed) entry; the greatest possible id if Redis does not report it.
    pub max_deleted: EntryId,
}

impl StreamInfo {
    /// Entries that were trimmed or deleted.
    pub fn removed(&self) -> u64 {
        self.added.saturating_sub(self.length)
    }
}

impl Admin {
    /// Opens a connection for short commands.
    ///
    /// # Errors
    /// If the server cannot be reached or does not let us in.
    pub async fn connect(server: &Server) -> Result<Self, RedisError> {
        Ok(Self { server: server.clone(), connection: server.connect().await? })
    }

    /// Announces the number of event streams and the source of clock events to producers. A Redis that is out of memory
    /// need not be written to if it has the same announcement: otherwise no daemon could start that frees memory.
    ///
    /// # Errors
    /// If Redis does not answer or refuses.
    pub async fn announce(&mut self, pipeline: &str, streams: u16, clock: ClockSource) -> Result<(), RedisError> {
        let fields = [("streams", streams.to_string()), ("clock", clock.word().to_owned())];
        let key = announcement_key(pipeline);
        let mut command = redis::cmd("HSET");
        command.arg(&key);
        fields.iter().for_each(|(name, value)| {
            command.arg(name).arg(value);
        });
        let failed = self.server.failed("announce the pipeline");
        match command.query_async::<()>(&mut self.connection).await.map_err(failed) {
            Err(error) if error.is_out_of_memory() => {
                let mut command = redis::cmd("HMGET");
                command.arg(&key).arg(fields.each_ref().map(|(name, _)| *name).as_slice());
                let failed = self.server.failed("read the announcement of the pipeline");
                let stands: Vec<Option<String>> = command.query_async(&mut self.connection).await.map_err(failed)?;
                let is_there = stands.into_iter().eq(fields.into_iter().map(|(_, value)| Some(value)));
                if is_there { Ok(()) } else { Err(error) }
            }
            announced => announced,
        }
    }

    /// Number of event streams and source of clock events as the pipeline was announced to producers; `None` before it
    /// was.
    ///
    /// # Errors
    /// If Redis does not answer or refuses.
    pub async fn announced(&mut self, pipeline: &str) -> Result<[Option<String>; 2], RedisError> {
        let key = announcement_key(pipeline);
        let (streams, clock) = redis::cmd("HMGET")
            .arg(&key)
            .arg("streams")
            .arg("clock")
            .query_async(&mut self.connection)
            .await
            .map_err(self.server.failed(format!("read {key}")))?;
        Ok([streams, clock])
    }

    /// The user of this connection, and those of the commands that it may not run; `{key}` in a command stands for the
    /// key beside it. `None` if the user may not run ACL DRYRUN: denials then show once a command is needed.
    pub async fn denied(&mut self, wanted: &[(&str, &[&str])]) -> Option<(String, Vec<String>)> {
        let user = redis::cmd("ACL").arg("WHOAMI").query_async::<String>(&mut self.connection).await.ok()?;
        let mut denied = Vec::new();
        for (key, command) in wanted {
            let mut dry_run = redis::cmd("ACL");
            dry_run.arg("DRYRUN").arg(&user);
            for word in *command {
                dry_run.arg(if *word == "{key}" { key } else { word });
            }
            match dry_run.query_async::<String>(&mut self.connection).await {
                Ok(answer) if answer != "OK" => denied.push(format!("{} {key}", command[0]).trim_end().to_owned()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
        Some((user, denied))
    }

    /// Creates the consumer group of each stream, and with it the stream. Out of memory, an existing group is enough.
    ///
    /// # Errors
    /// If Redis does not answer, refuses, or holds something else at a key.
    pub async fn ensure_groups(&mut self, keys: &[String]) -> Result<(), RedisError> {
        for key in keys {
            let mut create = redis::cmd("XGROUP");
            create.arg("CREATE").arg(key).arg(GROUP).arg("0-0").arg("MKSTREAM").arg("ENTRIESREAD").arg(0);
            match create.query_async::<()>(&mut self.connection).await {
                Ok(()) => {}
                Err(error) if error.code() == Some("BUSYGROUP") => {}
                Err(error) => {
                    let error = self.server.failed(format!("create group {GROUP} of {key}"))(error);
                    if !error.is_out_of_memory() || self.group_at(key).await?.is_none() {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    /// Moves the groups to the committed positions, so that `XINFO GROUPS` shows the lag. Unlike our cursors, those of
    /// a group prove nothing.
    ///
    /// # Errors
    /// If Redis does not answer or refuses.
    pub async fn move_groups(&mut self, cursors: &[(String, EntryId, u64)]) -> Result<(), RedisError> {
        let mut pipe = redis::pipe();
        for (key, last, entries) in cursors {
            pipe.cmd("XGROUP").arg("SETID").arg(key).arg(GROUP).arg(last.to_string());
            pipe.arg("ENTRIESREAD").arg(*entries).ignore();
        }
        pipe.query_async::<()>(&mut self.connection).await.map_err(self.server.failed("move the consumer groups"))
    }

    /// Removes entries older than `oldest`, which stays if it exists. Returns the number of removed entries.
    ///
    /// # Errors
    /// If Redis does not answer or refuses.
    pub async fn trim(&mut self, key: &str, oldest: EntryId) -> Result<u64, RedisError> {
        let mut command = redis::cmd("XTRIM");
        command.arg(key).arg("MINID").arg(oldest.to_string());
        command.query_async(&mut self.connection).await.map_err(self.server.failed(format!("trim {key}")))
    }

    /// Last position of our group of a stream, and the number of that entry; `None` without a group.
    ///
    /// # Errors
    /// If Redis does not answer or refuses.
    pub async fn group_at(&mut self, key: &str) -> Result<Option<(EntryId, u64)>, RedisError> {
        let answer: Result<Vec<HashMap<String, redis::Value>>, _> =
            redis::cmd("XINFO").arg("GROUPS").arg(key).query_async(&mut self.connection).await;
        let groups = match answer {
            Ok(groups) => groups,
            Err(error) if error.to_string().contains("no such key") => return Ok(None),
            Err(error) => return Err(self.server.failed(format!("look at the groups of {key}"))(error)),
        };
        let text = |value: Option<&redis::Value>| redis::from_redis_value_ref::<String>(value?).ok();
        let ours = groups.iter().find(|group| text(group.get("name")).as_deref() == Some(GROUP));
        Ok(ours.and_then(|group| {
            let at = text(group.get("last-delivered-id"))?.parse().ok()?;
            match group.get("entries-read")? {
                redis::Value::Int(entries) => Some((at, u64::try_from(*entries).ok()?)),
                _ => None,
            }
        }))
    }

    /// Appends the server's own time to every stream.
    ///
    /// # Errors
    /// If Redis does not answer or refuses.
    pub async fn tick(&mut self, keys: &[String]) -> Result<Millis, RedisError> {
        let now = self.time().await?;
        let mut pipe = redis::pipe();
        for key in keys {
            pipe.cmd("XADD").arg(key).arg("*").arg("type").arg("clock").arg("now").arg(now).ignore();
        }
        pipe.query_async::<()>(&mut self.connection).await.map_err(self.server.failed("append the time"))?;
        Ok(now)
    }

    /// State of a stream; all zeros if it does not exist.
    ///
    /// # Errors
    /// If Redis does not answer, refuses, or holds something else at the key.
    pub async fn stream_info(&mut self, key: &str) -> Result<StreamInfo, RedisError> {
        let answer: Result<HashMap<String, redis::Value>, _> =
            redis::cmd("XINFO").arg("STREAM").arg(key).query_async(&mut self.connection).await;
        match answer {
            Ok(raw) => Ok(parse_info(&raw)),
            Err(error) if error.to_string().contains("no such key") => Ok(StreamInfo::default()),
            Err(error) => Err(self.server.failed(format!("look at {key}"))(error)),
        }
    }

    /// Whether the stream still holds this entry, and its state at the same instant.
    ///
    /// # Errors
    /// If Redis does not answer or refuses.
    pub async fn anchor(&mut self, key: &str, id: EntryId) -> Result<(bool, StreamInfo), RedisError> {
        let text = id.to_string();
        let mut pipe = redis::pipe();
        pipe.atomic().cmd("XRANGE").arg(key).arg(&text).arg(&text).cmd("XINFO").arg("STREAM").arg(key);
        let answer: Result<(redis::Value, HashMap<String, redis::Value>), _> =
            pipe.query_async(&mut self.connection).await;
        match answer {
            Ok((found, raw)) => Ok((is_found(&found), parse_info(&raw))),
            Err(error) if error.to_string().contains("no such key") => Ok((false, StreamInfo::default())),
            Err(error) => {
                let error = self.server.failed(format!("look for entry {id} of {key}"))(error);
                if !error.is_out_of_memory() {
                    return Err(error);
                }
                self.anchor_between(key, &text).await?.ok_or(error)
            }
        }
    }

    /// [`Self::anchor`] of a Redis that is out of memory, which refuses every command inside MULTI: the look for the
    /// entry between two looks at the stream. If they are the same, nothing was appended or removed between them, for
    /// the number of entries ever added never falls, and with the same number added fewer are left once some are
    /// removed. None if they never were the same, as when memory has become free meanwhile.
    async fn anchor_between(&mut self, key: &str, id: &str) -> Result<Option<(bool, StreamInfo)>, RedisError> {
        for _ in 0..ANCHOR_ATTEMPTS {
            let before = self.stream_info(key).await?;
            let mut look = redis::cmd("XRANGE");
            look.arg(key).arg(id).arg(id);
            let found: redis::Value = look
                .query_async(&mut self.connection)
                .await
                .map_err(self.server.failed(format!("look for entry {id} of {key}")))?;
            let after = self.stream_info(key).await?;
            if before == after {
                return Ok(Some((is_found(&found), after)));
            }
        }
        Ok(None)
    }

    /// The server's time.
    ///
    /// # Errors
    /// If Redis does not answer or refuses.
    pub async fn time(&mut self) -> Result<Millis, RedisError> {
        let (s, us): (i64, i64) = redis::cmd("TIME")
            .query_async(&mut self.connection)
            .await
            .map_err(self.server.failed("ask for the time"))?;
        Ok(s * 1000 + us / 1000)
    }

    /// Values of the server's configuration that match the pattern; empty if it may not be read.
    ///
    /// # Errors
    /// If Redis does not answer or refuses.
    pub async fn settings(&mut self, pattern: &str) -> Result<HashMap<String, String>, RedisError> {
        redis::cmd("CONFIG")
            .arg("GET")
            .arg(pattern)
            .query_async(&mut self.connection)
            .await
            .map_err(self.server.failed("read its configuration"))
    }

    /// The text of `INFO <section>`.
    ///
    /// # Errors
    /// If Redis does not answer or refuses.
    pub async fn info(&mut self, section: &str) -> Result<String, RedisError> {
        redis::cmd("INFO")
            .arg(section)
            .query_async(&mut self.connection)
            .await
            .map_err(self.server.failed("ask how it is"))
    }
}

/// Whether an answer to XRANGE holds an entry.
fn is_found(answer: &redis::Value) -> bool {
    matches!(answer, redis::Value::Array(entries) if !entries.is_empty())
}

fn parse_info(raw: &HashMap<String, redis::Value>) -> StreamInfo {
    let number = |name: &str| match raw.get(name) {
        Some(redis::Value::Int(number)) => *number as u64,
        _ => 0,
    };
    let id = |value: Option<&redis::Value>| {
        let text = value.and_then(|value| redis::from_redis_value_ref::<String>(value).ok());
        text.and_then(|text| text.parse().ok()).unwrap_or(EntryId::ZERO)
    };
    let first = match raw.get("first-entry") {
        Some(redis::Value::Array(entry)) => id(entry.first()),
        _ => EntryId::ZERO,
    };
    StreamInfo {
        length: number("length"),
        added: number("entries-added"),
        first,
        last: id(raw.get("last-generated-id")),
        max_deleted: raw.get("max-deleted-entry-id").map_or(EntryId::MAX, |value| id(Some(value))),
    }
}
