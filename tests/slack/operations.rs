//! Each operation, as Slack keeps it, and each refusal with its cure.

use serde_json::json;
use watchtower_slack::{Error, MAX_TEXT, MAX_UPDATE_TEXT, Message, Update, Upload, Webhook};
use watchtower_testing::fakes::slack::{CHAT_WRITE, FILES_WRITE};

use super::support::{Fixture, SCOPES, client, metadata, options};

/// The smallest file that begins as a PNG does.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\nchart";

#[tokio::test]
async fn a_token_names_its_workspace_its_bot_and_its_scopes() {
    let fixture = Fixture::new();
    let identity = fixture.client.auth_test().await.unwrap();
    assert_eq!(identity.team_id, "T0FAKE001");
    assert_eq!(identity.team, "Fake Fleet");
    assert!(identity.user_id.starts_with('U') && identity.bot_id.unwrap().starts_with('B'));
    assert_eq!(identity.scopes, SCOPES);
}

#[tokio::test]
async fn a_message_is_posted_replied_to_and_updated() {
    let fixture = Fixture::new();
    let (root, reply) = (metadata("root"), metadata("reply"));
    let blocks = json!([{"type": "section", "text": {"type": "mrkdwn", "text": "*T1* entered"}}]);
    let message = Message { blocks: Some(&blocks), metadata: Some(&root), ..fixture.message("T1 entered") };
    let posted = fixture.client.post(&message).await.unwrap();
    assert_eq!(posted.channel, fixture.channel);
    let thread_ts = Some(posted.ts.as_str());
    let message = Message { thread_ts, metadata: Some(&reply), ..fixture.message("was 10:00") };
    let replied = fixture.client.post(&message).await.unwrap();
    assert!(replied.ts > posted.ts);
    let update =
        Update { channel: &posted.channel, ts: &posted.ts, text: "T1 entered at 10:05", blocks: None, metadata: None };
    assert_eq!(fixture.client.update(&update).await.unwrap(), posted);

    let [first, second] = fixture.slack.messages(&fixture.channel).try_into().unwrap();
    assert_eq!(
        (first.text.as_str(), first.earlier.as_slice()),
        ("T1 entered at 10:05", &["T1 entered".to_owned()][..])
    );
    assert_eq!(first.blocks, None, "an update without blocks shows its text");
    assert_eq!(first.metadata, Some(serde_json::to_value(&root).unwrap()), "an update keeps the metadata");
    assert_eq!((second.thread_ts, second.text.as_str()), (Some(posted.ts.clone()), "was 10:00"));
    assert!(!first.has_previews && !second.has_previews);

    let update = Update { blocks: Some(&blocks), metadata: Some(&reply), ts: &first.ts, ..update };
    fixture.client.update(&update).await.unwrap();
    let [first, _] = fixture.slack.messages(&fixture.channel).try_into().unwrap();
    assert_eq!((first.blocks, first.metadata), (Some(blocks), Some(serde_json::to_value(&reply).unwrap())));
}

#[tokio::test]
async fn an_image_is_uploaded_into_a_thread() {
    let fixture = Fixture::new();
    let root = fixture.post("Summary").await;
    let upload = Upload {
        channel: &fixture.channel,
        thread_ts: Some(&root.ts),
        filename: "summary 1 & 2.png",
        title: "Summary",
        alt_text: "Trips per hour",
        comment: Some("Trips per hour"),
        png: PNG,
    };
    let uploaded = fixture.client.upload(&upload).await.unwrap();
    assert_eq!(fixture.slack.file(&uploaded.file_id).unwrap(), PNG);
    let [_, shown] = fixture.slack.messages(&fixture.channel).try_into().unwrap();
    assert_eq!((shown.thread_ts, shown.files), (Some(root.ts.clone()), vec![uploaded.file_id]));
    assert_eq!(shown.text, "Trips per hour");
    let bytes = fixture.slack.requests().into_iter().find(|request| request.method == "upload").unwrap();
    assert_eq!(bytes.token, None, "the token is sent to the Web API only");

    let elsewhere = Upload { channel: "C404", ..upload };
    assert_eq!(code(fixture.client.upload(&elsewhere).await), "channel_not_found");
}

