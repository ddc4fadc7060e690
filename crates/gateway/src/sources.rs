//! `/in/<source>`: messages of devices and fleet servers in their own formats.

use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use bytes::Bytes;
use watchtower_auth::signature::{self, Scheme};
use watchtower_auth::{Grant, Role};
use watchtower_inputs::messages::{self, Format, Headers, Message};
use watchtower_log::ingest::Delivery;

use crate::answer::Failure;
use crate::caller::{Caller, Header, presented};
use crate::events::Scope;
use crate::{Context, Shared, Source, Trust, body, now_ms};

/// A body of so many bytes is read beside the thread's other requests: about a millisecond of work.
const LARGE_BODY: usize = 64 << 10;
/// Longest identifier of a delivery, bytes.
const MAX_DELIVERY_ID: usize = 256;

/// A message whose sender is authenticated by a header or a signature, or not at all.
pub(crate) async fn message(
    State(context): State<Shared>,
    Path(source): Path<String>,
    request: Request,
) -> Result<Response, Failure> {
    receive(&context, &source, None, request).await
}

/// A message with a token in its path.
pub(crate) async fn message_with_token(
    State(context): State<Shared>,
    Path((source, token)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Failure> {
    receive(&context, &source, Some(token), request).await
}

async fn receive(context: &Context, name: &str, token: Option<String>, request: Request) -> Result<Response, Failure> {
    let source = context.source(name).ok_or_else(Failure::not_found)?;
    let (parts, stream) = request.into_parts();
    if parts.method == Method::GET && !source.format.accepts_query() {
        return Err(Failure::method(&["POST"]));
    }
    // A signature needs the body; every other sender is known before anything of it is read.
    let known = context.identify(&source, token.as_deref(), &parts).await?;
    if let Some(failure) = known.as_ref().and_then(|caller| context.over_rate(&caller.name, source.max_rate)) {
        return Err(failure);
    }
    let raw = body::read(&context.options, &parts.headers, stream).await?;
    let (caller, signed_id) = match known {
        Some(caller) => (caller, None),
        None => context.verify(&source, &parts.headers, &raw)?,
    };
    let delivery = delivery(&source, &caller, &parts.headers, signed_id)?;
    let body = body::inflate(&context.options, &parts.headers, raw).await?;
    let mut items = match read(context, &source, &parts, &body) {
        Ok(items) => items,
        Err(error) => return Err(context.refuse(&source.name, error, &body).await?),
    };
    let names = if source.vessel_names { Some(context.retain_names(&mut items).await) } else { None };
    let received = context.receive(&caller, Scope::Source, items, delivery).await?;
    names.into_iter().for_each(|names| context.vessels.remember(names));
    Ok(received.answer(source.format))
}

/// The items of a message.
fn read(
    context: &Context,
    source: &Source,
    parts: &Parts,
    body: &Bytes,
) -> Result<Vec<messages::Item>, messages::MessageError> {
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let message = Message {
        query: parts.uri.query(),
        content_type: text("content-type"),
        headers: Headers { limit_user: text("x-limit-u"), limit_device: text("x-limit-d") },
        body,
        received_at: now_ms(),
    };
    let options = source.reading(&context.options, &context.limits);
    read_message(source.format, &message, &options)
}

/// Reads a message; other requests of the thread do not wait for a large one.
pub(crate) fn read_message(
    format: Format,
    message: &Message<'_>,
    options: &messages::Options,
) -> Result<Vec<messages::Item>, messages::MessageError> {
    if message.body.len() < LARGE_BODY {
        return messages::read(format, message, options);
    }
    tokio::task::block_in_place(|| messages::read(format, message, options))
}

impl Context {
    /// The configured source of a name, else that of the format of this name.
    fn source(&self, name: &str) -> Option<Source> {
        let configured = self.options.sources.iter().find(|source| source.name == name).cloned();
        let trust = || if self.options.is_open() { Trust::None } else { Trust::Token };
        configured.or_else(|| Some(Source::of_format(name.parse::<Format>().ok()?, trust())))
    }

    /// The sender, unless a signature has to name it.
    async fn identify(&self, source: &Source, token: Option<&str>, parts: &Parts) -> Result<Option<Caller>, Failure> {
        let headers = &parts.headers;
        let missing = |place: &str| Failure::unauthorized(format!("a token is required: {place}"));
        let in_header = |wanted, place| presented(headers, wanted)?.ok_or_else(|| missing(place));
        let token = match (&source.trust, token) {
            (Trust::Path | Trust::Token, Some(token)) => token.to_owned(),
            (Trust::None, _) if presented(headers, Header::Either).is_ok_and(|token| token.is_some()) => {
                presented(headers, Header::Either)?.ok_or_else(|| missing("Authorization"))?
            }
            (_, Some(_)) => return Err(Failure::not_found()),
            (Trust::None, None) => {
                let caller = self.unnamed(headers, &parts.uri)?;
                return Ok(Some(of_source(source, format!("{}/{}", source.name, caller.name))));
            }
            (Trust::Signed(..), None) => return Ok(None),
            (Trust::Bearer, None) => in_header(Header::Bearer, "Authorization: Bearer <token>")?,
            (Trust::Basic, None) => in_header(Header::Basic, "Authorization: Basic, as the password")?,
            (Trust::Token, None) => in_header(Header::Either, "Authorization: Bearer <token>, or in the path")?,
            (Trust::Path, None) => return Err(missing("behind the name of the source in the path")),
        };
        let caller = self.holder(&token).await?;
        if !caller.grant.role.includes(Role::Ingest) {
            let role = caller.grant.role;
            return Err(Failure::forbidden(format!("the token has the role {role}; this needs {}", Role::Ingest)));
        }
        if !caller.grant.covers_source(Some(&source.name)) {
            return Err(Failure::forbidden("the token is for another source"));
        }
        Ok(Some(Caller { name: format!("{}/{}", source.name, caller.name), ..caller }))
    }

    /// The sender by its signature, and the identifier of the delivery if that is signed.
    fn verify(&self, source: &Source, headers: &HeaderMap, raw: &[u8]) -> Result<(Caller, Option<String>), Failure> {
        let Trust::Signed(scheme, keys) = &source.trust else {
            return Err(Failure::unauthorized("a token is required"));
        };
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let id = signature::verify(scheme, &keys.0, header, raw, now_ms().div_euclid(1000))
            .map_err(|error| Failure::unauthorized(error.to_string()))?;
        let caller = of_source(source, source.name.clone());
        match self.over_rate(&caller.name, source.max_rate) {
            Some(failure) => Err(failure),
            None => Ok((caller, id)),
        }
    }
}

/// A sender that is trusted as the source itself: it sends for all vehicles.
fn of_source(source: &Source, name: String) -> Caller {
    let grant = Grant { role: Role::Ingest, source: Some(source.name.clone()), ..Grant::everything() };
    Caller { name, grant }
}

/// The identifier that the sender repeats when it retries.
fn delivery(
    source: &Source,
    caller: &Caller,
    headers: &HeaderMap,
    signed_id: Option<String>,
) -> Result<Option<Delivery>, Failure> {
    let name = source.delivery_header.as_deref().unwrap_or(match &source.trust {
        Trust::Signed(Scheme::GitHub, _) => "x-github-delivery",
        _ => "idempotency-key",
    });
    delivery_of(&caller.name, source.remember, headers, name, signed_id)
}

/// The identifier in a header, or the one that is signed.
pub(crate) fn delivery_of(
    sender: &str,
    keep: std::time::Duration,
    headers: &HeaderMap,
    name: &str,
    signed_id: Option<String>,
) -> Result<Option<Delivery>, Failure> {
    let given = headers.get(name).map(|value| value.to_str().map(str::to_owned));
    let id = match (signed_id, given) {
        (Some(id), _) => id,
        (None, Some(Ok(id))) => id,
        (None, Some(Err(_))) => return Err(Failure::bad_request(format!("header {name} is not text"))),
        (None, None) => return Ok(None),
    };
    if id.is_empty() || id.len() > MAX_DELIVERY_ID {
        let detail = format!("expected an identifier of the delivery of 1 to {MAX_DELIVERY_ID} bytes");
        return Err(Failure::bad_request(detail));
    }
    Ok(Some(Delivery { source: sender.to_owned(), id, keep }))
}
