//! What an operator has to do about a code of Slack.

/// A sentence for a code of the Web API, of an incoming webhook, or `http_` and a status.
/// Sources: the error tables of the methods below <https://docs.slack.dev/reference/methods>, and
/// <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>, "Handling errors".
pub(crate) fn cure(code: &str) -> &'static str {
    match code {
        "channel_not_found" => {
            "Set the channel to an ID such as C0123456789 that the app can see; a private channel needs the app as a member."
        }
        "not_in_channel" => "Invite the app to the channel with /invite.",
        "is_archived" | "is_inactive" | "channel_is_archived" => "Choose another channel: this one is archived.",
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
            "Install the app again and set the new bot token (xoxb-..)."
        }
        "not_allowed_token_type" => "Use a bot token (xoxb-..); app-level tokens (xapp-..) cannot post.",
        "no_permission" | "access_denied" | "team_access_not_granted" | "ekm_access_denied" => {
            "Ask an administrator of the workspace to allow the app, and invite the app to the channel."
        }
        "restricted_action"
        | "restricted_action_read_only_channel"
        | "restricted_action_thread_only_channel"
        | "restricted_action_non_threadable_channel"
        | "posting_to_general_channel_denied"
        | "action_prohibited" => {
            "Ask an administrator of the workspace to let the app post to this channel, or choose another."
        }
        "accesslimited" => "Allow the network of this machine in the workspace's settings.",
        "msg_too_long" | "msg_blocks_too_long" => {
            "Make the message shorter: an edited text has 4,000 characters at most."
        }
        "no_text" => "Make the template of the message give a text.",
        "invalid_blocks" | "invalid_blocks_format" | "block_mismatch" | "too_many_attachments" => {
            "Correct the blocks of the message: at most 50, with texts of at most 3,000 characters."
        }
        "metadata_too_large" | "invalid_metadata_format" | "invalid_metadata_schema" => {
            "Make the metadata of the message smaller and simpler."
        }
        "metadata_must_be_sent_from_app" => "Use the bot token of an app: this token may not send metadata.",
        "message_not_found" => "Post the message again: it was deleted, or is in another channel.",
        "thread_not_found" | "cannot_reply_to_message" | "invalid_thread_ts" => {
            "Post without a thread: its first message was deleted, or is in another channel."
        }
        "cant_update_message" => "Use the token of the app that posted the message: no other can edit it.",
        "edit_window_closed" => {
            "Let the workspace's settings allow editing at any time, or send corrections as new messages."
        }
        "message_limit_exceeded" => {
            "Wait for the next day or upgrade the workspace: its number of messages is used up."
        }
        "method_not_supported_for_channel_type" => "Choose a channel, public or private.",
        "file_not_found" | "invalid_channel" | "file_upload_size_restricted" | "storage_limit_reached" => {
            "Check the channel's ID and the room for files that is left in the workspace."
        }
        "no_service" | "no_service_id" | "no_team" | "team_disabled" | "invalid_token" | "no_active_hooks" => {
            "Make a new incoming webhook and set its URL: this one was removed."
        }
        "invalid_payload" => "Correct the blocks or the text of the message: the webhook cannot read them.",
        "user_not_found" => "Set the webhook's channel again: the user that it posts to does not exist.",
        "unknown_method" | "method_deprecated" | "deprecated_endpoint" | "http_404" | "http_405" => {
            "Check the URL: by default the base URL is https://slack.com/api/."
        }
        "http_301" | "http_302" | "http_303" | "http_307" | "http_308" => {
            "Set the URL to where it leads: redirects are not followed, they would carry the token elsewhere."
        }
        "http_401" | "http_403" => "Check the token, and what stands between this machine and Slack.",
        _ => "Look the code up at https://docs.slack.dev/reference/methods.",
    }
}
