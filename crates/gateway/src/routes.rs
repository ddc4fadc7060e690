//! The router: every request passes the check of who may use its address.

use std::borrow::Cow;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get, post, put};
use watchtower_inputs::messages::{Format, decoded};

use crate::answer::{Failure, answer};
use crate::table::{Need, Route};
use crate::{Context, Shared, edits, metrics, openapi, sources};

/// The handlers behind [`authorize`].
pub(crate) fn router(context: Shared) -> Router {
    Router::new()
        .route("/healthz", get("ok\n"))
        .route("/readyz", get(ready))
        .route("/openapi.json", get(openapi::page))
        .route("/schemas/alert.json", get(alert_schema))
        .route("/v1/events", post(edits::events))
        .route("/v1/geofences", post(edits::geofences))
        .route("/v1/geofences/{id}", put(edits::put_geofence))
        .route("/v1/geofences/{id}", delete(edits::delete_geofence))
        .route("/v1/vehicles/{id}", put(edits::put_vehicle))
        .route("/in/{source}", any(sources::message))
        .route("/in/{source}/{token}", any(sources::message_with_token))
        .fallback(|| async { Failure::not_found() })
        .layer(middleware::from_fn_with_state(context.clone(), authorize))
        .layer(middleware::from_fn_with_state(context.clone(), measure))
        .with_state(context)
}

/// Counts the request and its answer.
async fn measure(State(context): State<Shared>, request: Request, next: Next) -> Response {
    let (begun, source) = (Instant::now(), context.label(request.uri().path()));
    let response = next.run(request).await;
    metrics::request(&source, response.status().as_u16(), begun.elapsed());
    response
}

/// Denies what the table does not allow; handlers behind it find the caller in the extensions.
async fn authorize(State(context): State<Shared>, mut request: Request, next: Next) -> Response {
    let route = match Route::find(request.method(), request.uri().path()) {
        Ok(route) => route,
        Err(methods) if methods.is_empty() => return Failure::not_found().into_response(),
        Err(methods) => return Failure::method(&methods).into_response(),
    };
    // What the extractors of handlers refuse is no JSON; so nothing is left for them to refuse.
    if decoded(request.uri().path(), false).is_err() {
        return Failure::bad_request("expected a path of UTF-8, percent-encoded").into_response();
    }
    if let Need::Role(needed) = route.need {
        let caller = context.caller(request.headers(), request.uri(), needed).await.and_then(|caller| {
            if caller.grant.covers_source(None) {
                Ok(caller)
            } else {
                Err(Failure::forbidden("the token is for a source"))
            }
        });
        let caller = match caller {
            Ok(caller) => caller,
            Err(failure) => return failure.into_response(),
        };
        if let Some(failure) = context.over_rate(&caller.name, None) {
            return failure.into_response();
        }
        request.extensions_mut().insert(caller);
    }
    next.run(request).await
}

/// What webhooks of alerts carry.
async fn alert_schema() -> Response {
    answer(StatusCode::OK, &watchtower_core::outbox::schema())
}

async fn ready(State(context): State<Shared>) -> Response {
    match context.ingest.probe().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => {
            tracing::debug!(%error, "not ready");
            Failure::unavailable("the event log does not accept events now").into_response()
        }
    }
}

impl Context {
    /// The source of an address, for metrics.
    fn label(&self, path: &str) -> Cow<'static, str> {
        let Some(rest) = path.strip_prefix("/in/") else {
            return Cow::Borrowed(if path.starts_with("/v1/") { metrics::NATIVE } else { metrics::OTHER });
        };
        let name = rest.split('/').next().unwrap_or_default();
        if self.options.sources.iter().any(|source| source.name == name) {
            return Cow::Owned(name.to_owned());
        }
        Cow::Borrowed(name.parse::<Format>().map_or(metrics::OTHER, Format::name))
    }

    /// The refusal of a request that is one too many; `per_second` is the source's own limit.
    pub(crate) fn over_rate(&self, source: &str, per_second: Option<u32>) -> Option<Failure> {
        let per_second = per_second.unwrap_or(self.options.max_rate);
        let wait = self.rates.count(source, per_second, Instant::now())?;
        Some(Failure::too_many(wait.as_secs() + 1))
    }
}
