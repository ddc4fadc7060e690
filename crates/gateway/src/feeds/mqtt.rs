//! OwnTracks from the topics of an MQTT broker (MQTT 5).
//!
//! The session is kept by the broker under a client identifier that stays the same, and each message of QoS 1 is
//! acknowledged to the broker once the log has it: what was sent while this process was away or before the log had it
//! is delivered after the next connection. A message that was published with QoS 0 is delivered once at most.

use std::sync::Arc;

use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v5::{Packet, Publish, SubscribeReasonCode};
use rumqttc::{
    AckMode, AsyncClient, BrokerSessionResumePolicy, Event, EventLoop, IncomingPacketSizeLimit, MqttOptions,
    TlsConfiguration, Transport,
};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};
use watchtower_auth::tls;
use watchtower_core::crash;
use watchtower_inputs::messages;

use super::Task;
use super::options::Mqtt;
use super::pace::Pace;
use crate::events::Scope;
use crate::{metrics, now_ms};

/// Messages that the broker sends ahead of their acknowledgement.
const RECEIVE_MAXIMUM: u16 = 256;
/// Requests of ours that wait to be sent: more than there can be acknowledgements, so that none waits for room while
/// messages wait for it.
const REQUESTS: usize = 2 * RECEIVE_MAXIMUM as usize;
/// Largest packet, bytes: the broker passes over larger messages.
const MAX_PACKET_BYTES: u32 = 1 << 20;
/// How long the broker keeps the session of a client that is away, seconds: a week.
const SESSION_S: u32 = 7 * 24 * 60 * 60;
/// Interval between signs of life, seconds.
const KEEP_ALIVE_S: u16 = 30;

/// A connection ended; what was not acknowledged is delivered again by the next.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("ca_file: {0}")]
    Certificates(String),
    #[error("{0}")]
    Connection(String),
    #[error("the broker refuses the subscription: {0}")]
    Subscription(String),
    #[error("the log does not acknowledge: {0}")]
    Log(String),
}

/// Receives until the task ends.
pub(super) async fn run(task: &Task, mqtt: &Mqtt) {
    let (source, broker) = (task.feed.name.as_str(), format!("{}:{}", mqtt.host, mqtt.port));
    let mut pace = Pace::default();
    loop {
        let mut connected = false;
        let Err(error) = session(task, mqtt, &mut connected).await;
        if connected {
            pace = Pace::default();
        }
        let wait = pace.next(None);
        metrics::feed_failed(source);
        warn!(source, broker, %error, wait_s = wait.as_secs(), "the connection to the broker ended");
        tokio::time::sleep(wait).await;
    }
}

/// One connection, from its beginning to its end; sets `connected` once the broker has accepted the subscription.
async fn session(task: &Task, mqtt: &Mqtt, connected: &mut bool) -> Result<std::convert::Infallible, SessionError> {
    let (client, events) = AsyncClient::builder(options(task, mqtt)?).capacity(REQUESTS).build();
    let (sender, receiver) = mpsc::channel(REQUESTS);
    tokio::select! {
        ended = receive(task, mqtt, &client, events, sender, connected) => ended,
        ended = append(task, &client, receiver) => ended,
    }
}

fn options(task: &Task, mqtt: &Mqtt) -> Result<MqttOptions, SessionError> {
    let client_id = mqtt.client_id.clone().unwrap_or_else(|| client_id(&task.client_id, &mqtt.topics));
    let mut options = MqttOptions::new(client_id, (mqtt.host.clone(), mqtt.port));
    options
        .set_keep_alive(KEEP_ALIVE_S)
        .set_clean_start(false)
        .set_session_expiry_interval(Some(SESSION_S))
        // The session of a process that was killed: what it received is in the log or delivered again.
        .set_broker_session_resume_policy(BrokerSessionResumePolicy::AllowBrokerOnly)
        .set_receive_maximum(Some(RECEIVE_MAXIMUM))
        .set_incoming_packet_size_limit(IncomingPacketSizeLimit::Bytes(MAX_PACKET_BYTES))
        .set_ack_mode(AckMode::Manual);
    if let Some((user, password)) = &mqtt.credentials {
        options.set_credentials(user, password.expose_secret().to_owned());
    }
    if mqtt.tls {
        let config = tls::client_config(mqtt.ca_file.as_deref()).map_err(SessionError::Certificates)?;
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(config))));
    }
    Ok(options)
}

