//! The connection of a producer to Redis, and advice for its errors.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use redis::{Connection, ErrorKind, RedisError, Value};
use secrecy::{ExposeSecret, SecretString};

use super::chunk::Commands;
use crate::file::LogError;
use crate::redis::{Server, address};

/// Time limit for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time limit for one chunk. A server may be busy forking or syncing its disk.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

/// Entries read at once.
const PAGE: usize = 500;

/// The limits of both where a client waits for the answer.
const CLIENT_WAITS: Duration = Duration::from_secs(5);

/// Cause of a failed append, with advice where there is some: reported by Redis, its connection, or the file.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{advice}{told}")]
pub struct Fault {
    advice: &'static str,
    told: String,
}

/// There is no connection.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LinkError {
    /// The URL is not one of a Redis server.
    #[error("that is not the URL of a Redis server; expected redis://[user:password@]host[:port][/database]")]
    Url,
    /// There is no reply, or another than expected.
    #[error("cannot connect to Redis at {server}")]
    Connect {
        /// Host, port and database.
        server: String,
        /// Error of the connection.
        source: Fault,
    },
    /// A stream of the pipeline cannot be read.
    #[error("cannot read the stream {key} of Redis at {server}")]
    Stream {
        /// Key of the stream.
        key: String,
        /// Host, port and database.
        server: String,
        /// Error of the connection.
        source: Fault,
    },
    /// The pipeline's hash in Redis, which the daemon wrote, cannot be read.
    #[error("cannot read the hash {key} of Redis at {server}")]
    Read {
        /// Key of the pipeline's hash.
        key: String,
        /// Host, port and database.
        server: String,
        /// Error of the connection.
        source: Fault,
    },
}

/// A chunk was not wholly appended.
#[derive(Debug)]
pub struct Broken {
    /// Number of its events that were appended.
    pub published: u64,
    /// Number of its events that may have been appended: the connection was lost before Redis replied.
    pub unsure: u64,
    /// Error of the connection.
    pub fault: Fault,
}

/// The fields of an entry: names and values.
pub type Fields<'f> = &'f [(&'f [u8], &'f [u8])];

/// Connection to the Redis that events are appended to.
pub struct Link {
    connection: Connection,
    server: String,
}

impl Link {
    /// Connects, or gives up after a time limit.
    pub fn open(url: &SecretString) -> Result<Self, LinkError> {
        let server = address(url);
        let client = redis::Client::open(url.expose_secret()).map_err(|_| LinkError::Url)?;
        let connect = || {
            let connection = client.get_connection_with_timeout(CONNECT_TIMEOUT)?;
            connection.set_read_timeout(Some(RESPONSE_TIMEOUT))?;
            connection.set_write_timeout(Some(RESPONSE_TIMEOUT))?;
            Ok(connection)
        };
        let connection = connect()
            .map_err(|error: RedisError| LinkError::Connect { server: server.clone(), source: Fault::from(&error) })?;
        Ok(Self { connection, server })
    }

    /// Connects to a server, or gives up soon: a client waits.
    pub fn open_on(server: &Server) -> Result<Self, LinkError> {
        let connect = || {
            let connection = server.client().get_connection_with_timeout(CLIENT_WAITS)?;
            connection.set_read_timeout(Some(CLIENT_WAITS))?;
            connection.set_write_timeout(Some(CLIENT_WAITS))?;
            Ok(connection)
        };
        let name = server.name().to_owned();
        let failed = |error: RedisError| LinkError::Connect { server: name.clone(), source: Fault::from(&error) };
        Ok(Self { connection: connect().map_err(failed)?, server: name })
    }

    /// Whether the server answers on this connection.
    pub fn answers(&mut self) -> bool {
        redis::cmd("PING").query::<()>(&mut self.connection).is_ok()
    }

