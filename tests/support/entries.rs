//! Entries of streams with the ids they have: read, decided on, and appended once more elsewhere, so that
//! several daemons read the very same log.

use std::collections::BTreeMap;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redis::{Connection, ConnectionLike};
use watchtower_core::EntryId;

use crate::support::daemon::PATIENCE;

/// Names and values.
pub(crate) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// An entry of one of the streams of a pipeline.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Index of its stream's key.
    pub(crate) stream: usize,
    pub(crate) id: EntryId,
    pub(crate) fields: Fields,
}

/// Entries in an order in which they may be appended: within a stream, that of their ids.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) keys: Vec<String>,
    pub(crate) entries: Vec<Entry>,
}

impl Log {
    /// What the streams of these keys hold, all together in the order of the ids.
    pub(crate) fn read(url: &str, keys: &[String]) -> Self {
        let mut connection = connect(url).unwrap();
        let mut entries = Vec::new();
        for (stream, key) in keys.iter().enumerate() {
            let found: Vec<(String, Fields)> =
                redis::cmd("XRANGE").arg(key).arg("-").arg("+").query(&mut connection).unwrap();
            entries.extend(found.into_iter().map(|(id, fields)| Entry { stream, id: id.parse().unwrap(), fields }));
        }
        entries.sort_by_key(|entry| (entry.id, entry.stream));
        Self { keys: keys.to_vec(), entries }
    }

    /// The first so many.
    pub(crate) fn first(mut self, entries: usize) -> Self {
        self.entries.truncate(entries);
        self
    }

    pub(crate) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Appends everything.
    pub(crate) fn append(&self, url: &str) {
        Appender::new(url, &self.keys).append(&self.entries);
    }

    /// Begins to append, a portion after the other, a pause after each. The server may come and go meanwhile.
    pub(crate) fn start_appending(&self, url: &str, portion: usize, pause: Duration) -> JoinHandle<()> {
        let (log, mut appender) = (self.clone(), Appender::new(url, &self.keys));
        std::thread::spawn(move || {
            for entries in log.entries.chunks(portion) {
                appender.append(entries);
                std::thread::sleep(pause);
            }
        })
    }
}

/// A connection that is made again when it is lost.
struct Appender {
    url: String,
    keys: Vec<String>,
    connection: Option<Connection>,
}

impl Appender {
    fn new(url: &str, keys: &[String]) -> Self {
        Self { url: url.to_owned(), keys: keys.to_vec(), connection: None }
    }

    /// Returns when Redis has all of them, each once.
    fn append(&mut self, entries: &[Entry]) {
        let started = Instant::now();
        while let Err(error) = self.try_append(entries) {
            assert!(started.elapsed() < PATIENCE, "cannot append to {}: {error}", self.url);
            self.connection = None;
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn try_append(&mut self, entries: &[Entry]) -> redis::RedisResult<()> {
        // Of what was under way when the connection was lost, some may be there.
        let mut there = BTreeMap::new();
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let mut connection = connect(&self.url)?;
                for (stream, key) in self.keys.iter().enumerate() {
                    there.insert(stream, last_id(&mut connection, key)?);
                }
                none.insert(connection)
            }
        };
        let mut pipe = redis::pipe();
        for Entry { stream, id, fields } in entries {
            if there.get(stream).is_none_or(|last| id > last) {
                pipe.cmd("XADD").arg(&self.keys[*stream]).arg(id.to_string());
                for (name, value) in fields {
                    pipe.arg(name).arg(value);
                }
                pipe.ignore();
            }
        }
        if pipe.is_empty() { Ok(()) } else { pipe.exec(connection) }
    }
}

fn connect(url: &str) -> redis::RedisResult<Connection> {
    let connection = redis::Client::open(url)?.get_connection_with_timeout(Duration::from_secs(5))?;
    connection.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(connection)
}

/// The id of the last entry ever added; zero if there is no such stream.
fn last_id(connection: &mut impl ConnectionLike, key: &str) -> redis::RedisResult<EntryId> {
    if !redis::cmd("EXISTS").arg(key).query::<bool>(connection)? {
        return Ok(EntryId::ZERO);
    }
    let info: BTreeMap<String, redis::Value> = redis::cmd("XINFO").arg("STREAM").arg(key).query(connection)?;
    let id: String = redis::from_redis_value_ref(&info["last-generated-id"]).unwrap();
    Ok(id.parse().unwrap())
}
