//! NOTIFY in the database of the tables: programs that LISTEN there get the envelope.

use super::{SendError, Sent, Surroundings};
use crate::envelope::envelope;
use crate::message::{Escape, Texts};
use crate::notice::Notice;
use crate::options::Postgres;
use watchtower_store::outbox::Outbox;

/// Longest payload of NOTIFY, bytes: PostgreSQL refuses 8000 and more.
const MAX_BYTES: usize = 7_999;

#[derive(Debug)]
pub(crate) struct Sender {
    channel: String,
    outbox: Outbox,
    texts: Texts,
}

impl Sender {
    pub(super) fn open(options: &Postgres, around: &Surroundings) -> Result<Self, String> {
        if !around.outbox.is_in_postgres() {
            return Err("NOTIFY needs the tables in PostgreSQL; a file has none".to_owned());
        }
        let texts = Texts::new(around.zone.clone(), Escape::Nothing);
        Ok(Self { channel: options.channel.clone(), outbox: around.outbox.with_own_connection(), texts })
    }

    pub(super) async fn send(&self, notice: &Notice) -> Result<Sent, SendError> {
        let mut body = envelope(notice, &self.texts);
        body["webhook_id"] = notice.key.as_str().into();
        let mut payload = body.to_string();
        if payload.len() > MAX_BYTES {
            // The message may be long; the rows are not.
            body["data"]["message"] = self.texts.plain(notice).into();
            payload = body.to_string();
        }
        if payload.len() > MAX_BYTES {
            return Err(SendError::impossible(format!(
                "the payload has {} bytes, NOTIFY takes {MAX_BYTES}",
                payload.len()
            )));
        }
        self.outbox.notify(&self.channel, &payload).await.map_err(|error| SendError::away(error.to_string()))?;
        Ok(None)
    }
}
