//! Channels, bots, messages and files.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// ID of the workspace.
pub(super) const TEAM: &str = "T0FAKE001";

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method; `webhook` for a webhook, `upload` for the bytes of a file.
    pub method: String,
    /// Its content type.
    pub content_type: Option<String>,
    /// Its token, if it has one.
    pub token: Option<String>,
    /// Whether it was refused for its rate.
    pub is_limited: bool,
}

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its name within the channel.
    pub ts: String,
    /// The first message of its thread, if it is a reply.
    pub thread_ts: Option<String>,
    /// The ID of the bot that posted it; None for a webhook or a person.
    pub bot_id: Option<String>,
    /// Its text now, mrkdwn.
    pub text: String,
    /// Its earlier texts, the first one first.
    pub earlier: Vec<String>,
    /// Its blocks.
    pub blocks: Option<Value>,
    /// Its metadata.
    pub metadata: Option<Value>,
    /// Whether links and media in it are shown with a preview.
    pub has_previews: bool,
    /// The IDs of its files.
    pub files: Vec<String>,
}

impl Message {
    /// A message of a person.
    pub(super) fn written(ts: String, text: &str) -> Self {
        Self {
            ts,
            thread_ts: None,
            bot_id: None,
            text: text.to_owned(),
            earlier: Vec::new(),
            blocks: None,
            metadata: None,
            has_previews: true,
            files: Vec::new(),
        }
    }
}

/// An incoming webhook.
#[derive(Debug)]
pub(super) struct Hook {
    pub(super) channel: String,
}

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) is_archived: bool,
    /// IDs of bots.
    pub(super) members: BTreeSet<String>,
    /// In the order of `ts`.
    pub(super) messages: Vec<Message>,
}

#[derive(Clone, Debug)]
pub(super) struct Bot {
    pub(super) id: String,
    pub(super) user_id: String,
    pub(super) scopes: Vec<String>,
    pub(super) is_revoked: bool,
}

/// A file whose upload has begun.
#[derive(Debug)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) bytes: Option<Vec<u8>>,
    pub(super) is_shared: bool,
}

#[derive(Debug, Default)]
pub(super) struct Workspace {
    /// By ID.
    pub(super) channels: BTreeMap<String, Channel>,
    /// By token.
    pub(super) bots: BTreeMap<String, Bot>,
    /// By ID.
    pub(super) files: BTreeMap<String, File>,
    /// The newest `ts`, microseconds.
    newest_us: u64,
}

impl Workspace {
    pub(super) fn add_channel(&mut self, name: &str) -> String {
        let id = format!("C{:010}", self.channels.len() + 1);
        let channel = Channel {
            id: id.clone(),
            name: name.to_owned(),
            is_archived: false,
            members: BTreeSet::new(),
            messages: Vec::new(),
        };
        self.channels.insert(id.clone(), channel);
        id
    }

    pub(super) fn add_bot(&mut self, scopes: &[&str], channels: &[&str]) -> String {
        let number = self.bots.len() + 1;
        let id = format!("B{number:010}");
        for channel in channels {
            self.channel_mut(channel).members.insert(id.clone());
        }
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        let token = format!("xoxb-1000000-{number}-sEcReT");
        let bot = Bot { id, user_id: format!("U{number:010}"), scopes, is_revoked: false };
        self.bots.insert(token.clone(), bot);
        token
    }

    pub(super) fn bot_mut(&mut self, token: &str) -> &mut Bot {
        self.bots.get_mut(token).expect("the token is one of this workspace")
    }

    pub(super) fn channel_mut(&mut self, id: &str) -> &mut Channel {
        self.channels.get_mut(id).expect("the channel is one of this workspace")
    }

    /// A new name of a message: the time in microseconds, and later than any before.
    pub(super) fn next_ts(&mut self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970");
        self.newest_us = (now.as_micros() as u64).max(self.newest_us + 1);
        format!("{}.{:06}", self.newest_us / 1_000_000, self.newest_us % 1_000_000)
    }
}

impl Channel {
    pub(super) fn message(&self, ts: &str) -> Option<&Message> {
        self.messages.iter().find(|message| message.ts == ts)
    }

    /// The number of replies to a message.
    pub(super) fn replies(&self, ts: &str) -> usize {
        self.messages.iter().filter(|message| message.thread_ts.as_deref() == Some(ts)).count()
    }

    /// A message as methods return it.
    pub(super) fn json(&self, message: &Message, with_metadata: bool) -> Value {
        let mut json = json!({"type": "message", "team": TEAM, "text": message.text, "ts": message.ts});
        let replies = self.replies(&message.ts);
        if replies > 0 {
            json["thread_ts"] = message.ts.as_str().into();
            json["reply_count"] = replies.into();
        }
        if let Some(thread_ts) = &message.thread_ts {
            json["thread_ts"] = thread_ts.as_str().into();
        }
        match &message.bot_id {
            Some(bot_id) => json["bot_id"] = bot_id.as_str().into(),
            None => json["subtype"] = "bot_message".into(),
        }
        if let Some(blocks) = &message.blocks {
            json["blocks"] = blocks.clone();
        }
        if !message.earlier.is_empty() {
            json["edited"] = json!({"ts": message.ts});
        }
        if !message.files.is_empty() {
            json["files"] = message.files.iter().map(|id| json!({"id": id})).collect();
        }
        if let Some(metadata) = message.metadata.as_ref().filter(|_| with_metadata) {
            json["metadata"] = metadata.clone();
        }
        json
    }
}

/// A `ts` in microseconds; None if it is none.
pub(super) fn micros(ts: &str) -> Option<u64> {
    let (seconds, fraction) = ts.split_once('.').unwrap_or((ts, ""));
    let fraction = format!("{fraction:0<6}");
    if fraction.len() != 6 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(seconds.parse::<u64>().ok()?.checked_mul(1_000_000)? + fraction.parse::<u64>().ok()?)
}
