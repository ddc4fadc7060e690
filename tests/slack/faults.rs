//! Everything that can go wrong with a request, and what the client makes of it.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use watchtower_slack::{Client, Error, LookUp, Message, Metadata, Posted, Update, Upload, Webhook};
use watchtower_testing::fakes::slack::{FakeSlack, Fault};

use super::support::{Fixture, impatient, metadata, now_ms, options};

/// A kind of error, without its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// With its wait in seconds.
    Limited(u64),
    Ambiguous,
    Transient,
    Refused,
    Malformed,
}

impl Kind {
    /// Of an error, whose texts have no secret in them.
    fn of(error: &Error) -> Self {
        let text = format!("{error} {error:?}");
        assert!(!text.contains("sEcReT"), "{text}");
        match error {
            Error::RateLimited { after } => Self::Limited(after.as_secs()),
            Error::Ambiguous { .. } => Self::Ambiguous,
            Error::Transient { .. } => Self::Transient,
            Error::Refused { .. } => Self::Refused,
            Error::Malformed { .. } => Self::Malformed,
        }
    }
}

/// An answer that a proxy gives, rather than Slack.
fn html(status: u16) -> Fault {
    Fault::Answer { status, headers: Vec::new(), body: "<html>".to_owned() }
}

/// Each fault, what it means, and whether a request is carried out all the same.
fn faults() -> Vec<(Fault, Kind, bool)> {
    let some = |text: &str| Some(text.to_owned());
    let padding = "x".repeat(1 << 20);
    let body = format!(r#"{{"ok":true,"channel":"C1","ts":"1.000001","padding":"{padding}"}}"#);
    let large = Fault::Answer { status: 200, headers: Vec::new(), body };
    vec![
        (Fault::LoseReply, Kind::Ambiguous, true),
        (Fault::BreakReply, Kind::Ambiguous, true),
        (Fault::Hang, Kind::Ambiguous, true),
        (Fault::ErrorAfter, Kind::Ambiguous, true),
        (Fault::ErrorBefore, Kind::Ambiguous, false),
        (html(503), Kind::Ambiguous, false),
        (html(408), Kind::Ambiguous, false),
        (Fault::Limited { retry_after: some("7") }, Kind::Limited(7), false),
        (Fault::Limited { retry_after: some("999999999") }, Kind::Limited(3600), false),
        (Fault::Limited { retry_after: some("Mon, 23 Nov 2015 12:00:00 GMT") }, Kind::Limited(0), false),
        (Fault::Limited { retry_after: some("Mon, 23 Nov 2099 12:00:00 GMT") }, Kind::Limited(3600), false),
        (Fault::Limited { retry_after: some("soon") }, Kind::Limited(30), false),
        (Fault::Limited { retry_after: None }, Kind::Limited(30), false),
        (html(404), Kind::Refused, false),
        (large, Kind::Malformed, false),
        (html(200), Kind::Malformed, false),
    ]
}

/// Those that only the Web API has.
fn faults_in_json() -> Vec<(Fault, Kind, bool)> {
    vec![
        (Fault::LimitedInBody { retry_after: None }, Kind::Limited(30), false),
        (Fault::LimitedInBody { retry_after: Some("3".to_owned()) }, Kind::Limited(3), false),
        (Fault::Code("rate_limited"), Kind::Limited(30), false),
        (Fault::Code("internal_error"), Kind::Ambiguous, false),
        (Fault::Code("service_unavailable"), Kind::Ambiguous, false),
        (Fault::Code("team_added_to_org"), Kind::Transient, false),
        (Fault::Code("a_code_of_tomorrow"), Kind::Refused, false),
    ]
}

#[tokio::test]
async fn a_post_that_fails_is_what_the_caller_has_to_do() {
    let fixture = Fixture::impatient();
    for (number, (fault, kind, is_carried_out)) in faults().into_iter().chain(faults_in_json()).enumerate() {
        let (name, text) = (format!("{fault:.40?}"), number.to_string());
        fixture.slack.fail("chat.postMessage", fault);
        let error = fixture.client.post(&fixture.message(&text)).await.unwrap_err();
        assert_eq!(Kind::of(&error), kind, "{name}: {error}");
        assert_eq!(fixture.texts().contains(&text), is_carried_out, "{name}");
        assert!(!is_carried_out || error.may_have_happened(), "{name}");
    }
    let requests = fixture.slack.requests().len();
    assert_eq!(requests, faults().len() + faults_in_json().len(), "each is one request: none was repeated");
}

#[tokio::test]
async fn an_update_that_fails_can_be_repeated() {
    let fixture = Fixture::impatient();
    let posted = fixture.post("T1").await;
    for (number, (fault, kind, is_carried_out)) in faults().into_iter().chain(faults_in_json()).enumerate() {
        let (name, text) = (format!("{fault:.40?}"), format!("T1, {number}"));
        fixture.slack.fail("chat.update", fault);
        let update = Update { channel: &posted.channel, ts: &posted.ts, text: &text, blocks: None, metadata: None };
        let error = fixture.client.update(&update).await.unwrap_err();
        assert_eq!(Kind::of(&error), kind, "{name}: {error}");
        assert_eq!(fixture.texts() == [text.as_str()], is_carried_out, "{name}");
        fixture.client.update(&update).await.unwrap();
        assert_eq!(fixture.texts(), [text.as_str()], "{name}");
    }
}

#[tokio::test]
async fn a_webhook_that_fails_is_what_the_caller_has_to_do() {
    let fixture = Fixture::impatient();
    let webhook = fixture.webhook(&impatient(&fixture.slack.base_url()));
    for (number, (fault, kind, is_carried_out)) in faults().into_iter().enumerate() {
        let (name, text) = (format!("{fault:.40?}"), number.to_string());
        fixture.slack.fail("webhook", fault);
        let error = webhook.post(&text, None).await.unwrap_err();
        assert_eq!(Kind::of(&error), kind, "{name}: {error}");
        assert_eq!(fixture.texts().contains(&text), is_carried_out, "{name}");
    }
}

/// Posts as a careful caller does: what may have happened is looked up before it is posted again.
async fn deliver(fixture: &Fixture, metadata: &Metadata, thread_ts: Option<&str>) -> Posted {
    let message = Message { metadata: Some(metadata), thread_ts, ..fixture.message("T1 entered") };
    let first_ms = now_ms();
    for _ in 0..10 {
        match fixture.client.post(&message).await {
            Ok(posted) => return posted,
            Err(error) if error.may_have_happened() => {
                let channel = fixture.channel.as_str();
                let look_up = LookUp { channel, thread_ts, metadata, oldest_ms: first_ms };
                if let Some(found) = fixture.client.find(&look_up).await.unwrap() {
                    return Posted { channel: channel.to_owned(), ts: found.ts };
                }
            }
            Err(_) => {}
        }
    }
    panic!("ten attempts failed");
}

#[tokio::test]
async fn whatever_fails_a_message_is_there_once() {
    let fixture = Fixture::impatient();
    let root = fixture.post("root").await;
    let all = || faults().into_iter().chain(faults_in_json());
    for (number, (first, _, _)) in all().enumerate() {
        // A second fault after every third one.
        let second = all().nth((7 * number) % all().count()).filter(|_| number % 3 == 0);
        for thread_ts in [None, Some(root.ts.as_str())] {
            let subject = format!("{number} {thread_ts:?}");
            let ours = metadata(&subject);
            fixture.slack.fail("chat.postMessage", first.clone());
            if let Some((second, _, _)) = &second {
                fixture.slack.fail("chat.postMessage", second.clone());
            }
            let posted = deliver(&fixture, &ours, thread_ts).await;
            let kept = fixture.slack.messages(&fixture.channel).into_iter().filter(|message| {
                let kept = message.metadata.as_ref().map(|metadata| &metadata["event_payload"]["subject"]);
                kept.is_some_and(|kept| *kept == subject)
            });
            let kept: Vec<(String, Option<String>)> = kept.map(|message| (message.ts, message.thread_ts)).collect();
            assert_eq!(kept, [(posted.ts, thread_ts.map(str::to_owned))], "{first:.40?}, then {second:.40?}");
            // A second fault that was not needed is not for the next message.
            while fixture.slack.pending("chat.postMessage") > 0 {
                let _ = fixture.client.post(&fixture.message("another")).await;
            }
        }
    }
}

#[tokio::test]
async fn an_upload_that_fails_before_its_last_step_shares_nothing() {
    let fixture = Fixture::impatient();
    let upload = Upload {
        channel: &fixture.channel,
        thread_ts: None,
        filename: "a.png",
        title: "A",
        alt_text: "A",
        comment: None,
        png: b"\x89PNG",
    };
    for method in ["files.getUploadURLExternal", "upload"] {
        for (fault, kind, _) in faults() {
            // The bytes are answered with a text that is not read.
            if method == "upload" && matches!(fault, Fault::Answer { status: 200, .. }) {
                continue;
            }
            let name = format!("{method} {fault:.40?}");
            fixture.slack.fail(method, fault);
            let error = fixture.client.upload(&upload).await.unwrap_err();
            let harmless = if matches!(kind, Kind::Ambiguous | Kind::Malformed) { Kind::Transient } else { kind };
            assert_eq!(Kind::of(&error), harmless, "{name}: {error}");
            assert_eq!(fixture.texts().len(), 0, "{name}");
        }
    }
    fixture.slack.fail("files.completeUploadExternal", Fault::LoseReply);
    let error = fixture.client.upload(&upload).await.unwrap_err();
    assert_eq!((Kind::of(&error), fixture.texts().len()), (Kind::Ambiguous, 1));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (fixture, elsewhere) = (Fixture::new(), FakeSlack::start());
    let webhook = fixture.webhook(&options(&fixture.slack.base_url()));
    for status in [301, 302, 303, 307, 308] {
        let headers = vec![("location", format!("{}chat.postMessage", elsewhere.base_url()))];
        let fault = Fault::Answer { status, headers, body: String::new() };
        fixture.slack.fail("chat.postMessage", fault.clone());
        let error = fixture.client.post(&fixture.message("T1")).await.unwrap_err();
        assert!(error.to_string().contains("redirects are not followed"), "{error}");
        assert_eq!(Kind::of(&error), Kind::Refused);
        fixture.slack.fail("webhook", fault);
        assert_eq!(Kind::of(&webhook.post("T1", None).await.unwrap_err()), Kind::Refused);
    }
    assert_eq!(elsewhere.requests().len(), 0);
}

#[tokio::test]
async fn a_server_that_is_not_reached_was_sent_nothing() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let slack = FakeSlack::start();
    let encrypted = slack.base_url().replace("http://", "https://");
    for url in [format!("http://127.0.0.1:{closed}/"), encrypted, "https://no-such-host.invalid/".to_owned()] {
        let client = Client::new("xoxb-sEcReT".to_owned().into(), &options(&url)).unwrap();
        let error = client.auth_test().await.unwrap_err();
        assert_eq!(Kind::of(&error), Kind::Transient, "{url}: {error}");
        let webhook = Webhook::new(format!("{url}services/sEcReT").into(), &options(&url)).unwrap();
        let error = webhook.post("T1", None).await.unwrap_err();
        assert_eq!(Kind::of(&error), Kind::Transient, "{url}: {error}");
    }
}

#[tokio::test]
async fn an_answer_that_drips_is_given_up() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        // Until the client is gone.
        while stream.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let client = Client::new("xoxb-sEcReT".to_owned().into(), &impatient(&url)).unwrap();
    let begun = Instant::now();
    assert_eq!(Kind::of(&client.auth_test().await.unwrap_err()), Kind::Ambiguous);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
