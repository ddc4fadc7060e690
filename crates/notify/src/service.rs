//! The service: a worker for each channel, and a task that wakes those that have rows to deliver.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};
use watchtower_core::random::SplitMix;
use watchtower_model::Millis;
use watchtower_model::local_time::LocalTime;
use watchtower_store::outbox::{Outbox, OutboxError};

use crate::channels::{Sender, Surroundings};
use crate::clock::Clock;
use crate::options::{Channel, ChannelKind, Options};
use crate::worker::Worker;

/// Interval between two looks at the outbox: half of it is the mean time until an alert is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(40);
/// The same while the store does not answer.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Interval between two removals of what was kept long enough.
const EXPIRE_EVERY: Duration = Duration::from_secs(600);
/// Time limit for attempts that are under way when the service stops, beyond their own.
const END_WITHIN: Duration = Duration::from_secs(2);

/// The service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The store cannot be used.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The options of a channel cannot be used.
    #[error("channel {channel}: {fault}")]
    Channel {
        /// Name of the channel.
        channel: String,
        /// The fault, without secrets.
        fault: String,
    },
}

/// What the service needs.
#[derive(Clone, Debug)]
pub struct Context {
    /// `[notify]` and the channels.
    pub options: Options,
    /// The tables with the outbox.
    pub tables: watchtower_store::Options,
    /// Name of the pipeline.
    pub pipeline: String,
    /// Zone of times in messages.
    pub zone: Arc<LocalTime>,
    /// The time by which deliveries are due.
    pub clock: Clock,
}

/// The service, before it runs.
#[derive(Debug)]
pub struct Notifier {
    outbox: Outbox,
    options: Arc<Options>,
    clock: Clock,
    workers: Vec<Worker>,
}

/// Whether the options of a channel can be used, without connecting anywhere.
///
/// # Errors
/// What is wrong with them, without secrets.
pub fn check_channel(channel: &Channel, context: &Context) -> Result<(), NotifyError> {
    let outbox = Outbox::new(&context.tables)?;
    open(channel, &surroundings(context, &outbox)).map(drop)
}

fn surroundings(context: &Context, outbox: &Outbox) -> Surroundings {
    Surroundings { pipeline: context.pipeline.clone(), zone: Arc::clone(&context.zone), outbox: outbox.clone() }
}

fn open(channel: &Channel, around: &Surroundings) -> Result<Sender, NotifyError> {
    Sender::open(channel, around).map_err(|fault| NotifyError::Channel { channel: channel.id.clone(), fault })
}

impl Notifier {
    /// Makes all channels ready. Connects nowhere.
    ///
    /// # Errors
    /// If the options of a channel or of the store cannot be used.
    pub fn new(context: &Context) -> Result<Self, NotifyError> {
        let Context { options, tables, pipeline, zone: _, clock } = context;
        let outbox = Outbox::new(tables)?;
        let around = surroundings(context, &outbox);
        let options = Arc::new(options.clone());
        let worker = |channel: Channel| -> Result<Worker, NotifyError> {
            let sender = open(&channel, &around)?;
            let Channel { id, kind, timeout, concurrency } = channel;
            // Slack accepts one message per second and channel.
            let concurrency = if matches!(kind, ChannelKind::Slack(_)) { 1 } else { concurrency };
            let seed = RandomState::new().hash_one(&id); // of the system's random numbers
            Ok(Worker {
                id,
                timeout,
                concurrency,
                sender,
                outbox: outbox.with_own_connection(),
                options: Arc::clone(&options),
                pipeline: pipeline.clone(),
                clock: clock.clone(),
                random: Mutex::new(SplitMix::new(seed)),
            })
        };
        let workers = options.all_channels().into_iter().map(worker).collect::<Result<_, _>>()?;
        Ok(Self { outbox, options, clock: clock.clone(), workers })
    }

    /// Delivers what is due now, without waiting for what becomes due later. Returns the number of rows.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn deliver_due(&self) -> Result<usize, OutboxError> {
        let mut rows = 0;
        for worker in &self.workers {
            loop {
                match worker.round().await? {
                    0 => break,
                    more => rows += more,
                }
            }
        }
        Ok(rows)
    }

    /// Delivers until `shutdown` completes, then ends the attempts under way and returns. A store that is away is waited
    /// for.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let Self { outbox, options, clock, workers } = self;
        let (stop, stopping) = watch::channel(());
        let (mut tasks, mut names, mut bells) = (JoinSet::new(), Vec::new(), Vec::new());
        let longest = workers.iter().map(|worker| worker.timeout).max().unwrap_or_default();
        for worker in workers {
            let bell = Arc::new(Notify::new());
            names.push(worker.id.clone());
            bells.push(Arc::clone(&bell));
            tasks.spawn(worker.run(bell, stopping.clone()));
        }
        info!(channels = names.join(", "), "delivering alerts");
        drop(stopping);
        tokio::select! {
            () = look(&outbox, &options, &clock, &names, &bells) => {}
            () = shutdown => {}
        }
        drop(stop);
        let rest = async { while tasks.join_next().await.is_some() {} };
        if timeout(longest + END_WITHIN, rest).await.is_err() {
            warn!("deliveries under way exceed their time limit: they are repeated after the next start");
        }
    }
}

/// Wakes the workers of endpoints that have rows to deliver; never returns.
async fn look(outbox: &Outbox, options: &Options, clock: &Clock, names: &[String], bells: &[Arc<Notify>]) {
    let keep_ms = Millis::try_from(options.keep.as_millis()).unwrap_or(Millis::MAX);
    let mut expire_at = Instant::now();
    let mut is_away = false;
    loop {
        let now = clock.now();
        let mut seen = outbox.due(names, now).await;
        if seen.is_ok() && expire_at <= Instant::now() {
            expire_at += EXPIRE_EVERY;
            if let Err(error) = outbox.expire(now.saturating_sub(keep_ms), now).await {
                seen = Err(error);
            }
        }
        match seen {
            Ok(due) => {
                if std::mem::take(&mut is_away) {
                    info!("the outbox can be read again");
                }
                for (_, bell) in names.iter().zip(bells).filter(|(name, _)| due.contains(name)) {
                    bell.notify_one();
                }
                sleep(LOOK_EVERY).await;
            }
            Err(error) => {
                if !std::mem::replace(&mut is_away, true) {
                    warn!(%error, "cannot read the outbox: waiting for it");
                }
                sleep(LOOK_AGAIN).await;
            }
        }
    }
}