/// The client identifier unless configured: another one for other topics, because a session keeps its subscriptions.
fn client_id(prefix: &str, topics: &[String]) -> String {
    let digest = Sha256::digest(topics.join("\n"));
    let digits: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}-{digits}")
}

/// Passes on what the broker sends.
async fn receive(
    task: &Task,
    mqtt: &Mqtt,
    client: &AsyncClient,
    mut events: EventLoop,
    sender: mpsc::Sender<Publish>,
    connected: &mut bool,
) -> Result<std::convert::Infallible, SessionError> {
    let source = task.feed.name.as_str();
    loop {
        let event = events.poll().await.map_err(|error| SessionError::Connection(error.to_string()))?;
        let Event::Incoming(packet) = event else { continue };
        match packet {
            Packet::ConnAck(answer) => {
                debug!(source, session_present = answer.session_present, "the broker has accepted the connection");
                if answer.session_present {
                    // The broker has the topics: the client identifier is theirs. The client library would refuse to
                    // subscribe in a session that another process began.
                    info!(source, "subscribed to the topics of the source, in the session that the broker has kept");
                    *connected = true;
                    metrics::feed_up(source);
                    continue;
                }
                for topic in &mqtt.topics {
                    let subscribed = client.subscribe(topic.as_str(), QoS::AtLeastOnce).await;
                    subscribed.map_err(|error| SessionError::Subscription(error.to_string()))?;
                }
            }
            Packet::SubAck(answer) => {
                let refused = |code: &&SubscribeReasonCode| !matches!(code, SubscribeReasonCode::Success(_));
                if let Some(code) = answer.return_codes.iter().find(refused) {
                    return Err(SessionError::Subscription(format!("{code:?}")));
                }
                if !*connected {
                    info!(source, "subscribed to the topics of the source");
                }
                *connected = true;
                metrics::feed_up(source);
            }
            Packet::Publish(publish) => {
                let gone = |_| SessionError::Connection("the receiver has ended".to_owned());
                sender.send(publish).await.map_err(gone)?;
            }
            Packet::Disconnect(reason) => {
                let reason = format!("the broker has ended it: {:?}", reason.reason_code);
                return Err(SessionError::Connection(reason));
            }
            _ => {}
        }
    }
}

/// Appends messages in the order of their arrival, as many at a time as wait, and acknowledges them to the broker.
async fn append(
    task: &Task,
    client: &AsyncClient,
    mut receiver: mpsc::Receiver<Publish>,
) -> Result<std::convert::Infallible, SessionError> {
    let context = &task.context;
    let options = task.feed.reading(&context.options, &context.limits);
    loop {
        let mut waiting = Vec::new();
        if receiver.recv_many(&mut waiting, REQUESTS).await == 0 {
            // The other half has ended, and its error is the one that counts.
            std::future::pending::<()>().await;
        }
        let mut items = Vec::new();
        for publish in &waiting {
            let topic = String::from_utf8_lossy(&publish.topic);
            match messages::read_owntracks_published(&topic, &publish.payload, now_ms(), &options) {
                Ok(read) => items.extend(read),
                Err(error) => {
                    let kept = context.refuse(&task.feed.name, error, &publish.payload).await;
                    kept.map_err(|failure| SessionError::Log(failure.detail().to_owned()))?;
                }
            }
        }
        if !items.is_empty() {
            let received = context.receive(&task.caller(), Scope::Source, items, None).await;
            received.map_err(|failure| SessionError::Log(failure.detail().to_owned()))?;
        }
        metrics::feed_succeeded(&task.feed.name);
        crash::point("before-broker-ack");
        for publish in &waiting {
            let acknowledged = client.ack(publish).await;
            acknowledged.map_err(|error| SessionError::Connection(error.to_string()))?;
        }
    }
}
