//! The methods of the Web API about identity and messages.

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::workspace::{Bot, Channel, Message, TEAM, Workspace, micros};
use super::{CHANNELS_HISTORY, CHAT_WRITE, FILES_WRITE, files};

/// Characters of a posted text; the rest is cut off.
const MAX_TEXT: usize = 40_000;
/// Characters of an updated text; more are refused.
const MAX_UPDATE_TEXT: usize = 4_000;
/// Messages of a page where a request names no limit, and at most.
const PAGE: (usize, usize) = (100, 999);

/// A code of an error.
pub(super) type Code = &'static str;

/// The scope that a method needs. An unknown method has none.
pub(super) fn scope(method: &str) -> Option<&'static str> {
    match method {
        "chat.postMessage" | "chat.update" => Some(CHAT_WRITE),
        "conversations.history" | "conversations.replies" => Some(CHANNELS_HISTORY),
        "files.getUploadURLExternal" | "files.completeUploadExternal" => Some(FILES_WRITE),
        _ => None,
    }
}

/// Carries a method out. `base` is the address of the server.
pub(super) fn call(
    workspace: &mut Workspace,
    base: &str,
    method: &str,
    bot: &Bot,
    arguments: &Arguments,
) -> Result<Value, Code> {
    match method {
        "auth.test" => Ok(auth_test(bot)),
        "chat.postMessage" => post(workspace, bot, arguments),
        "chat.update" => update(workspace, bot, arguments),
        "conversations.history" => history(workspace, bot, arguments),
        "conversations.replies" => replies(workspace, bot, arguments),
        "files.getUploadURLExternal" => files::target(workspace, base, arguments),
        "files.completeUploadExternal" => files::complete(workspace, bot, arguments),
        _ => Err("unknown_method"),
    }
}

fn auth_test(bot: &Bot) -> Value {
    json!({
        "ok": true, "url": "https://fake.slack.com/", "team": "Fake Fleet", "team_id": TEAM,
        "user": "watchtower", "user_id": bot.user_id, "bot_id": bot.id, "is_enterprise_install": false,
    })
}

/// The channel of a post, by ID, name, or name with `#`.
pub(super) fn channel_of_post(workspace: &Workspace, arguments: &Arguments) -> Result<String, Code> {
    let asked = arguments.text("channel").ok_or("channel_not_found")?;
    let name = asked.trim_start_matches('#');
    let found = workspace.channels.values().find(|channel| channel.id == asked || channel.name == name);
    found.map(|channel| channel.id.clone()).ok_or("channel_not_found")
}

/// A channel by its ID, of which the bot has to be a member.
pub(super) fn channel<'w>(
    workspace: &'w mut Workspace,
    bot: &Bot,
    id: Option<String>,
) -> Result<&'w mut Channel, Code> {
    let channel = id.and_then(|id| workspace.channels.get_mut(&id)).ok_or("channel_not_found")?;
    if channel.members.contains(&bot.id) { Ok(channel) } else { Err("not_in_channel") }
}

/// The first message of the thread that a post is for.
pub(super) fn thread(channel: &Channel, arguments: &Arguments) -> Result<Option<String>, Code> {
    let Some(thread_ts) = arguments.text("thread_ts") else { return Ok(None) };
    // Slack takes a reply's ts and makes an orphan of the message; the fake is stricter.
    match channel.message(&thread_ts) {
        Some(parent) if parent.thread_ts.is_none() => Ok(Some(thread_ts)),
        _ => Err("cannot_reply_to_message"),
    }
}

/// Blocks, which have to be an array of objects with a type.
pub(super) fn blocks(arguments: &Arguments) -> Result<Option<Value>, Code> {
    let Some(blocks) = arguments.json("blocks").map_err(|()| "invalid_blocks_format")? else { return Ok(None) };
    let list = blocks.as_array().ok_or("invalid_blocks_format")?;
    let is_block = |block: &Value| block["type"].is_string();
    if list.len() > 50 || !list.iter().all(is_block) {
        return Err("invalid_blocks");
    }
    Ok(Some(blocks))
}