#[tokio::test]
async fn a_webhook_posts_and_its_words_are_understood() {
    let fixture = Fixture::new();
    let url = fixture.slack.add_webhook(&fixture.channel);
    let webhook = Webhook::new(url.clone().into(), &options(&fixture.slack.base_url())).unwrap();
    let blocks = json!([{"type": "section", "text": {"type": "mrkdwn", "text": "*T1*"}}]);
    webhook.post("T1 entered", Some(&blocks)).await.unwrap();
    let [posted] = fixture.slack.messages(&fixture.channel).try_into().unwrap();
    assert_eq!((posted.text.as_str(), posted.blocks, posted.has_previews), ("T1 entered", Some(blocks), false));

    assert_eq!(code(webhook.post("", None).await), "no_text");
    assert_eq!(code(webhook.post("T1", Some(&json!({"type": "section"}))).await), "invalid_blocks");
    fixture.slack.archive(&fixture.channel);
    assert_eq!(code(webhook.post("T1", None).await), "channel_is_archived");
    fixture.slack.remove_webhook(&url);
    let error = webhook.post("T1", None).await.unwrap_err();
    assert!(error.to_string().contains("Make a new incoming webhook"), "{error}");
    assert_eq!(code(Err::<(), _>(error)), "no_service");
}

#[tokio::test]
async fn a_text_is_clipped_to_what_slack_keeps() {
    let fixture = Fixture::new();
    let long = "é".repeat(MAX_TEXT + 1);
    let posted = fixture.post(&long).await;
    let update = Update { channel: &posted.channel, ts: &posted.ts, text: &long, blocks: None, metadata: None };
    fixture.client.update(&update).await.unwrap();
    fixture.webhook(&options(&fixture.slack.base_url())).post(&long, None).await.unwrap();
    let [bot, hook] = fixture.slack.messages(&fixture.channel).try_into().unwrap();
    for (text, limit) in [(&bot.earlier[0], MAX_TEXT), (&bot.text, MAX_UPDATE_TEXT), (&hook.text, MAX_TEXT)] {
        assert_eq!(text.chars().count(), limit);
        assert!(text.ends_with("é…"));
    }
}

/// The code of a refusal.
fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Refused { error, cure }) => {
            assert!(cure.ends_with('.') && !cure.starts_with("Look the code up"), "{error} has no cure: {cure}");
            error
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refusal_names_its_code_and_what_to_do() {
    let fixture = Fixture::new();
    let Fixture { slack, client: ours, channel, .. } = &fixture;
    let posted = fixture.post("T1").await;
    let update = Update { channel, ts: &posted.ts, text: "T2", blocks: None, metadata: None };
    let to = |channel| Message { channel, ..fixture.message("T1") };
    let foreign = client(slack, &slack.add_bot(&SCOPES, &[channel]));
    let outside = client(slack, &slack.add_bot(&SCOPES, &[]));
    let poor = client(slack, &slack.add_bot(&[FILES_WRITE], &[channel]));
    let unknown = client(slack, "xoxb-unknown");
    let archive = slack.add_channel("archive");
    let archivist = client(slack, &slack.add_bot(&SCOPES, &[&archive]));
    slack.archive(&archive);

    assert_eq!(code(ours.post(&to("C404")).await), "channel_not_found");
    assert_eq!(code(outside.post(&to(channel)).await), "not_in_channel");
    assert_eq!(code(archivist.post(&to(&archive)).await), "is_archived");
    assert_eq!(code(unknown.auth_test().await), "invalid_auth");
    assert_eq!(code(poor.post(&to(channel)).await), "missing_scope");
    assert_eq!(code(ours.post(&fixture.message("")).await), "no_text");
    let orphan = Message { thread_ts: Some("1.000001"), ..fixture.message("T1") };
    assert_eq!(code(ours.post(&orphan).await), "cannot_reply_to_message");
    assert_eq!(code(foreign.update(&update).await), "cant_update_message");
    assert_eq!(code(ours.update(&Update { channel: "alerts", ..update }).await), "channel_not_found", "by ID only");
    let no_blocks = json!([{"text": "no type"}]);
    assert_eq!(code(ours.update(&Update { blocks: Some(&no_blocks), ..update }).await), "invalid_blocks");
    slack.delete(channel, &posted.ts);
    assert_eq!(code(ours.update(&update).await), "message_not_found");
    slack.revoke(&fixture.token);
    assert_eq!(code(ours.post(&to(channel)).await), "token_revoked");
    assert!(fixture.texts().is_empty(), "what is refused is not carried out");
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let fixture = Fixture::new();
    let poor = client(&fixture.slack, &fixture.slack.add_bot(&[FILES_WRITE], &[&fixture.channel]));
    let error = poor.post(&fixture.message("T1")).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(CHAT_WRITE) && text.contains(FILES_WRITE), "{text}");
}
