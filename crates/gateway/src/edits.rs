//! `/v1`: events of the native format, and edits of single geofences and vehicles.

use axum::Extension;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use watchtower_core::admission::keep_tracks_ms;
use watchtower_core::events::{Event, Feature, Limits, Reason, Rejection, check_time, json, parse_time};
use watchtower_inputs::messages::{Format, Headers, Item, Message, Refused, decoded};
use watchtower_store::tokens::Subject;

use crate::answer::{Failure, answer};
use crate::caller::Caller;
use crate::events::{Received, Scope};
use crate::sources::{delivery_of, read_message};
use crate::{Context, Shared, Source, Trust, body, metrics, now_ms};

/// `POST /v1/events`.
pub(crate) async fn events(
    State(context): State<Shared>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Failure> {
    let (headers, body) = whole(&context, request).await?;
    let delivery = delivery_of(&caller.name, Source::REMEMBER, &headers, "idempotency-key", None)?;
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok());
    let message =
        Message { query: None, content_type, headers: Headers::default(), body: &body, received_at: now_ms() };
    let source = Source::of_format(Format::Native, Trust::None);
    let reading = source.reading(&context.options, &context.limits);
    let items = match read_message(Format::Native, &message, &reading) {
        Ok(items) => items,
        Err(error) => return Err(context.refuse(metrics::NATIVE, error, &body).await?),
    };
    let received = context.receive(&caller, Scope::Native, items, delivery).await?;
    Ok(received.answer(Format::Native))
}

/// `POST /v1/geofences`.
pub(crate) async fn geofences(
    State(context): State<Shared>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Failure> {
    let (headers, body) = whole(&context, request).await?;
    let delivery = delivery_of(&caller.name, Source::REMEMBER, &headers, "idempotency-key", None)?;
    let items = features(&body, &context)?;
    if items.len() > context.options.max_events {
        return Err(Failure::too_large(format!("expected at most {} features", context.options.max_events)));
    }
    let notes = Notes::of(&items, &context.limits);
    let received = context.receive(&caller, Scope::Native, items, delivery).await?;
    Ok(notes.answer(&received))
}

/// `PUT /v1/geofences/{id}`.
pub(crate) async fn put_geofence(
    State(context): State<Shared>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Failure> {
    let (headers, body) = whole(&context, request).await?;
    context.check_precondition(&headers, Subject::Geofence(&id)).await?;
    let mut object = object(&body)?;
    let is_feature = object.get("type").is_some_and(|kind| kind == "Feature");
    if is_feature {
        own(object.entry("id").or_insert_with(|| id.as_str().into()), &id)?;
        if let Some(Value::Object(properties)) = object.get("properties") {
            properties.get("geofence_id").map_or(Ok(()), |named| own(named, &id))?;
        }
    } else {
        event_of(&mut object, "geofence", "geofence_id", &id)?;
    }
    edit_geofence(&context, &caller, object, is_feature).await
}

/// `DELETE /v1/geofences/{id}`, `?valid_from=` if it is not from now on.
pub(crate) async fn delete_geofence(
    State(context): State<Shared>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    context.check_precondition(&headers, Subject::Geofence(&id)).await?;
    let mut object = Map::new();
    event_of(&mut object, "geofence", "geofence_id", &id)?;
    object.insert("deleted".to_owned(), true.into());
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        let expected = || Failure::bad_request("expected ?valid_from=, RFC 3339 or epoch milliseconds");
        let text = query.strip_prefix("valid_from=").ok_or_else(expected)?;
        // A plus is that of an offset, and no space.
        let text = decoded(text, false).map_err(|_| expected())?;
        let ms = parse_time(&text).ok_or_else(expected)?;
        check_time("valid_from", ms, &context.limits).map_err(|rejection| Failure::bad_request(rejection.detail))?;
        object.insert("valid_from".to_owned(), ms.into());
    }
    edit_geofence(&context, &caller, object, false).await
}

/// `PUT /v1/vehicles/{id}`.
pub(crate) async fn put_vehicle(
    State(context): State<Shared>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Failure> {
    let (headers, body) = whole(&context, request).await?;
    context.check_precondition(&headers, Subject::Vehicle(&id)).await?;
    let mut object = object(&body)?;
    event_of(&mut object, "vehicle", "vehicle_id", &id)?;
    let text = Value::Object(object).to_string();
    let result = json::decode(text.as_bytes(), &context.limits).map(Event::into_owned);
    let refused = |rejection| refused(rejection, &text, Some(id.clone()));
    edit(&context, &caller, Item { index: 0, result: result.map_err(refused) }).await
}

/// Appends an edit of a geofence, which is a feature or an event.
async fn edit_geofence(
    context: &Context,
    caller: &Caller,
    object: Map<String, Value>,
    is_feature: bool,
) -> Result<Response, Failure> {
    let text = Value::Object(object).to_string();
    edit(context, caller, Item { index: 0, result: geofence(&text, is_feature, &context.limits) }).await
}

/// Appends one edit.
async fn edit(context: &Context, caller: &Caller, item: Item) -> Result<Response, Failure> {
    let items = vec![item];
    let notes = Notes::of(&items, &context.limits);
    let received = context.receive(caller, Scope::Native, items, None).await?;
    Ok(notes.answer(&received))
}

/// Headers and inflated body of a request.
async fn whole(context: &Context, request: Request) -> Result<(HeaderMap, Bytes), Failure> {
    let (parts, stream) = request.into_parts();
    let raw = body::read(&context.options, &parts.headers, stream).await?;
    let body = body::inflate(&context.options, &parts.headers, raw).await?;
    Ok((parts.headers, body))
}

/// The object in a body.
fn object(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    serde_json::from_slice(body).map_err(|fault| Failure::bad_request(format!("expected a JSON object: {fault}")))
}

/// Completes an event by what the address says.
fn event_of(object: &mut Map<String, Value>, kind: &str, key: &str, id: &str) -> Result<(), Failure> {
    own(object.entry(key).or_insert_with(|| id.into()), id)?;
    match object.entry("type").or_insert_with(|| kind.into()) {
        named if named == kind => Ok(()),
        _ => Err(Failure::bad_request(format!("expected an event of type {kind}"))),
    }
}

/// Refuses an identifier in the body that is not the one in the address.
fn own(named: &Value, id: &str) -> Result<(), Failure> {
    if named == id || named.as_i64().is_some_and(|number| number.to_string() == id) {
        return Ok(());
    }
    Err(Failure::bad_request("the identifier in the body is not the one in the address"))
}

/// The geofence in a feature or an event.
fn geofence(text: &str, is_feature: bool, limits: &Limits) -> Result<Event<'static>, Refused> {
    let event = if is_feature {
        json::check_size(text.as_bytes(), limits).and_then(|()| Feature::parse(text)?.event(limits))
    } else {
        json::decode(text.as_bytes(), limits)
    };
    event.map(Event::into_owned).map_err(|rejection| refused(rejection, text, None))
}

fn refused(rejection: Rejection, text: &str, vehicle_id: Option<String>) -> Refused {
    Refused { reason: rejection.reason, detail: rejection.detail, bytes: text.as_bytes().to_vec(), vehicle_id }
}

/// A collection of features, or one.
#[derive(Deserialize)]
struct Collection<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    features: Option<Vec<&'a RawValue>>,
}