    /// Those of the keys behind the prefix that exist.
    pub fn remembered(&mut self, prefix: &str, keys: &[&str]) -> Result<HashSet<String>, Fault> {
        let mut command = redis::cmd("MGET");
        keys.iter().for_each(|key| {
            command.arg(format!("{prefix}{key}"));
        });
        let found: Vec<Option<String>> =
            command.query(&mut self.connection).map_err(|error: RedisError| Fault::from(&error))?;
        Ok(keys.iter().zip(found).filter(|(_, found)| found.is_some()).map(|(key, _)| (*key).to_owned()).collect())
    }

    /// Appends a chunk and sets the keys of deliveries, which expire, in one transaction: Redis carries out all commands
    /// or, if one of them is refused when it is queued (memory, read-only, replicas), none.
    pub fn append_whole(
        &mut self,
        chunk: &Commands,
        prefix: &str,
        deliveries: &[(String, Duration)],
    ) -> Result<(), Fault> {
        let mut all = Commands::default();
        all.command(&[b"MULTI"]);
        all.extend(chunk);
        for (key, keep) in deliveries {
            let seconds = keep.as_secs().max(1).to_string();
            all.command(&[b"SET", format!("{prefix}{key}").as_bytes(), b"1", b"EX", seconds.as_bytes()]);
        }
        all.command(&[b"EXEC"]);
        let lost = |error: RedisError| Fault::from(&error);
        self.connection.send_packed_command(all.bytes()).map_err(lost)?;
        let mut refused = None;
        for _ in 0..chunk.events().len() + deliveries.len() + 2 {
            let errors: Vec<_> = match self.connection.recv_response().map_err(lost)? {
                Value::ServerError(error) => vec![error],
                Value::Array(answers) => {
                    let error = |answer| if let Value::ServerError(error) = answer { Some(error) } else { None };
                    answers.into_iter().filter_map(error).collect()
                }
                _ => Vec::new(),
            };
            refused = refused.or_else(|| errors.into_iter().next());
        }
        refused.map_or(Ok(()), |error| Err(Fault::from(&RedisError::from(error))))
    }

    /// Host, port and database.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Fields of a hash, if it is there and has them.
    pub fn hash<const N: usize>(&mut self, key: &str, fields: [&str; N]) -> Result<[Option<String>; N], LinkError> {
        let values: Result<Vec<Option<String>>, _> =
            redis::cmd("HMGET").arg(key).arg(fields.as_slice()).query(&mut self.connection);
        let failed = |fault| LinkError::Read { key: key.to_owned(), server: self.server.clone(), source: fault };
        let values = values.map_err(|error| failed(Fault::from(&error)))?;
        values
            .try_into()
            .map_err(|_| failed(Fault { advice: "it did not answer as a redis does", told: String::new() }))
    }

