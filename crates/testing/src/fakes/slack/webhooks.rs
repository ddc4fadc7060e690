//! Incoming webhooks, by <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>: a status and a word.

use std::collections::BTreeMap;

use super::arguments::Arguments;
use super::methods::blocks;
use super::workspace::{Hook, Message, Workspace};

/// Posts by the webhook of a path. Returns status and text.
pub(super) fn post(
    workspace: &mut Workspace,
    hooks: &BTreeMap<String, Hook>,
    path: &str,
    arguments: Result<Arguments, &'static str>,
) -> (u16, &'static str) {
    let Some(hook) = hooks.get(path) else { return (404, "no_service") };
    let Ok(arguments) = arguments else { return (400, "invalid_payload") };
    let text = arguments.text("text").unwrap_or_default();
    let Ok(blocks) = blocks(&arguments) else { return (400, "invalid_blocks") };
    if text.is_empty() && blocks.is_none() {
        return (400, "no_text");
    }
    let ts = workspace.next_ts();
    let Some(channel) = workspace.channels.get_mut(&hook.channel) else { return (404, "channel_not_found") };
    if channel.is_archived {
        return (410, "channel_is_archived");
    }
    let flag = |name| arguments.flag(name).unwrap_or(true);
    let has_previews = flag("unfurl_links") || flag("unfurl_media");
    channel.messages.push(Message { blocks, has_previews, ..Message::written(ts, &text) });
    (200, "ok")
}
