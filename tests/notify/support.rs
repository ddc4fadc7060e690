//! A file with alerts to deliver, and a notifier with a clock that the test moves.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use watchtower_auth::guard::AddressGuard;
use watchtower_core::Commit;
use watchtower_core::outbox::{AlertChanges, AlertVersion};
use watchtower_core::tables::Cell;
use watchtower_geopackage::GeoPackage;
use watchtower_model::Millis;
use watchtower_model::local_time::LocalTime;
use watchtower_notify::{Channel, ChannelKind, Clock, Context, Format, Keys, Notifier, Options, Webhook};
use watchtower_store::outbox::{Filter, Outbox};
use watchtower_store::{Opened, Store, Writer};

/// 2026-11-23T06:00:00Z.
pub(super) const T0: Millis = 1_795_413_600_000;
/// The smallest secret of Standard Webhooks, and the one that replaces it.
pub(super) const SECRETS: [&str; 2] =
    ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"];

/// A runtime of several threads, as a daemon has.
pub(super) static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

/// Tables whose alerts a test makes up.
pub(super) struct Desk {
    pub(super) tables: watchtower_store::Options,
    writer: Writer,
    now: Arc<AtomicI64>,
    _folder: Option<tempfile::TempDir>,
}

impl Desk {
    /// In a new file.
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = GeoPackage::at(folder.path().join("lagos.gpkg"));
        Self { _folder: Some(folder), ..Self::over(watchtower_store::Options::File(file)) }
    }

    /// In these tables, which are created.
    pub(super) fn over(tables: watchtower_store::Options) -> Self {
        let store = Store::new(&tables).unwrap();
        let opened = RUNTIME.block_on(async {
            let session = store.connect().await.unwrap();
            store.claim(session, "{}", true, &mut |_| {}).await.unwrap()
        });
        let Opened { writer, .. } = opened;
        watchtower_auth::tls::install_provider();
        Self { tables, writer, now: Arc::new(AtomicI64::new(T0)), _folder: None }
    }

    /// Commits changes of alerts: rows with +1 or -1.
    pub(super) fn commit(&mut self, changes: &[(AlertVersion, i64)]) {
        let mut alerts = AlertChanges::default();
        changes.iter().for_each(|(version, diff)| alerts.add(version.clone(), *diff));
        let commit = Commit { alerts, now: T0, events: 1, ..Commit::default() };
        RUNTIME.block_on(self.writer.commit(&commit)).unwrap();
    }

    /// Commits one new alert about each vehicle.
    pub(super) fn raise(&mut self, vehicles: &[&str], to: &[&str]) {
        let changes: Vec<_> = vehicles.iter().map(|vehicle| (entered(vehicle, "warning", to), 1)).collect();
        self.commit(&changes);
    }

    pub(super) fn outbox(&self) -> Outbox {
        Outbox::new(&self.tables).unwrap()
    }

    pub(super) fn context(&self, channels: Vec<Channel>, operators: &[&str]) -> Context {
        let now = Arc::clone(&self.now);
        let operators = operators.iter().map(|name| (*name).to_owned()).collect();
        Context {
            options: Options { channels, operators, ..Options::default() },
            tables: self.tables.clone(),
            pipeline: "lagos".to_owned(),
            zone: Arc::new(LocalTime::utc()),
            clock: Clock::of(move || now.load(Ordering::Relaxed)),
        }
    }

    pub(super) fn notifier(&self, channels: Vec<Channel>) -> Notifier {
        Notifier::new(&self.context(channels, &[])).unwrap()
    }

    /// Moves the notifier's clock forward.
    pub(super) fn pass(&self, ms: Millis) {
        self.now.fetch_add(ms, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> Millis {
        self.now.load(Ordering::Relaxed)
    }

    /// What is listed: channel, subject, event, state and error.
    pub(super) fn listed(&self) -> Vec<String> {
        let outbox = self.outbox();
        let rows = spawned(async move { outbox.list(&Filter::default(), 10_000).await.unwrap() });
        let error = |error: &Option<String>| error.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
        let line = |row: &watchtower_store::outbox::ListedRow| {
            format!("{} {} {} {}{}", row.endpoint, row.subject, row.event, row.state.name(), error(&row.error))
        };
        rows.iter().map(line).collect()
    }
}

/// Waits for work on a thread of the runtime.
pub(super) fn spawned<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    RUNTIME.block_on(async { tokio::spawn(work).await.unwrap() })
}

/// Delivers what is due now. Returns the notifier, and the number of rows.
pub(super) fn deliver(notifier: Notifier) -> (Notifier, usize) {
    spawned(async move {
        let rows = notifier.deliver_due().await.unwrap();
        (notifier, rows)
    })
}

/// An alert of rule `in`: a vehicle entered a yard.
pub(super) fn entered(vehicle: &str, severity: &str, to: &[&str]) -> AlertVersion {
    alert(vehicle, severity, &json!({"on": "enter", "to": to}))
}

/// The same under a rule of these words.
pub(super) fn alert(vehicle: &str, severity: &str, definition: &Value) -> AlertVersion {
    let text = |text: &str| Cell::Text(text.into());
    AlertVersion {
        row: vec![
            text("in"),
            text(&subject(vehicle)),
            Cell::Time(T0),
            text("enter"),
            text(vehicle),
            text("yard"),
            text(severity),
            Cell::Json(r#"{"started_at":"2026-11-23T06:00:00.000Z"}"#.into()),
        ],
        started_at: T0,
        ended_at: None,
        definition: definition.to_string().into(),
    }
}

pub(super) fn subject(vehicle: &str) -> String {
    format!("in/enter/{vehicle}/yard/2026-11-23T06:00:00.000Z")
}

/// A webhook at a receiver of this machine, with short patience.
pub(super) fn webhook(id: &str, url: &str) -> Channel {
    let allowed = vec!["127.0.0.0/8".parse().unwrap()];
    let options = Webhook {
        url: url.to_owned().into(),
        keys: Keys::default(),
        format: Format::Native,
        guard: AddressGuard { allowed },
        headers: Vec::new(),
        ca_file: None,
    };
    Channel { timeout: Duration::from_millis(700), ..Channel::new(id, ChannelKind::Webhook(options)) }
}

/// The same with other options.
pub(super) fn webhook_with(id: &str, url: &str, change: impl FnOnce(&mut Webhook)) -> Channel {
    let mut channel = webhook(id, url);
    if let ChannelKind::Webhook(options) = &mut channel.kind {
        change(options);
    }
    channel
}