/// Metadata as it is kept: None if none is sent, an error if it is no metadata, and an empty object if its type cannot
/// be used, which is only warned of.
fn metadata(arguments: &Arguments) -> Result<Option<Value>, Code> {
    let Some(metadata) = arguments.json("metadata").map_err(|()| "invalid_metadata_format")? else { return Ok(None) };
    if metadata.as_object().is_some_and(|object| object.is_empty()) {
        return Ok(Some(metadata));
    }
    let (Some(event_type), Some(_)) = (metadata["event_type"].as_str(), metadata["event_payload"].as_object()) else {
        return Err("invalid_metadata_format");
    };
    let usable = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let is_usable = !event_type.is_empty() && event_type.chars().all(usable);
    Ok(Some(if is_usable { metadata } else { json!({}) }))
}

fn has_contents(metadata: &Value) -> bool {
    metadata.as_object().is_some_and(|object| !object.is_empty())
}

fn post(workspace: &mut Workspace, bot: &Bot, arguments: &Arguments) -> Result<Value, Code> {
    let id = channel_of_post(workspace, arguments)?;
    let ts = workspace.next_ts();
    let channel = channel(workspace, bot, Some(id))?;
    if channel.is_archived {
        return Err("is_archived");
    }
    let blocks = blocks(arguments)?;
    let text = arguments.text("text").unwrap_or_default();
    if text.is_empty() && blocks.is_none() {
        return Err("no_text");
    }
    let sent = metadata(arguments)?;
    let is_ignored = sent.as_ref().is_some_and(|sent| !has_contents(sent));
    let flag = |name| arguments.flag(name).unwrap_or(true);
    let message = Message {
        ts: ts.clone(),
        thread_ts: thread(channel, arguments)?,
        bot_id: Some(bot.id.clone()),
        text: text.chars().take(MAX_TEXT).collect(),
        earlier: Vec::new(),
        blocks,
        metadata: sent.filter(has_contents),
        has_previews: flag("unfurl_links") || flag("unfurl_media"),
        files: Vec::new(),
    };
    let mut answer = json!({"ok": true, "channel": channel.id, "ts": ts, "message": channel.json(&message, true)});
    if is_ignored {
        answer["warning"] = "invalid_metadata_schema".into();
        answer["response_metadata"] = json!({"warnings": ["invalid_metadata_schema"]});
    }
    channel.messages.push(message);
    Ok(answer)
}

fn update(workspace: &mut Workspace, bot: &Bot, arguments: &Arguments) -> Result<Value, Code> {
    let channel = channel(workspace, bot, arguments.text("channel"))?;
    if channel.is_archived {
        return Err("is_inactive");
    }
    let ts = arguments.text("ts").ok_or("message_not_found")?;
    let at = channel.messages.iter().position(|message| message.ts == ts).ok_or("message_not_found")?;
    if channel.messages[at].bot_id.as_deref() != Some(&bot.id) {
        return Err("cant_update_message");
    }
    let blocks = blocks(arguments)?;
    let text = arguments.text("text");
    if text.is_none() && blocks.is_none() {
        return Err("no_text");
    }
    if text.as_ref().is_some_and(|text| text.chars().count() > MAX_UPDATE_TEXT) {
        return Err("msg_too_long");
    }
    let sent = metadata(arguments)?;
    let message = &mut channel.messages[at];
    if let Some(text) = text {
        message.earlier.push(std::mem::replace(&mut message.text, text));
        message.blocks = None;
    }
    if let Some(blocks) = blocks {
        message.blocks = Some(blocks);
    }
    if let Some(sent) = sent {
        message.metadata = Some(sent).filter(has_contents);
    }
    let text = message.text.clone();
    let json = channel.json(&channel.messages[at], true);
    Ok(json!({"ok": true, "channel": channel.id, "ts": ts, "text": text, "message": json}))
}

