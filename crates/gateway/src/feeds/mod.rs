//! Sources that are fetched or subscribed to: URLs that are polled, and topics of an MQTT broker.
//!
//! ```text
//! lease ─> fetch ─> inputs ─> what is new ─> log ─> cursor, validators
//! lease ─> broker ─> inputs ──────────────> log ─> acknowledged to the broker
//! ```
//!
//! Each source is fetched by one process of the pipeline at a time, the holder of its lease
//! ([`watchtower_log::leases`]); the others wait. What marks data as done (a cursor, the validators of HTTP, the
//! acknowledgement to a broker) follows the acknowledgement of the log, so a process that is killed in between fetches
//! the same again: the same events with the same keys, which change no row.

mod cursor;
mod fetch;
mod mqtt;
mod options;
mod pace;
mod poll;

pub use options::{Content, Feed, Mqtt, Poll, Supply, check_broker, check_url};

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};
use watchtower_auth::{Grant, Role};
use watchtower_log::leases::{Lease, Leases, RENEW_EVERY};

use crate::caller::Caller;
use crate::{Shared, metrics};

/// Time limit for giving the leases back when the gateway stops.
const RELEASE_WITHIN: Duration = Duration::from_secs(3);

/// The tasks of all feeds.
#[derive(Debug)]
pub(crate) struct Feeds {
    tasks: JoinSet<()>,
    stop: watch::Sender<()>,
}

impl Feeds {
    /// Starts a task for each feed of the configuration.
    pub(crate) fn start(context: &Shared, log: &watchtower_log::Options) -> Self {
        let (stop, _) = watch::channel(());
        let mut tasks = JoinSet::new();
        let owner = Owner::new();
        for feed in &context.options.feeds {
            let task = Task {
                context: Arc::clone(context),
                feed: feed.clone(),
                leases: Leases::new(log, owner.0.clone()),
                client_id: client_id(&log.pipeline(), &feed.name),
            };
            tasks.spawn(task.run(stop.subscribe()));
        }
        Self { tasks, stop }
    }

    /// Ends all tasks; their leases are given back, so that another process need not wait.
    pub(crate) async fn stop(self) {
        let Self { mut tasks, stop } = self;
        drop(stop);
        let rest = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(RELEASE_WITHIN, rest).await;
    }
}

/// What distinguishes this process from all others that ever run.
struct Owner(String);

impl Owner {
    fn new() -> Self {
        // The state of the hasher is random in each process.
        let random = RandomState::new().hash_one(jiff::Timestamp::now().as_nanosecond());
        Self(format!("{}-{random:016x}", std::process::id()))
    }
}

/// The client identifier of a subscription unless configured: the same after a restart, and different for each pipeline.
fn client_id(pipeline: &str, source: &str) -> String {
    format!("watchtower-{pipeline}-{source}")
}

/// One feed, and what its task needs.
struct Task {
    context: Shared,
    feed: Feed,
    leases: Leases,
    client_id: String,
}

impl Task {
    /// Fetches while the lease is held, and waits for it while another process holds it, until `stopped` closes.
    async fn run(self, mut stopped: watch::Receiver<()>) {
        let name = self.feed.name.as_str();
        let mut waiting = false;
        loop {
            match self.leases.take(name).await {
                Ok(Some(lease)) => {
                    info!(source = name, term = lease.term(), "this process fetches the source");
                    waiting = false;
                    metrics::feed_held(name, true);
                    tokio::select! {
                        () = self.keep(&lease) => warn!(source = name, "another process has taken over the source"),
                        () = self.fetch(&lease) => {}
                        // An error means that the sender was dropped, which is the signal to stop.
                        _ = stopped.changed() => {
                            if let Err(error) = self.leases.release(&lease).await {
                                debug!(source = name, %error, "the lease was not given back; it expires");
                            }
                            return;
                        }
                    }
                    metrics::feed_held(name, false);
                }
                Ok(None) if !waiting => {
                    waiting = true;
                    info!(source = name, "another process fetches the source; this one waits");
                }
                Ok(None) => {}
                Err(error) => warn!(source = name, %error, "the lease of the source cannot be taken"),
            }
            tokio::select! {
                () = tokio::time::sleep(RENEW_EVERY) => {}
                _ = stopped.changed() => return,
            }
        }
    }

    /// Renews the lease; completes once it is lost.
    async fn keep(&self, lease: &Lease) {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            match self.leases.renew(lease).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) if lease.holds() => debug!(source = self.feed.name, %error, "the lease was not renewed"),
                Err(error) => return warn!(source = self.feed.name, %error, "the lease of the source has expired"),
            }
        }
    }

    async fn fetch(&self, lease: &Lease) {
        match &self.feed.supply {
            Supply::Poll(poll) => poll::run(self, poll, lease).await,
            Supply::Mqtt(mqtt) => mqtt::run(self, mqtt).await,
        }
    }

    /// Limits are counted by the name of the source; it sends for all vehicles.
    fn caller(&self) -> Caller {
        let source = Some(self.feed.name.clone());
        Caller { name: self.feed.name.clone(), grant: Grant { role: Role::Ingest, source, ..Grant::everything() } }
    }
}
