//! Looking a message up by its metadata, which resolves a post whose reply was lost.

use serde::Deserialize;
use watchtower_model::Millis;

use crate::client::Client;
use crate::error::Error;
use crate::http::send;
use crate::metadata::{Metadata, ReadMetadata};

/// Messages of a page. Slack recommends no more than 200 and accepts 999.
const PAGE: &str = "200";
/// Pages of a look-up: 10,000 messages since `oldest`.
const MAX_PAGES: usize = 50;
/// How far the clocks of this machine and of Slack may be apart, milliseconds.
const MAX_SKEW_MS: Millis = 120_000;

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub struct LookUp<'a> {
    /// The channel's ID.
    pub channel: &'a str,
    /// `ts` of the message whose thread is searched, without that message; None searches the channel without threads.
    pub thread_ts: Option<&'a str>,
    /// The metadata of the message, or a part of its texts.
    pub metadata: &'a Metadata,
    /// When the message was first posted at the earliest, epoch milliseconds by this machine's clock; two minutes before
    /// it are searched, too, for clocks that differ.
    pub oldest_ms: Millis,
}

/// A message that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Name of the message within its channel.
    pub ts: String,
    /// Its text as it is now, mrkdwn.
    pub text: String,
}

#[derive(Debug, Deserialize)]
struct Page {
    messages: Vec<Listed>,
    response_metadata: Option<Next>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    ts: String,
    #[serde(default)]
    text: String,
    metadata: Option<ReadMetadata>,
}

#[derive(Debug, Deserialize)]
struct Next {
    #[serde(default)]
    next_cursor: String,
}

impl Client {
    /// The message with this metadata, the earliest if there are several (`conversations.history`, or
    /// `conversations.replies` for a thread; scopes `channels:history`, and `groups:history` for private channels).
    ///
    /// None right after a time-out is no proof: the post may still be on its way. Look up no sooner than a minute after
    /// it was sent.
    ///
    /// # Errors
    /// All kinds; nothing is changed by a look-up that fails. `Refused` with `too_many_messages` if 10,000 messages since
    /// `oldest_ms` do not have it.
    pub async fn find(&self, look_up: &LookUp<'_>) -> Result<Option<Found>, Error> {
        let oldest = oldest(look_up.oldest_ms);
        let mut earliest: Option<Found> = None;
        let mut cursor = String::new();
        for _ in 0..MAX_PAGES {
            let page = self.page(look_up, &oldest, &cursor).await?;
            for Listed { ts, text, metadata } in page.messages {
                // A thread begins with the message that it belongs to.
                let is_searched = look_up.thread_ts != Some(ts.as_str());
                let matches = is_searched && metadata.is_some_and(|read| look_up.metadata.is_in(&read));
                if matches && earliest.as_ref().is_none_or(|found| place(&ts) < place(&found.ts)) {
                    earliest = Some(Found { ts, text });
                }
            }
            cursor = page.response_metadata.map(|next| next.next_cursor).unwrap_or_default();
            if cursor.is_empty() {
                return Ok(earliest);
            }
        }
        if earliest.is_some() {
            return Ok(earliest);
        }
        let cure = "Look for the message by hand, and use a channel with fewer messages: this one has more than 10,000 \
                    since it may have been posted.";
        Err(Error::Refused { error: "too_many_messages".to_owned(), cure: cure.to_owned() })
    }

    async fn page(&self, look_up: &LookUp<'_>, oldest: &str, cursor: &str) -> Result<Page, Error> {
        let mut fields = vec![
            ("channel", look_up.channel),
            ("include_all_metadata", "true"),
            ("oldest", oldest),
            ("inclusive", "true"),
            ("limit", PAGE),
        ];
        if !cursor.is_empty() {
            fields.push(("cursor", cursor));
        }
        let method = match look_up.thread_ts {
            None => "conversations.history",
            Some(ts) => {
                fields.push(("ts", ts));
                "conversations.replies"
            }
        };
        send(self.form(method, &fields)).await?.of_method()
    }
}

/// Order of messages: whole numbers of seconds and of millionths.
fn place(ts: &str) -> (u64, u64) {
    let (seconds, millionths) = ts.split_once('.').unwrap_or((ts, "0"));
    (seconds.parse().unwrap_or(u64::MAX), millionths.parse().unwrap_or(u64::MAX))
}

/// The earliest `ts` that is searched.
fn oldest(oldest_ms: Millis) -> String {
    let ms = oldest_ms.saturating_sub(MAX_SKEW_MS).max(0);
    format!("{}.{:03}000", ms / 1000, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_begins_before_the_post() {
        assert_eq!(oldest(1_795_435_200_007), "1795435080.007000");
        assert_eq!(oldest(0), "0.000000");
    }

    #[test]
    fn messages_are_in_the_order_of_numbers() {
        assert!(place("999999999.000002") < place("1795435080.000001"));
        assert!(place("1795435080.000001") < place("1795435080.000010"));
        assert!(place("1795435080.000001") < place("nonsense"));
    }
}