/// Which messages a request is for, and how many of them.
struct Selection {
    oldest: u64,
    latest: u64,
    inclusive: bool,
    /// `ts` of the last message of the page before.
    after: Option<u64>,
    limit: usize,
    with_metadata: bool,
}

impl Selection {
    fn read(arguments: &Arguments) -> Result<Self, Code> {
        let instant = |name: &str, code: Code| arguments.text(name).map(|text| micros(&text).ok_or(code)).transpose();
        let limit = arguments.text("limit").map(|limit| limit.parse::<usize>().map_err(|_| "invalid_limit"));
        let cursor = arguments.text("cursor").map(|cursor| {
            let ts = cursor.strip_prefix("next_ts:").and_then(|rest| rest.strip_suffix("=="));
            ts.and_then(|ts| ts.parse().ok()).ok_or("invalid_cursor")
        });
        Ok(Self {
            oldest: instant("oldest", "invalid_ts_oldest")?.unwrap_or(0),
            latest: instant("latest", "invalid_ts_latest")?.unwrap_or(u64::MAX),
            inclusive: arguments.flag("inclusive").unwrap_or(false),
            after: cursor.transpose()?,
            limit: limit.transpose()?.filter(|limit| *limit > 0).unwrap_or(PAGE.0).min(PAGE.1),
            with_metadata: arguments.flag("include_all_metadata").unwrap_or(false),
        })
    }

    fn has(&self, ts: u64) -> bool {
        let from_oldest = if self.inclusive { ts >= self.oldest } else { ts > self.oldest };
        from_oldest && if self.inclusive { ts <= self.latest } else { ts < self.latest }
    }

    /// A page of messages that are in order, with what leads to the next one.
    fn page(&self, channel: &Channel, first: Option<&Message>, rest: &[&Message]) -> Value {
        let skipped = match self.after {
            None => 0,
            Some(after) => rest.iter().position(|message| micros(&message.ts) == Some(after)).map_or(0, |at| at + 1),
        };
        let page: Vec<&&Message> = rest[skipped..].iter().take(self.limit).collect();
        let has_more = skipped + page.len() < rest.len();
        let last = page.last().and_then(|message| micros(&message.ts)).filter(|_| has_more);
        let cursor = last.map(|ts| format!("next_ts:{ts}==")).unwrap_or_default();
        let listed = first.into_iter().chain(page.into_iter().copied());
        let messages: Vec<Value> = listed.map(|message| channel.json(message, self.with_metadata)).collect();
        json!({
            "ok": true, "messages": messages, "has_more": has_more,
            "response_metadata": {"next_cursor": cursor},
        })
    }
}

fn history(workspace: &mut Workspace, bot: &Bot, arguments: &Arguments) -> Result<Value, Code> {
    let channel = channel(workspace, bot, arguments.text("channel"))?;
    let selection = Selection::read(arguments)?;
    let roots = channel.messages.iter().rev().filter(|message| message.thread_ts.is_none());
    let selected: Vec<&Message> =
        roots.filter(|message| micros(&message.ts).is_some_and(|ts| selection.has(ts))).collect();
    Ok(selection.page(channel, None, &selected))
}

fn replies(workspace: &mut Workspace, bot: &Bot, arguments: &Arguments) -> Result<Value, Code> {
    let channel = channel(workspace, bot, arguments.text("channel"))?;
    let selection = Selection::read(arguments)?;
    let ts = arguments.text("ts").ok_or("thread_not_found")?;
    let named = channel.message(&ts).ok_or("thread_not_found")?;
    let root = named.thread_ts.clone().unwrap_or(ts);
    let first = channel.message(&root);
    let replies = channel.messages.iter().filter(|message| message.thread_ts.as_ref() == Some(&root));
    let selected: Vec<&Message> =
        replies.filter(|message| micros(&message.ts).is_some_and(|ts| selection.has(ts))).collect();
    // Every page begins with the first message of the thread.
    Ok(selection.page(channel, first, &selected))
}