    /// Passes on the fields of the entries of a stream, oldest first. Returns whether the stream still has all that were
    /// ever added.
    pub fn read_stream(&mut self, key: &str, each: &mut dyn FnMut(Fields<'_>)) -> Result<bool, LinkError> {
        let server = self.server.clone();
        let failed = |error| LinkError::Stream { key: key.to_owned(), server, source: Fault::from(&error) };
        self.pages(key, each).map_err(failed)
    }

    fn pages(&mut self, key: &str, each: &mut dyn FnMut(Fields<'_>)) -> Result<bool, RedisError> {
        if !redis::cmd("EXISTS").arg(key).query::<bool>(&mut self.connection)? {
            return Ok(true);
        }
        let info: HashMap<String, Value> = redis::cmd("XINFO").arg("STREAM").arg(key).query(&mut self.connection)?;
        let added = info.get("entries-added").and_then(|added| redis::from_redis_value_ref::<u64>(added).ok());
        let (mut after, mut read) = ("-".to_owned(), 0);
        loop {
            let mut command = redis::cmd("XRANGE");
            command.arg(key).arg(&after).arg("+").arg("COUNT").arg(PAGE);
            let page: Vec<(String, Vec<Vec<u8>>)> = command.query(&mut self.connection)?;
            let Some((last, _)) = page.last() else { break };
            after = format!("({last}");
            read += page.len() as u64;
            for (_, parts) in &page {
                let fields: Vec<(&[u8], &[u8])> =
                    parts.chunks_exact(2).map(|pair| (pair[0].as_slice(), pair[1].as_slice())).collect();
                each(&fields);
            }
        }
        Ok(added.is_some_and(|added| read >= added))
    }

    /// Appends a chunk. Returns its number of events.
    pub fn append(&mut self, chunk: &Commands) -> Result<u64, Broken> {
        let all = || chunk.events().iter().map(|&events| u64::from(events)).sum();
        let lost = |published, unsure, error: &RedisError| Broken { published, unsure, fault: Fault::from(error) };
        if let Err(error) = self.connection.send_packed_command(chunk.bytes()) {
            return Err(lost(0, all(), &error));
        }
        let mut published = 0;
        let mut refused = None;
        for (index, &events) in chunk.events().iter().enumerate() {
            match self.connection.recv_response() {
                Ok(Value::ServerError(error)) => refused = refused.or(Some(RedisError::from(error))),
                Ok(_) => published += u64::from(events),
                Err(error) => {
                    let unsure = chunk.events()[index..].iter().map(|&events| u64::from(events)).sum();
                    return Err(lost(published, unsure, &error));
                }
            }
        }
        match refused {
            None => Ok(published),
            Some(error) => Err(lost(published, 0, &error)),
        }
    }
}

impl Fault {
    /// Cause reported by the log in a file.
    pub fn of_a_file(error: &LogError) -> Self {
        Self { advice: "", told: error.to_string() }
    }
}

impl From<&RedisError> for Fault {
    fn from(error: &RedisError) -> Self {
        let advice = match (error.kind(), error.code()) {
            (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS")) => "the user or the password is wrong",
            (_, Some("NOAUTH")) => "it wants a password, as in redis://user:password@host or redis://:password@host",
            (_, Some("NOPERM")) => "the user may not do this; it needs HMGET and XADD on the keys wt:<pipeline>:*",
            (_, Some("OOM")) => {
                "its memory is full: raise its maxmemory, or wait until the pipeline's daemon, which trims what it \
                 has read, has caught up"
            }
            (_, Some("READONLY")) => "it is a read-only replica: name the primary",
            (_, Some("MASTERDOWN")) => "it is a replica without its primary: name the primary",
            (_, Some("MISCONF")) => "it cannot write its data to disk and therefore takes no more",
            (_, Some("NOREPLICAS")) => "fewer of its replicas are connected than its min-replicas-to-write",
            (_, Some("LOADING")) => "it is still loading its data: try again in a while",
            (_, Some("BUSY")) => "it runs a script that takes long: try again in a while",
            (_, Some("TRYAGAIN" | "CLUSTERDOWN")) => "its cluster is moving slots or not whole: try again in a while",
            (_, Some("ERR")) if error.to_string().contains("max number of clients") => {
                "it has as many connections as its maxclients: raise it, or try again in a while"
            }
            (_, Some("WRONGTYPE")) => "a key of the pipeline holds something else than it should",
            (_, Some("MOVED")) => "it is one node of a cluster; all streams of a pipeline are on one server",
            _ if error.is_connection_refusal() => "nothing listens there",
            _ if error.is_timeout() => "it does not answer in time",
            _ if error.is_connection_dropped() => "the connection was lost",
            _ => return Self { advice: "", told: error.to_string() },
        };
        Self { advice, told: format!(" ({error})") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do() {
        for (told, expected) in [
            ("OOM command not allowed when used memory > 'maxmemory'.", "raise its maxmemory"),
            ("READONLY You can't write against a read only replica.", "name the primary"),
            ("NOAUTH Authentication required.", "redis://:password@host"),
            ("WRONGPASS invalid username-password pair or user is disabled.", "the password is wrong"),
            ("BUSY Redis is busy running a script.", "try again in a while"),
            ("NOREPLICAS Not enough good replicas to write.", "min-replicas-to-write"),
        ] {
            let (code, detail) = told.split_once(' ').unwrap();
            let error = redis::make_extension_error(code.to_owned(), Some(detail.to_owned()));
            let fault = Fault::from(&error).to_string();
            assert!(fault.contains(expected) && fault.contains(detail), "{fault}");
        }
    }
}
