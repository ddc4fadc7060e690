//! slack_sdk, which works with Slack, works with the fake: what it is answered, it understands.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use watchtower_testing::fakes::slack::{CHAT_WRITE, Fault, Limits};

use super::support::{Fixture, SCOPES};
use crate::support::python;

const SDK: &str = "slack_sdk==3.48.0";

/// What slack_sdk returns for calls of a method with a token and arguments; None where it cannot be installed.
fn calls(fixture: &Fixture, calls: &[(&str, &str, Value)]) -> Option<Vec<Value>> {
    let python = python::program(SDK, "python")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slack/peers/sdk.py");
    let calls: Vec<Value> =
        calls.iter().map(|(call, token, args)| json!({"call": call, "token": token, "args": args})).collect();
    let given = json!({"base_url": fixture.slack.base_url(), "calls": calls});
    let mut command = Command::new(python);
    command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    process.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn slack_sdk_posts_updates_and_reads_back() {
    let fixture = Fixture::unlimited();
    let Fixture { channel, token, .. } = &fixture;
    let metadata = json!({"event_type": "alert", "event_payload": {"subject": "1f", "n": 7}});
    let blocks = json!([{"type": "section", "text": {"type": "mrkdwn", "text": "*T1*"}}]);
    let post = json!({"channel": "#alerts", "text": "T1 & <@U1>", "metadata": metadata, "blocks": blocks});
    let Some(answers) = calls(&fixture, &[("auth_test", token, json!({})), ("chat_postMessage", token, post)]) else {
        return;
    };
    assert_eq!(answers[0]["data"]["team_id"], "T0FAKE001", "{}", answers[0]);
    let posted = &answers[1]["data"];
    assert_eq!((&posted["ok"], &posted["channel"]), (&json!(true), &json!(channel)), "{posted}");
    assert_eq!(posted["message"]["text"], "T1 & <@U1>");
    let ts = posted["ts"].as_str().unwrap();
    let reply = json!({"channel": channel, "text": "reply", "thread_ts": ts});
    let update = json!({"channel": channel, "ts": ts, "text": "T1 at 10:05"});
    let history = |all: bool| json!({"channel": channel, "include_all_metadata": all, "limit": 10});
    let replies = json!({"channel": channel, "ts": ts, "include_all_metadata": true});
    let answers = calls(
        &fixture,
        &[
            ("chat_postMessage", token, reply),
            ("chat_update", token, update),
            ("conversations_history", token, history(true)),
            ("conversations_history", token, history(false)),
            ("conversations_replies", token, replies),
        ],
    )
    .unwrap();
    assert!(answers[0]["data"]["ts"].as_str().unwrap() > ts, "{}", answers[0]);
    assert_eq!((&answers[1]["data"]["ts"], &answers[1]["data"]["text"]), (&json!(ts), &json!("T1 at 10:05")));
    let listed = answers[2]["data"]["messages"].as_array().unwrap();
    assert_eq!(listed.len(), 1, "replies are in their thread only: {listed:?}");
    assert_eq!((&listed[0]["text"], &listed[0]["metadata"]), (&json!("T1 at 10:05"), &metadata));
    assert_eq!((&listed[0]["reply_count"], listed[0].get("blocks")), (&json!(1), None));
    assert_eq!(answers[3]["data"]["messages"][0].get("metadata"), None);
    let thread = answers[4]["data"]["messages"].as_array().unwrap();
    assert_eq!((thread.len(), &thread[0]["ts"], &thread[1]["text"]), (2, &json!(ts), &json!("reply")));
    assert_eq!(thread[1]["thread_ts"], ts);

    let kind = |method: &str| {
        let requests = fixture.slack.requests();
        requests.into_iter().find(|request| request.method == method).unwrap().content_type.unwrap()
    };
    assert!(kind("chat.postMessage").starts_with("application/json"), "posts are JSON");
    assert_eq!(kind("conversations.history"), "application/x-www-form-urlencoded", "look-ups are forms");
}

#[test]
fn slack_sdk_follows_pages() {
    let fixture = Fixture::new();
    let written: Vec<String> = (0..5).map(|n| fixture.slack.write(&fixture.channel, &n.to_string())).collect();
    let pages = |args: Value| {
        let mut args = args;
        args["channel"] = fixture.channel.as_str().into();
        calls(&fixture, &[("pages", &fixture.token, args)])
    };
    let texts = |answers: Vec<Value>| -> Vec<Vec<String>> {
        let pages = answers[0]["data"].as_array().unwrap_or_else(|| panic!("{answers:?}")).clone();
        let text = |message: &Value| message["text"].as_str().unwrap().to_owned();
        pages.iter().map(|page| page["messages"].as_array().unwrap().iter().map(text).collect()).collect()
    };
    let Some(all) = pages(json!({"limit": 2})) else { return };
    assert_eq!(texts(all), [vec!["4", "3"], vec!["2", "1"], vec!["0"]]);
    let since = |inclusive: bool| pages(json!({"oldest": written[2], "inclusive": inclusive})).unwrap();
    assert_eq!(texts(since(true)), [["4", "3", "2"]]);
    assert_eq!(texts(since(false)), [["4", "3"]]);
    assert_eq!(texts(pages(json!({"latest": written[2]})).unwrap()), [["1", "0"]]);
}

#[test]
fn slack_sdk_understands_what_is_refused() {
    let fixture = Fixture::new();
    let Fixture { slack, channel, token, .. } = &fixture;
    let archive = slack.add_channel("archive");
    let archivist = slack.add_bot(&SCOPES, &[&archive]);
    slack.archive(&archive);
    let ts = slack.write(channel, "of a person");
    let (outside, poor) = (slack.add_bot(&SCOPES, &[]), slack.add_bot(&[CHAT_WRITE], &[channel]));
    let revoked = slack.add_bot(&SCOPES, &[channel]);
    slack.revoke(&revoked);
    let post = |channel: &str| json!({"channel": channel, "text": "T1"});
    let update = |ts: &str| json!({"channel": channel, "ts": ts, "text": "T2"});
    let in_channel = json!({"channel": channel});
    let with = |field: &str, value: Value| {
        let mut args = post(channel);
        args[field] = value;
        args
    };
    let complete = json!({"files": [{"id": "F404", "title": "A"}], "channel_id": channel});
    let refused = [
        ("channel_not_found", "chat_postMessage", token, post("C404")),
        ("not_in_channel", "chat_postMessage", &outside, post(channel)),
        ("is_archived", "chat_postMessage", &archivist, post(&archive)),
        ("no_text", "chat_postMessage", token, with("text", json!(""))),
        ("invalid_blocks", "chat_postMessage", token, with("blocks", json!([{"text": "x"}]))),
        ("invalid_metadata_format", "chat_postMessage", token, with("metadata", json!({"event_type": "x"}))),
        ("cannot_reply_to_message", "chat_postMessage", token, with("thread_ts", json!("1.000001"))),
        ("message_not_found", "chat_update", token, update("1.000001")),
        ("cant_update_message", "chat_update", token, update(&ts)),
        ("missing_scope", "conversations_history", &poor, in_channel.clone()),
        ("invalid_cursor", "conversations_history", token, json!({"channel": channel, "cursor": "x"})),
        ("thread_not_found", "conversations_replies", token, json!({"channel": channel, "ts": "1.000001"})),
        ("file_not_found", "files_completeUploadExternal", token, complete),
        ("unknown_method", "api", token, json!({"method": "chat.postMassage"})),
        ("token_revoked", "auth_test", &revoked, json!({})),
        ("invalid_auth", "auth_test", &"xoxb-unknown".to_owned(), json!({})),
        ("not_authed", "auth_test", &String::new(), json!({})),
    ];
    let asked: Vec<(&str, &str, Value)> =
        refused.iter().map(|(_, call, token, args)| (*call, token.as_str(), args.clone())).collect();
    let Some(answers) = calls(&fixture, &asked) else { return };
    for ((code, call, _, _), answer) in refused.iter().zip(&answers) {
        assert_eq!((answer["error"].as_str(), &answer["status"]), (Some(*code), &json!(200)), "{call}: {answer}");
        if *code == "missing_scope" {
            assert_eq!(answer["data"]["needed"], "channels:history");
            assert_eq!(answer["data"]["provided"], CHAT_WRITE);
        }
    }
    assert_eq!(fixture.texts(), ["of a person"]);
}

#[test]
fn an_update_is_shorter_than_a_post() {
    let fixture = Fixture::new();
    let Fixture { channel, token, .. } = &fixture;
    let long = "x".repeat(4001);
    let Some(answers) = calls(&fixture, &[("chat_postMessage", token, json!({"channel": channel, "text": long}))])
    else {
        return;
    };
    let ts = &answers[0]["data"]["ts"];
    let update = |text: &str| ("chat_update", token.as_str(), json!({"channel": channel, "ts": ts, "text": text}));
    let answers = calls(&fixture, &[update(&long), update(&long[1..])]).unwrap();
    assert_eq!((&answers[0]["error"], &answers[1]["data"]["ok"]), (&json!("msg_too_long"), &json!(true)));
}

#[test]
fn slack_sdk_is_limited_and_waits_as_slack_asks() {
    let fixture = Fixture::with_limits(Limits { post_interval: Duration::from_secs(600), ..Limits::default() });
    let post = || ("chat_postMessage", fixture.token.as_str(), json!({"channel": fixture.channel, "text": "T1"}));
    let Some(answers) = calls(&fixture, &[post(), post(), post(), post(), post(), post()]) else { return };
    assert!(answers[..5].iter().all(|answer| answer["data"]["ok"] == true), "{answers:?}");
    let limited = &answers[5];
    assert_eq!((&limited["error"], &limited["status"]), (&json!("ratelimited"), &json!(429)), "{limited}");
    let retry_after: u64 = limited["headers"]["retry-after"].as_str().unwrap().parse().unwrap();
    assert!((500..=600).contains(&retry_after), "{limited}");

    let fixture = Fixture::unlimited();
    let patient = |text: &str| ("patient", fixture.token.as_str(), json!({"channel": fixture.channel, "text": text}));
    fixture.slack.fail("chat.postMessage", Fault::Limited { retry_after: Some("2".to_owned()) });
    let begun = Instant::now();
    let answers = calls(&fixture, &[patient("later")]).unwrap();
    assert_eq!(answers[0]["data"]["ok"], true, "{answers:?}");
    assert!(begun.elapsed() >= Duration::from_secs(2));
    fixture.slack.fail("chat.postMessage", Fault::LimitedInBody { retry_after: Some("1".to_owned()) });
    let answers = calls(&fixture, &[patient("never")]).unwrap();
    assert_eq!((&answers[0]["error"], &answers[0]["status"]), (&json!("ratelimited"), &json!(200)), "not retried");
    assert_eq!(fixture.texts(), ["later"]);
}

#[test]
fn slack_sdk_uploads_a_file() {
    let fixture = Fixture::new();
    let Fixture { slack, channel, token, .. } = &fixture;
    let root = slack.write(channel, "root");
    let args = json!({
        "content_hex": "89504e470d0a", "filename": "a.png", "title": "A", "channel": channel, "thread_ts": root,
        "initial_comment": "See <this>",
    });
    let Some(answers) = calls(&fixture, &[("upload", token, args)]) else { return };
    let id = answers[0]["data"]["files"][0]["id"].as_str().unwrap_or_else(|| panic!("{answers:?}"));
    assert_eq!(slack.file(id).unwrap(), b"\x89PNG\r\n");
    let [_, shown] = slack.messages(channel).try_into().unwrap();
    assert_eq!((shown.thread_ts, shown.files, shown.text.as_str()), (Some(root), vec![id.to_owned()], "See <this>"));
}

#[test]
fn slack_sdk_posts_by_a_webhook() {
    let fixture = Fixture::new();
    let url = fixture.slack.add_webhook(&fixture.channel);
    let send = |text: &str| ("webhook", "", json!({"url": url, "text": text}));
    let Some(answers) = calls(&fixture, &[send("T1"), send("")]) else { return };
    assert_eq!(answers[0], json!({"status": 200, "data": "ok"}));
    assert_eq!(answers[1], json!({"status": 400, "data": "no_text"}));
    fixture.slack.archive(&fixture.channel);
    assert_eq!(calls(&fixture, &[send("T1")]).unwrap()[0], json!({"status": 410, "data": "channel_is_archived"}));
    fixture.slack.remove_webhook(&url);
    assert_eq!(calls(&fixture, &[send("T1")]).unwrap()[0], json!({"status": 404, "data": "no_service"}));
    assert_eq!(fixture.texts(), ["T1"]);
}

#[test]
fn slack_sdk_posts_twice_where_a_reply_is_lost() {
    let fixture = Fixture::new();
    fixture.slack.fail("chat.postMessage", Fault::LoseReply);
    let post = json!({"channel": fixture.channel, "text": "T1"});
    let Some(answers) = calls(&fixture, &[("chat_postMessage", &fixture.token, post)]) else { return };
    assert_eq!(answers[0]["data"]["ok"], true, "{answers:?}");
    assert_eq!(fixture.texts(), ["T1", "T1"], "it retries lost connections, and looks nothing up");
}
