//! A stream of Redis, capped, and a pub/sub channel of the same name: both get the envelope.
//!
//! An entry of the stream has the fields `id` (the key of the delivery), `event`, `subject` and `json`. A repeated delivery
//! is another entry with the same `id`.

use tokio::sync::Mutex;
use watchtower_log::redis::Server;

use super::{SendError, Sent, Surroundings};
use crate::envelope::envelope;
use crate::message::{Escape, Texts};
use crate::notice::Notice;
use crate::options::Redis;

#[derive(Debug)]
pub(crate) struct Sender {
    server: Server,
    key: String,
    max_entries: u64,
    texts: Texts,
    connection: Mutex<Option<Connection>>,
}

struct Connection(redis::aio::MultiplexedConnection);

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Connection").finish()
    }
}

impl Sender {
    pub(super) fn open(options: &Redis, around: &Surroundings) -> Result<Self, String> {
        let Redis { url, ca_file, key, max_entries } = options;
        let server = Server::open(url, ca_file.as_ref()).map_err(|error| error.to_string())?;
        let key = key.clone().unwrap_or_else(|| format!("wt:{}:alerts", around.pipeline));
        let texts = Texts::new(around.zone.clone(), Escape::Nothing);
        Ok(Self { server, key, max_entries: *max_entries, texts, connection: Mutex::default() })
    }

    pub(super) async fn send(&self, notice: &Notice) -> Result<Sent, SendError> {
        let mut body = envelope(notice, &self.texts);
        body["webhook_id"] = notice.key.as_str().into();
        let body = body.to_string();
        let mut connection = self.connect().await?;
        let mut pipe = redis::pipe();
        pipe.cmd("XADD").arg(&self.key).arg("MAXLEN").arg("~").arg(self.max_entries).arg("*");
        pipe.arg("id").arg(&notice.key).arg("event").arg(notice.event.name());
        pipe.arg("subject").arg(&notice.subject).arg("json").arg(&body);
        pipe.cmd("PUBLISH").arg(&self.key).arg(&body).ignore();
        let answer: redis::RedisResult<(String,)> = pipe.query_async(&mut connection).await;
        match answer {
            Ok((entry,)) => Ok(Some(entry)),
            Err(error) => {
                *self.connection.lock().await = None;
                Err(SendError::away(format!("Redis at {}: {error}", self.server.name())))
            }
        }
    }

    async fn connect(&self) -> Result<redis::aio::MultiplexedConnection, SendError> {
        let mut open = self.connection.lock().await;
        if let Some(Connection(connection)) = &*open {
            return Ok(connection.clone());
        }
        let connection = self.server.connect().await.map_err(|error| SendError::away(error.to_string()))?;
        *open = Some(Connection(connection.clone()));
        Ok(connection)
    }
}
