//! Answers: JSON objects with `error` and `detail` where a request fails.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// When a client should try again after an answer of 503, seconds.
const RETRY_AFTER_S: u64 = 5;

/// A request that fails: status, a word for programs, a sentence for people. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    error: &'static str,
    detail: String,
    retry_after_s: Option<u64>,
    /// The current version of what an edit is about, for `ETag`.
    etag: Option<Box<str>>,
    /// The methods of the address, for `Allow`.
    allow: Option<Box<str>>,
    /// Indices of the events that the answer is about.
    indices: Vec<usize>,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, error: &'static str, detail: impl Into<String>) -> Self {
        Self { status, error, detail: detail.into(), retry_after_s: None, etag: None, allow: None, indices: Vec::new() }
    }

    /// The request cannot be read.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// There is no valid token or signature.
    pub(crate) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// The token is not for this.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// Nothing is at this address.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "nothing is at this address; /openapi.json lists what there is")
    }

    /// The method is not one of this address, which has these.
    pub(crate) fn method(allowed: &[&str]) -> Self {
        let detail = format!("expected {}", allowed.join(" or "));
        let failure = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
        Self { allow: Some(allowed.join(", ").into()), ..failure }
    }

    /// The request exceeds a limit.
    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    }

    /// The log or the store does not do its part now.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        let failure = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
        Self { retry_after_s: Some(RETRY_AFTER_S), ..failure }
    }

    /// Too many requests.
    pub(crate) fn too_many(retry_after_s: u64) -> Self {
        let detail = format!("too many requests of this source; the next one is accepted in {retry_after_s} s");
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail)
        }
    }

    /// The version is not the expected one.
    pub(crate) fn precondition(current: Option<String>) -> Self {
        let detail = match current {
            Some(_) => "it was changed meanwhile; the header ETag has its current version",
            None => "there is none of this identifier",
        };
        Self {
            etag: current.map(Into::into),
            ..Self::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail)
        }
    }

    /// The sentence for people.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The same about these events of the request.
    pub(crate) fn about(self, indices: Vec<usize>) -> Self {
        Self { indices, ..self }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut object = json!({"error": self.error, "detail": self.detail});
        if !self.indices.is_empty() {
            object["events"] = self.indices.into();
        }
        let mut response = answer(self.status, &object);
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer, Basic"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(etag) = self.etag.and_then(|etag| HeaderValue::try_from(format!("\"{etag}\"")).ok()) {
            headers.insert(header::ETAG, etag);
        }
        if let Some(allow) = self.allow.and_then(|allow| HeaderValue::from_str(&allow).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        response
    }
}

/// An answer of JSON.
pub(crate) fn answer(status: StatusCode, value: &Value) -> Response {
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], format!("{value}\n")).into_response()
}
