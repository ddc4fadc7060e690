//! Whatever a value contains, readers see it literally, and none is notified.

use watchtower_slack::{Update, clip, escape};
use watchtower_testing::fakes::slack::shown;

use super::support::{Fixture, options};

const VALUES: [&str; 12] = [
    "<!channel>",
    "<!here|hello>",
    "<@U0000000001>",
    "<!subteam^S1>",
    "@channel @here @everyone",
    "A & B &amp; C",
    "&lt;!channel&gt;",
    "1 < 2 > 0",
    "<https://example.com|the depot>",
    "LA 123-XY",
    "LA\u{200b}123\u{200b}XY",
    "Adébáyọ̀ 🚚\nsecond line",
];

#[tokio::test]
async fn a_value_arrives_literally() {
    let fixture = Fixture::unlimited();
    let webhook = fixture.webhook(&options(&fixture.slack.base_url()));
    for value in VALUES {
        // A `<` of the value must not pair up with the `>` of the link.
        let text = format!("*{}* <https://example.com/map|map>", escape(value));
        let posted = fixture.post(&text).await;
        webhook.post(&text, None).await.unwrap();
        let edited = fixture.post("before").await;
        let update = Update { channel: &edited.channel, ts: &edited.ts, text: &text, blocks: None, metadata: None };
        fixture.client.update(&update).await.unwrap();
        let messages = fixture.slack.messages(&fixture.channel);
        let last = &messages[messages.len() - 3..];
        assert_eq!(last[0].ts, posted.ts);
        for message in last {
            let shown = shown(&message.text);
            assert_eq!(shown.text, format!("*{value}* map"));
            assert!(shown.mentions.is_empty(), "{value}: {shown:?}");
            assert_eq!(shown.links, ["https://example.com/map"], "{value}");
        }
    }
}

#[tokio::test]
async fn without_escaping_the_channel_would_be_notified() {
    let fixture = Fixture::new();
    fixture.post(VALUES[0]).await;
    assert_eq!(shown(&fixture.texts()[0]).mentions, ["!channel"]);
}

#[test]
fn a_clipped_text_shows_a_part_of_the_value() {
    for value in VALUES {
        let text = escape(value);
        for limit in 1..text.len() {
            let shown = shown(&clip(&text, limit));
            let begin = shown.text.strip_suffix('…').unwrap_or(&shown.text);
            assert!(value.starts_with(begin) && shown.mentions.is_empty(), "{value}, {limit}: {shown:?}");
        }
    }
}
