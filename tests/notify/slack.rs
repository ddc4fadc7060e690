//! Slack, by the fake one: one message per subject, edited, with what changed in its thread; a lost reply is looked up.

use serde_json::json;
use std::time::Duration;
use watchtower_notify::{Channel, ChannelKind, Slack};
use watchtower_testing::fakes::slack::{CHANNELS_HISTORY, CHAT_WRITE, FakeSlack, Fault};

use super::support::{Desk, alert, deliver, entered, subject};

fn bot(slack: &FakeSlack) -> (Channel, String) {
    let channel = slack.add_channel("alerts");
    let token = slack.add_bot(&[CHAT_WRITE, CHANNELS_HISTORY], &[&channel]);
    let options = Slack {
        webhook_url: None,
        token: Some(token.into()),
        channel: Some(channel.clone()),
        base_url: slack.base_url(),
    };
    (Channel { timeout: Duration::from_secs(10), ..Channel::new("chat", ChannelKind::Slack(options)) }, channel)
}

#[test]
fn a_subject_is_one_message_that_is_edited_with_what_changed_in_its_thread() {
    let slack = FakeSlack::start();
    let (channel, id) = bot(&slack);
    let mut desk = Desk::new();
    let rule = json!({"on": "enter", "to": "chat"});
    desk.commit(&[(alert("<!here> & co", "warning", &rule), 1)]);
    desk.commit(&[(alert("<!here> & co", "warning", &rule), -1), (alert("<!here> & co", "critical", &rule), 1)]);
    desk.commit(&[(alert("<!here> & co", "critical", &rule), -1)]);
    deliver(desk.notifier(vec![channel]));
    let messages = slack.messages(&id);
    let roots: Vec<_> = messages.iter().filter(|message| message.thread_ts.is_none()).collect();
    assert_eq!((roots.len(), messages.len()), (1, 3), "{messages:?}");
    let text = "Retracted, it did not happen: &lt;!here&gt; &amp; co entered yard at 2026-11-23 06:00 UTC";
    assert!(roots[0].text.ends_with(text), "{}", roots[0].text);
    assert!(
        messages
            .iter()
            .filter(|message| message.thread_ts.is_some())
            .all(|message| { message.thread_ts.as_deref() == Some(roots[0].ts.as_str()) })
    );
    assert_eq!(desk.listed(), [format!("chat {} retracted delivered", subject("<!here> & co"))]);
}

#[test]
fn a_post_whose_reply_is_lost_is_looked_up_and_not_posted_again() {
    let slack = FakeSlack::start();
    let (channel, id) = bot(&slack);
    let mut desk = Desk::new();
    slack.fail("chat.postMessage", Fault::LoseReply);
    desk.commit(&[(entered("t1", "warning", &["chat"]), 1)]);
    let (notifier, _) = deliver(desk.notifier(vec![channel]));
    assert!(desk.listed()[0].contains("pending"), "{:?}", desk.listed());
    desk.pass(3_600_000);
    deliver(notifier);
    assert_eq!(slack.messages(&id).len(), 1);
    assert_eq!(desk.listed(), [format!("chat {} raised delivered", subject("t1"))]);
}
