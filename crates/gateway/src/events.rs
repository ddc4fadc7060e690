//! From the items of a message to entries of the log, and to the answer.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use watchtower_core::events::{Event, Reason, Rejection};
use watchtower_inputs::messages::{Format, Item, MessageError, Refused};
use watchtower_log::ingest::{Delivery, Entry, IngestError, Outcome};
use watchtower_model::Millis;

use crate::answer::{Failure, answer};
use crate::caller::Caller;
use crate::{Context, metrics, now_ms};

/// Indices of forbidden events that an answer names.
const MAX_NAMED: usize = 20;

/// What a caller may send through an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The native API: edits need the role admin.
    Native,
    /// A source, whose format decides what its messages become.
    Source,
}

/// What became of the events of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    /// Number of accepted events.
    pub(crate) accepted: usize,
    /// The refused ones: index, reason and detail.
    pub(crate) refused: Vec<(usize, Reason, String)>,
    /// Whether the delivery had been acknowledged before.
    pub(crate) repeated: bool,
}

impl Context {
    /// Appends the events of a request and waits for the log.
    ///
    /// # Errors
    /// If the caller may not send one of them: nothing is appended then. If the log does not acknowledge.
    pub(crate) async fn receive(
        &self,
        caller: &Caller,
        scope: Scope,
        items: Vec<Item>,
        delivery: Option<Delivery>,
    ) -> Result<Received, Failure> {
        let received_at = now_ms();
        let forbidden: Vec<usize> =
            items.iter().filter(|item| !self.may(caller, scope, item)).map(|i| i.index).collect();
        if !forbidden.is_empty() {
            let detail = "the token is not for these events: other vehicles or fleets, or edits without the role admin";
            return Err(Failure::forbidden(detail).about(forbidden.into_iter().take(MAX_NAMED).collect()));
        }
        let (mut received, mut entries) = (Received::default(), Vec::with_capacity(items.len()));
        for Item { index, result } in items {
            match self.admit(caller, result, received_at) {
                Ok(event) => {
                    received.accepted += 1;
                    entries.push(Entry::Event(event));
                }
                Err(refused) => {
                    let rejection = refused.rejection();
                    received.refused.push((index, refused.reason, refused.detail));
                    entries.push(Entry::Refused { rejection, bytes: refused.bytes, vehicle_id: refused.vehicle_id });
                }
            }
        }
        let received = match self.append(entries, delivery).await? {
            Outcome::Appended => received,
            Outcome::Repeated => Received { repeated: true, ..Received::default() },
            Outcome::ClockOfDaemon => {
                return Err(Failure::bad_request(
                    "clock events of this pipeline are appended by its daemon ([clock] source = \"wall\"); nothing was \
                     added",
                ));
            }
        };
        let source = label(caller, scope);
        metrics::events(source, received.accepted as u64, received.refused.len() as u64);
        if received.repeated {
            metrics::repeated(source);
        }
        Ok(received)
    }

    /// Appends entries and waits for the log.
    ///
    /// # Errors
    /// If the log does not acknowledge.
    pub(crate) async fn append(&self, entries: Vec<Entry>, delivery: Option<Delivery>) -> Result<Outcome, Failure> {
        self.ingest.append(entries, delivery).await.map_err(|error| {
            match &error {
                IngestError::Stopping => {}
                IngestError::Refused(_) | IngestError::Full | IngestError::TimedOut => {
                    tracing::warn!(%error, "request")
                }
            }
            Failure::unavailable("the event log does not accept events now: send the request again")
        })
    }

