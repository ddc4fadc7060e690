//! Uploading files: an address, the bytes, and their place in a channel.

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::methods::{Code, channel, thread};
use super::workspace::{Bot, File, Message, Workspace};

/// `files.getUploadURLExternal`.
pub(super) fn target(workspace: &mut Workspace, base: &str, arguments: &Arguments) -> Result<Value, Code> {
    let name = arguments.text("filename").ok_or("invalid_arguments")?;
    let length = arguments.text("length").and_then(|length| length.parse::<usize>().ok());
    if length.is_none_or(|length| length == 0) {
        return Err("invalid_arguments");
    }
    let id = format!("F{:010}", workspace.files.len() + 1);
    workspace.files.insert(id.clone(), File { name, bytes: None, is_shared: false });
    Ok(json!({"ok": true, "upload_url": format!("{base}/upload/v1/{id}"), "file_id": id}))
}

/// The bytes of a file. Returns whether its address exists.
pub(super) fn receive(workspace: &mut Workspace, id: &str, bytes: &[u8]) -> bool {
    let Some(file) = workspace.files.get_mut(id) else { return false };
    file.bytes = Some(bytes.to_vec());
    true
}

/// `files.completeUploadExternal`: shares the files in a channel as a message.
pub(super) fn complete(workspace: &mut Workspace, bot: &Bot, arguments: &Arguments) -> Result<Value, Code> {
    let files = arguments.json("files").map_err(|()| "invalid_arguments")?;
    let files =
        files.as_ref().and_then(Value::as_array).filter(|files| !files.is_empty()).ok_or("invalid_arguments")?;
    let mut ids = Vec::new();
    for file in files {
        let id = file["id"].as_str().ok_or("invalid_arguments")?;
        if workspace.files.get(id).is_none_or(|file| file.bytes.is_none()) {
            return Err("file_not_found");
        }
        ids.push(id.to_owned());
    }
    let ts = workspace.next_ts();
    if arguments.text("channel_id").is_some() {
        let channel = channel(workspace, bot, arguments.text("channel_id"))?;
        if channel.is_archived {
            return Err("is_archived");
        }
        let comment = arguments.text("initial_comment").unwrap_or_default();
        let thread_ts = thread(channel, arguments)?;
        let bot_id = Some(bot.id.clone());
        let message = Message { thread_ts, bot_id, files: ids.clone(), ..Message::written(ts, &comment) };
        channel.messages.push(message);
    }
    let mut listed = Vec::new();
    for (id, file) in ids.iter().zip(files) {
        let kept = workspace.files.get_mut(id).expect("it was there a moment ago");
        kept.is_shared = true;
        listed.push(json!({"id": id, "title": file["title"].as_str().unwrap_or(&kept.name), "name": kept.name}));
    }
    Ok(json!({"ok": true, "files": listed}))
}