/// The geofences of a body, each with its own outcome.
fn features(body: &[u8], context: &Context) -> Result<Vec<Item>, Failure> {
    let expected = |fault: &dyn std::fmt::Display| {
        Failure::bad_request(format!("expected a GeoJSON Feature or FeatureCollection: {fault}"))
    };
    let text = std::str::from_utf8(body).map_err(|fault| expected(&fault))?;
    let Collection { kind, features } = serde_json::from_str(text).map_err(|fault| expected(&fault))?;
    let texts: Vec<&str> = match (kind.as_str(), features) {
        ("FeatureCollection", Some(features)) => features.into_iter().map(RawValue::get).collect(),
        ("Feature", _) => vec![text],
        _ => return Err(expected(&"it is neither")),
    };
    let mut keys = std::collections::HashSet::new();
    let item = |(index, text): (usize, &str)| {
        let result = geofence(text, true, &context.limits).and_then(|event| match &event {
            Event::Geofence(change) if !keys.insert((change.geofence_id.to_string(), change.valid_from)) => {
                let detail = "an earlier feature has the same id and valid_from";
                Err(refused(Rejection::new(Reason::DuplicateId, detail), text, None))
            }
            _ => Ok(event),
        });
        Item { index, result }
    };
    Ok(texts.into_iter().enumerate().map(item).collect())
}

/// What an author should know of accepted geofences.
#[derive(Debug, Default)]
struct Notes {
    /// Those that lie across the antimeridian, where they are cut.
    cut: Vec<String>,
    /// Those whose valid_from is earlier than anything can still be changed.
    cut_off: Vec<String>,
}

impl Notes {
    fn of(items: &[Item], limits: &Limits) -> Self {
        let earliest = keep_tracks_ms(limits).map(|ms| now_ms() - ms);
        let mut notes = Self::default();
        for item in items {
            let (id, valid_from) = match &item.result {
                Ok(Event::Geofence(change)) => {
                    let definition = change.definition.as_ref();
                    if definition.is_some_and(|definition| definition.geometry.crosses_antimeridian()) {
                        notes.cut.push(change.geofence_id.to_string());
                    }
                    (&change.geofence_id, change.valid_from)
                }
                Ok(Event::Vehicle(change)) => (&change.vehicle_id, change.valid_from),
                Ok(Event::Rule(change)) => (&change.rule_id, change.valid_from),
                Ok(Event::Position(_) | Event::Clock(_)) | Err(_) => continue,
            };
            if valid_from.is_some_and(|valid_from| Some(valid_from) < earliest) {
                notes.cut_off.push(id.to_string());
            }
        }
        notes
    }

    fn answer(self, received: &Received) -> Response {
        let mut object = received.to_json();
        if !self.cut.is_empty() {
            object["cut_at_antimeridian"] = self.cut.into();
        }
        if !self.cut_off.is_empty() {
            object["cut_off"] = self.cut_off.into();
        }
        answer(received.status(), &object)
    }
}