    /// An item with its arrival, unless the caller names too many vehicles.
    fn admit(
        &self,
        caller: &Caller,
        result: Result<Event<'static>, Refused>,
        received_at: Millis,
    ) -> Result<Event<'static>, Refused> {
        let mut event = result?;
        *event.received_at_mut() = Some(received_at);
        let id = match &event {
            Event::Position(report) => &report.vehicle_id,
            Event::Vehicle(change) => &change.vehicle_id,
            Event::Geofence(_) | Event::Rule(_) | Event::Clock(_) => return Ok(event),
        };
        let most = self.options.max_ids;
        if self.ids.admit(&caller.name, id, most) {
            return Ok(event);
        }
        Err(Refused {
            reason: Reason::TooManyVehicles,
            detail: format!("expected at most {most} vehicles of one sender ([gateway] max_ids), found another one"),
            vehicle_id: Some(id.to_string()),
            bytes: watchtower_core::events::json::encode(&event).into_bytes(),
        })
    }

    /// Whether the caller may send this.
    fn may(&self, caller: &Caller, scope: Scope, item: &Item) -> bool {
        let grant = &caller.grant;
        let may_edit = scope == Scope::Source || grant.role.includes(watchtower_auth::Role::Admin);
        let covers = |id: &str| grant.covers_all_vehicles() || grant.covers(id, self.accounts.fleet(id).as_deref());
        match &item.result {
            Ok(Event::Position(report)) => covers(&report.vehicle_id),
            Ok(Event::Vehicle(change)) => {
                // Nor may a vehicle be moved to another fleet, or out of its fleet.
                let fleet = change.definition.as_ref().and_then(|definition| definition.fleet.as_deref());
                may_edit && covers(&change.vehicle_id) && (grant.fleet.is_none() || fleet == grant.fleet.as_deref())
            }
            Ok(Event::Geofence(_) | Event::Rule(_) | Event::Clock(_)) => may_edit && grant.covers_all_vehicles(),
            Err(refused) => grant.covers_all_vehicles() || refused.vehicle_id.as_deref().is_none_or(covers),
        }
    }

    /// Keeps a message that cannot be read as a refused entry, and returns what its sender is told.
    ///
    /// # Errors
    /// If the log does not acknowledge the refused entry.
    pub(crate) async fn refuse(&self, source: &str, error: MessageError, body: &[u8]) -> Result<Failure, Failure> {
        let reason = if error.is_too_large() { Reason::TooLarge } else { Reason::Malformed };
        let detail = error.to_string();
        let rejection = Rejection::new(reason, detail.clone());
        self.append(vec![Entry::Refused { rejection, bytes: body.to_vec(), vehicle_id: None }], None).await?;
        metrics::events(source, 0, 1);
        Ok(if error.is_too_large() { Failure::too_large(detail) } else { Failure::bad_request(detail) })
    }
}

/// The source of a caller, for metrics: a name of the configuration or of a format.
fn label(caller: &Caller, scope: Scope) -> &str {
    match scope {
        Scope::Native => metrics::NATIVE,
        // No name of a source has a slash; what follows is that of its token.
        Scope::Source => caller.name.split('/').next().unwrap_or_default(),
    }
}

impl Received {
    /// The numbers of accepted and refused events, and why.
    pub(crate) fn to_json(&self) -> Value {
        let Self { accepted, refused, repeated } = self;
        let refused: Vec<Value> = refused
            .iter()
            .map(|(index, reason, detail)| json!({"index": index, "reason": reason.as_str(), "detail": detail}))
            .collect();
        let mut object = json!({"accepted": accepted, "refused": refused});
        if *repeated {
            object["repeated"] = true.into();
        }
        object
    }

    /// 200, or 422 if nothing was accepted and the sender has to be corrected. What a receiver without a fix reports is no
    /// fault of the program that sends it: a phone would send it again for ever.
    pub(crate) fn status(&self) -> StatusCode {
        let is_of_sender = |reason: Reason| match reason {
            Reason::Malformed
            | Reason::UnknownType
            | Reason::MissingField
            | Reason::InvalidUtf8
            | Reason::TooLarge
            | Reason::VehicleId
            | Reason::Geometry
            | Reason::DuplicateId
            | Reason::WrongStream
            | Reason::TooManyVehicles => true,
            Reason::Coordinates
            | Reason::TimeRange
            | Reason::NullIsland
            | Reason::IsolatedTime
            | Reason::Future
            | Reason::Horizon
            | Reason::Late
            | Reason::TooManyPositions => false,
        };
        let nothing = self.accepted == 0 && !self.refused.is_empty();
        let wrong = self.refused.iter().any(|(_, reason, _)| is_of_sender(*reason));
        if nothing && wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }
    }

    /// The answer to a message of a format.
    pub(crate) fn answer(&self, format: Format) -> Response {
        use axum::http::header::CONTENT_TYPE;
        use axum::response::IntoResponse;
        match format.answer() {
            Some(own) => ([(CONTENT_TYPE, own.content_type)], own.body).into_response(),
            None => answer(self.status(), &self.to_json()),
        }
    }
}
