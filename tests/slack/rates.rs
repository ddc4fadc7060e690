//! The buckets against the limits of the fake.

use std::time::{Duration, Instant};

use watchtower_slack::{Bucket, Buckets, Error, Rate, Rates, Update};
use watchtower_testing::fakes::slack::{Fault, Limits};

use super::support::Fixture;

/// Slack's limits, many times as fast.
fn fast() -> Limits {
    Limits { post_interval: Duration::from_millis(40), window: Duration::from_millis(1500), ..Limits::default() }
}

/// The rates of the client, as much faster. A request may arrive later after it was taken than the next one, so some
/// of what the tier allows is left.
fn rates() -> Rates {
    Rates { post: Rate::new(Duration::from_millis(40), 3), update: Rate::within(45, Duration::from_millis(1500), 5) }
}

fn post(channel: &str) -> Bucket {
    Bucket::Post { workspace: "T0FAKE001".to_owned(), channel: channel.to_owned() }
}

fn update() -> Bucket {
    Bucket::Update { workspace: "T0FAKE001".to_owned() }
}

/// Waits for the turn of a request, and takes it.
async fn turn(buckets: &mut Buckets, bucket: &Bucket) {
    while let Err(ready) = buckets.take(bucket, Instant::now()) {
        tokio::time::sleep_until(ready.into()).await;
    }
}

#[tokio::test]
async fn a_caller_that_asks_the_buckets_is_never_refused() {
    let fixture = Fixture::with_limits(fast());
    let mut buckets = Buckets::new(rates());
    let root = fixture.post("root").await;
    for number in 0..50 {
        turn(&mut buckets, &post(&fixture.channel)).await;
        fixture.client.post(&fixture.message(&number.to_string())).await.unwrap();
    }
    // More than a window has.
    for number in 0..70 {
        turn(&mut buckets, &update()).await;
        let text = number.to_string();
        let update = Update { channel: &root.channel, ts: &root.ts, text: &text, blocks: None, metadata: None };
        fixture.client.update(&update).await.unwrap();
    }
    assert_eq!((fixture.texts().len(), fixture.slack.limited()), (51, 0));
}

#[tokio::test]
async fn a_caller_that_does_not_ask_is_refused() {
    let fixture = Fixture::new();
    let mut refused = 0;
    for _ in 0..20 {
        match fixture.client.post(&fixture.message("T1")).await {
            Ok(_) => {}
            Err(Error::RateLimited { after }) => {
                assert_eq!(after, Duration::from_secs(1));
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((fixture.slack.limited(), fixture.texts().len()), (refused, 20 - refused));
    assert!(refused > 10, "{refused}");
    let root = fixture.slack.messages(&fixture.channel)[0].ts.clone();
    let update = Update { channel: &fixture.channel, ts: &root, text: "T1", blocks: None, metadata: None };
    for number in 0..51 {
        let result = fixture.client.update(&update).await;
        assert_eq!(matches!(result, Err(Error::RateLimited { .. })), number == 50, "{number}: {result:?}");
    }
}

#[tokio::test]
async fn a_refusal_holds_the_channel_up_and_no_other() {
    let fixture = Fixture::with_limits(fast());
    let mut buckets = Buckets::new(rates());
    let bucket = post(&fixture.channel);
    turn(&mut buckets, &bucket).await;
    fixture.slack.fail("chat.postMessage", Fault::Limited { retry_after: Some("1".to_owned()) });
    let error = fixture.client.post(&fixture.message("T1")).await.unwrap_err();
    let Error::RateLimited { after } = error else { panic!("{error}") };
    let now = Instant::now();
    buckets.limited(&bucket, now, now + after);
    assert_eq!(buckets.ready_at(&post("C2"), now), now);
    turn(&mut buckets, &bucket).await;
    assert!(now.elapsed() >= Duration::from_secs(1));
    fixture.post("T1").await;
}
