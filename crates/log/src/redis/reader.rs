//! The one connection that reads entries.

use std::time::Duration;

use watchtower_core::{BoxFuture, EntryId};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::resp::{Framer, Of, Reply};
use super::server::{RESPONSE_TIMEOUT, RedisError, Server, Stream};

/// Wanted bytes of a reply: large enough that round trips cost little, small enough to hold several.
const WANTED_BYTES: usize = 2 << 20;
/// Limit of a reply: after it, entries that suddenly grew are requested in smaller portions.
const MAX_REPLY_BYTES: usize = 256 << 20;
/// Entries per stream and reply.
const MAX_COUNT: usize = 5_000;
/// Bytes of buffer reserved per read.
const READ_BYTES: usize = 256 << 10;

/// A connection that reads entries.
pub struct Reader {
    server: Server,
    stream: Box<dyn Stream>,
    buffer: BytesMut,
    count: usize,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("server", &self.server.name()).finish_non_exhaustive()
    }
}

impl Reader {
    /// Connects and opens a session: password, database.
    ///
    /// # Errors
    /// If the server cannot be reached or does not let us in.
    pub fn connect(server: &Server) -> BoxFuture<'_, Result<Self, RedisError>> {
        Box::pin(Self::open(server))
    }

    async fn open(server: &Server) -> Result<Self, RedisError> {
        let stream = server.dial().await?;
        let mut reader = Self { server: server.clone(), stream, buffer: BytesMut::new(), count: 100 };
        for command in server.greeting() {
            reader.command(&command, Of::Read, RESPONSE_TIMEOUT).await?;
        }
        Ok(reader)
    }

    /// Entries of the streams after the cursors; waits up to `block` for the first.
    ///
    /// # Errors
    /// If the connection breaks or Redis refuses; the reader is of no use then.
    pub async fn read(&mut self, keys: &[String], after: &[EntryId], block: Duration) -> Result<Reply, RedisError> {
        let mut command: Vec<String> = ["XREAD", "COUNT"].map(str::to_owned).to_vec();
        command.push(self.count.to_string());
        command.extend(["BLOCK".to_owned(), block.as_millis().max(1).to_string(), "STREAMS".to_owned()]);
        command.extend(keys.iter().cloned());
        command.extend(after.iter().map(EntryId::to_string));
        let reply = self.command(&command, Of::Read, block + RESPONSE_TIMEOUT).await?;
        if !reply.is_empty() {
            self.adapt(&reply);
        }
        Ok(reply)
    }

    /// Entries of one of the streams in `(after, until]`, the first some of them.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn range(
        &mut self,
        keys: &[String],
        stream: usize,
        after: EntryId,
        until: EntryId,
    ) -> Result<Reply, RedisError> {
        let command = [
            "XRANGE".to_owned(),
            keys[stream].clone(),
            format!("({after}"),
            until.to_string(),
            "COUNT".to_owned(),
            self.count.to_string(),
        ];
        let reply = self.command(&command, Of::Range(stream), RESPONSE_TIMEOUT).await?;
        self.adapt(&reply);
        Ok(reply)
    }

    /// How many entries one of the streams has in `(after, until]`. It reads them all.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn count(
        &mut self,
        keys: &[String],
        stream: usize,
        mut after: EntryId,
        until: EntryId,
    ) -> Result<u64, RedisError> {
        let mut count = 0;
        while after < until {
            let reply = self.range(keys, stream, after, until).await?;
            let before = after;
            let unreadable = |source| RedisError::Protocol { server: self.server.name().to_owned(), source };
            for found in reply.streams(keys).map_err(unreadable)? {
                (after, count) = (found.last, count + found.entries);
            }
            if after == before {
                break; // what is left of the range was removed
            }
        }
        Ok(count)
    }

    /// Adapts the number of entries per request to the size of those received: a reply may be small because there
    /// were few.
    fn adapt(&mut self, reply: &Reply) {
        let fitting = reply.entry_count() as usize * WANTED_BYTES / reply.len().max(1);
        self.count = fitting.clamp(1, (self.count * 2).min(MAX_COUNT));
    }

    async fn command(&mut self, command: &[String], of: Of, within: Duration) -> Result<Reply, RedisError> {
        let mut request = format!("*{}\r\n", command.len());
        for part in command {
            request.push_str(&format!("${}\r\n{part}\r\n", part.len()));
        }
        let server = self.server.clone();
        let answered = async {
            self.stream.write_all(request.as_bytes()).await.map_err(|error| server.broken(error))?;
            self.reply(of).await
        };
        let reply = tokio::time::timeout(within, answered)
            .await
            .unwrap_or_else(|_| Err(self.server.broken(std::io::ErrorKind::TimedOut.into())))?;
        match reply.error() {
            None => Ok(reply),
            Some(message) => {
                let (server, command) = (self.server.name().to_owned(), command[0].clone());
                Err(RedisError::Refused { server, command, message })
            }
        }
    }

    async fn reply(&mut self, of: Of) -> Result<Reply, RedisError> {
        let mut framer = Framer::new(of);
        loop {
            let complete = framer.complete(&self.buffer);
            let complete = complete.map_err(|source| {
                let server = self.server.name().to_owned();
                RedisError::Protocol { server, source }
            })?;
            if let Some(length) = complete {
                return Ok(framer.reply(self.buffer.split_to(length).freeze()));
            }
            if self.buffer.len() > MAX_REPLY_BYTES && self.count > 1 {
                return Err(self.server.broken(std::io::Error::other("entries have become too large for one reply")));
            }
            self.buffer.reserve(READ_BYTES);
            let read = self.stream.read_buf(&mut self.buffer).await.map_err(|error| self.server.broken(error))?;
            if read == 0 {
                return Err(self.server.broken(std::io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}
