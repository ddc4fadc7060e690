//! One line of the program's own log for each event.

use super::{Sent, Surroundings};
use crate::message::{Escape, Texts};
use crate::notice::Notice;

#[derive(Debug)]
pub(crate) struct Sender {
    channel: String,
    texts: Texts,
}

impl Sender {
    pub(super) fn open(channel: &str, around: &Surroundings) -> Self {
        Self { channel: channel.to_owned(), texts: Texts::new(around.zone.clone(), Escape::Line) }
    }

    pub(super) fn send(&self, notice: &Notice) -> Sent {
        let text = self.texts.text(notice).replace(char::is_control, " ");
        tracing::info!(
            channel = self.channel,
            event = notice.event.name(),
            severity = notice.text("severity"),
            subject = notice.subject,
            "alert: {text}"
        );
        None
    }
}
