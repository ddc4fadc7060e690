//! The items of a message while it is read.

use watchtower_core::events::{Event, Rejection};
use watchtower_model::Millis;

use super::message::{Item, Message, MessageError, Options, Refused};

/// Items in the order of the message, at most as many as one may have.
pub(super) struct Items {
    items: Vec<Item>,
    received_at: Millis,
    most: usize,
}

impl Items {
    pub(super) fn new(message: &Message<'_>, options: &Options) -> Self {
        Self { items: Vec::new(), received_at: message.received_at, most: options.max_events }
    }

    /// Adds an event or a refusal. `index`: number of the record, from 0; `bytes`: the record; `vehicle_id`: the
    /// vehicle that a refused record names.
    pub(super) fn push(
        &mut self,
        index: usize,
        bytes: &[u8],
        vehicle_id: Option<&str>,
        result: Result<Event<'_>, Rejection>,
    ) -> Result<(), MessageError> {
        if self.items.len() >= self.most {
            return Err(MessageError::TooManyEvents { most: self.most });
        }
        let result = match result {
            Ok(event) => {
                let mut event = event.into_owned();
                // Whatever the sender states: the time at which some other server received the data is no arrival here.
                *event.received_at_mut() = Some(self.received_at);
                Ok(event)
            }
            Err(Rejection { reason, detail, position_ts: _ }) => {
                Err(Refused { reason, detail, bytes: bytes.to_vec(), vehicle_id: vehicle_id.map(str::to_owned) })
            }
        };
        self.items.push(Item { index, result });
        Ok(())
    }

    /// All of them.
    pub(super) fn finish(self) -> Vec<Item> {
        self.items
    }
}
