//! Looking a message up by its metadata.

use watchtower_slack::{Error, LookUp, Message, Metadata, Update};
use watchtower_testing::fakes::slack::{CHAT_WRITE, Fault};

use super::support::{Fixture, client, metadata, now_ms};

#[tokio::test]
async fn a_message_is_found_among_many_by_its_metadata() {
    let fixture = Fixture::unlimited();
    let (ours, other) = (metadata("ours"), metadata("other"));
    let many = |count: usize| (0..count).for_each(|n| drop(fixture.slack.write(&fixture.channel, &n.to_string())));
    many(210);
    let posted = fixture.client.post(&Message { metadata: Some(&ours), ..fixture.message("T1") }).await.unwrap();
    many(230);
    let found = fixture.find(&ours, None).await.unwrap();
    assert_eq!((found.ts.as_str(), found.text.as_str()), (posted.ts.as_str(), "T1"));
    assert_eq!(fixture.find(&other, None).await, None);
    let pages = fixture.slack.requests().iter().filter(|request| request.method == "conversations.history").count();
    assert_eq!(pages, 2 * 3, "441 messages are three pages");

    let update = Update { channel: &posted.channel, ts: &posted.ts, text: "T1 at 10:05", blocks: None, metadata: None };
    fixture.client.update(&update).await.unwrap();
    assert_eq!(fixture.find(&ours, None).await.unwrap().text, "T1 at 10:05", "an edited message keeps its metadata");
    let part = Metadata::new("watchtower_alert", [("subject", "ours")]).unwrap();
    assert_eq!(fixture.find(&part, None).await.unwrap().ts, posted.ts, "by a part of its texts");
    let typed = Metadata::new("other_alert", [("subject", "ours")]).unwrap();
    assert_eq!(fixture.find(&typed, None).await, None, "of another type");
}

#[tokio::test]
async fn a_channel_and_its_threads_are_searched_apart() {
    let fixture = Fixture::unlimited();
    let ours = metadata("ours");
    let message = Message { metadata: Some(&ours), ..fixture.message("root") };
    let root = fixture.client.post(&message).await.unwrap();
    assert_eq!(fixture.find(&ours, Some(&root.ts)).await, None, "the first message of a thread is none of its replies");
    let in_thread = Message { thread_ts: Some(&root.ts), text: "reply", ..message };
    let mut replies = Vec::new();
    for _ in 0..2 {
        replies.push(fixture.client.post(&in_thread).await.unwrap().ts);
    }
    assert_eq!(fixture.find(&ours, Some(&root.ts)).await.unwrap().ts, replies[0], "the earliest of several");
    assert_eq!(fixture.find(&ours, None).await.unwrap().ts, root.ts);
    fixture.slack.delete(&fixture.channel, &root.ts);
    assert_eq!(fixture.find(&ours, None).await, None, "replies are not part of the channel's history");
}

#[tokio::test]
async fn a_look_up_goes_back_to_an_instant_with_room_for_clocks_that_differ() {
    let fixture = Fixture::unlimited();
    let ours = metadata("ours");
    fixture.client.post(&Message { metadata: Some(&ours), ..fixture.message("T1") }).await.unwrap();
    for (ahead_ms, is_found) in [(0, true), (110_000, true), (130_000, false)] {
        let oldest_ms = now_ms() + ahead_ms;
        let look_up = LookUp { channel: &fixture.channel, thread_ts: None, metadata: &ours, oldest_ms };
        assert_eq!(fixture.client.find(&look_up).await.unwrap().is_some(), is_found, "{ahead_ms} ms ahead");
    }
}

#[tokio::test]
async fn a_look_up_has_an_end() {
    let fixture = Fixture::unlimited();
    (0..10_001).for_each(|_| drop(fixture.slack.write(&fixture.channel, "chat")));
    let ours = metadata("ours");
    let look_up = LookUp { channel: &fixture.channel, thread_ts: None, metadata: &ours, oldest_ms: now_ms() - 60_000 };
    let error = fixture.client.find(&look_up).await.unwrap_err();
    let Error::Refused { error, cure } = error else { panic!("{error:?}") };
    assert_eq!(error, "too_many_messages");
    assert!(cure.contains("10,000"), "{cure}");
}

#[tokio::test]
async fn a_look_up_that_fails_is_not_one_that_found_nothing() {
    let fixture = Fixture::new();
    let ours = metadata("ours");
    let look_up = LookUp { channel: &fixture.channel, thread_ts: None, metadata: &ours, oldest_ms: now_ms() };
    let writer = client(&fixture.slack, &fixture.slack.add_bot(&[CHAT_WRITE], &[&fixture.channel]));
    assert!(matches!(writer.find(&look_up).await, Err(Error::Refused { .. })));
    for fault in [Fault::ErrorBefore, Fault::LoseReply, Fault::Limited { retry_after: None }] {
        fixture.slack.fail("conversations.history", fault);
        assert!(fixture.client.find(&look_up).await.is_err());
    }
    assert_eq!(fixture.client.find(&look_up).await, Ok(None));
    let in_thread = LookUp { thread_ts: Some("1.000001"), ..look_up };
    assert!(matches!(fixture.client.find(&in_thread).await, Err(Error::Refused { .. })), "the thread is gone");
}
