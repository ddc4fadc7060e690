//! The table of addresses: for the router, for who may use them, and for `/openapi.json`.

use axum::http::Method;
use watchtower_auth::Role;

/// Who may use an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Anyone: it reveals nothing of the pipeline.
    Nothing,
    /// A token of this role, or a program of this machine while the gateway is open.
    Role(Role),
    /// What the source's `trust` demands.
    Source,
}

/// An address and a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// GET, POST, PUT or DELETE.
    pub method: &'static str,
    /// Its path; names in braces stand for one segment each.
    pub path: &'static str,
    /// Who may use it.
    pub need: Need,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Media types of its body; none if it has no body.
    pub body: &'static [&'static str],
}

const NO_BODY: &[&str] = &[];
const JSON: &[&str] = &["application/json"];
const EVENTS: &[&str] = &["application/json", "application/x-ndjson"];
const FEATURES: &[&str] = &["application/geo+json"];
const MESSAGES: &[&str] =
    &["application/json", "application/x-www-form-urlencoded", "text/plain", "application/octet-stream"];

/// Every address.
pub const ROUTES: [Route; 13] = [
    Route::new("GET", "/healthz", Need::Nothing, "Answers ok while the process lives.", NO_BODY),
    Route::new("GET", "/readyz", Need::Nothing, "Whether the event log accepts events.", NO_BODY),
    Route::new("GET", "/openapi.json", Need::Nothing, "This description.", NO_BODY),
    Route::new("GET", "/schemas/alert.json", Need::Nothing, "The JSON Schema of webhooks of alerts.", NO_BODY),
    Route::new("POST", "/v1/events", Need::Role(Role::Ingest), "Append one event, an array, or one a line.", EVENTS),
    Route::new(
        "POST",
        "/v1/geofences",
        Need::Role(Role::Admin),
        "Append geofences: a GeoJSON Feature or a FeatureCollection.",
        FEATURES,
    ),
    Route::new(
        "PUT",
        "/v1/geofences/{id}",
        Need::Role(Role::Admin),
        "Append a version of a geofence: a Feature, or an event.",
        JSON,
    ),
    Route::new(
        "DELETE",
        "/v1/geofences/{id}",
        Need::Role(Role::Admin),
        "Delete a geofence from valid_from on.",
        NO_BODY,
    ),
    Route::new("PUT", "/v1/vehicles/{id}", Need::Role(Role::Admin), "Append a version of a vehicle's metadata.", JSON),
    Route::new("GET", "/in/{source}", Need::Source, "Append the message in the query.", NO_BODY),
    Route::new("POST", "/in/{source}", Need::Source, "Append a message in the format of the source.", MESSAGES),
    Route::new("GET", "/in/{source}/{token}", Need::Source, "The same with the token in the path.", NO_BODY),
    Route::new("POST", "/in/{source}/{token}", Need::Source, "The same with the token in the path.", MESSAGES),
];

impl Route {
    const fn new(
        method: &'static str,
        path: &'static str,
        need: Need,
        summary: &'static str,
        body: &'static [&'static str],
    ) -> Self {
        Self { method, path, need, summary, body }
    }

    /// Whether a path is one of this route. A name in braces stands for one segment that is not empty.
    fn matches(&self, path: &str) -> bool {
        let fits = |(own, given): (&str, &str)| own == given || own.starts_with('{') && !given.is_empty();
        let (own, given) = (self.path.split('/'), path.split('/'));
        own.clone().count() == given.clone().count() && own.zip(given).all(fits)
    }

    /// The route of a request, or the methods that its path has.
    pub(crate) fn find(method: &Method, path: &str) -> Result<&'static Self, Vec<&'static str>> {
        let matching = || ROUTES.iter().filter(|route| route.matches(path));
        let found = matching().find(|route| route.method == method.as_str());
        found.ok_or_else(|| matching().map(|route| route.method).collect())
    }
}
